"""`recovery db prepare`: the SQL for one cluster, by its major version, and its application in every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from adapters.access.prepared_sql import prepare_sql, printed
from adapters.context import AdapterContext
from adapters.databases.comparing.work import server_of
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_options import PostgresOptions
from adapters.databases.statements import at_primary
from adapters.net.ssh import SshConnections
from adapters.secrets import resolve
from state.config_files.suggestions import not_found
from state.errors import ReadFailure, Refused, Trouble
from state.estate.access import AccessEntry
from state.estate.model import Estate, SecretRef
from state.granting.model import Bundle
from state.text import clean

DEADLINE = 10.0
DATABASES = "select datname::text, datallowconn from pg_database where datname <> 'template0' order by datname"


@dataclass(frozen=True, slots=True)
class PreparedDatabase:
    """One database of the cluster; `error` is why it is not prepared, empty when it is."""

    name: str
    error: str = ""


class Preparing:
    """One cluster of the estate. Raises NotFound and Refused when it cannot be prepared for grants."""

    def __init__(self, estate: Estate, base: Path, name: str) -> None:
        if name not in estate.databases:
            raise not_found("database", name, estate.databases)
        options = estate.databases[name]
        if not isinstance(options, PostgresOptions) or options.act_user is None:
            fact = f"the estate names no act_user for {name}, which would be allowed to give access"
            raise Refused("act-user", fact, f"Add databases.{name}.act_user, then call this again")
        self.name, self._estate, self._base = name, estate, base
        self._options, self._act = options, options.act_user
        self._entry = options.access or AccessEntry()

    def sql(self, major: int) -> str:
        """The SQL for a major version. Raises ValueError for one that is not known."""
        longest, owner = round(self._entry.longest), self._entry.schema_owner
        allowed = Bundle.SUPERUSER in self._entry.bundles
        read = self._options.user
        return prepare_sql(major, act=self._act, read=read, longest=longest, schema_owner=owner, superuser=allowed)

    def text(self, major: int) -> str:
        """The same to be read, and run by hand."""
        return printed(self.sql(major))

    async def major(self) -> int:
        """The major version of the node that accepts writes. Raises ReadFailure."""
        async with self._servers() as servers, _primary(servers, None) as session:
            return int(await session.fetchval("select current_setting('server_version_num')::int")) // 10_000

    async def apply(self, admin: str, secret: SecretRef | None) -> list[PreparedDatabase]:
        """Run it as a superuser in every database, each in one transaction. Raises ReadFailure and Refused."""
        password = None if secret is None else resolve(secret, self._base)
        found = []
        async with self._servers() as servers:
            access = Access(admin, self._options.database, password, servers[0].access.tls, servers[0].access.via)
            async with _primary(servers, access) as session:
                if not await session.fetchval("select rolsuper from pg_roles where rolname = current_user"):
                    raise Refused("superuser", f"{admin} is no superuser at {self.name}", "Name one with --as")
                major = int(await session.fetchval("select current_setting('server_version_num')::int")) // 10_000
                names = [tuple(row) for row in await session.fetch(DATABASES)]
            for name, open_ in names:
                if not open_:
                    found.append(PreparedDatabase(name, "it refuses connections"))
                    continue
                there = Access(admin, name, password, access.tls, access.via)
                found.append(PreparedDatabase(name, await self._applied(servers, there, self.sql(major))))
        return found

    async def _applied(self, servers: list[PostgresNode], access: Access, sql: str) -> str:
        try:
            async with _primary(servers, access) as session, session.transaction():
                await session.execute("set local client_min_messages = error")
                await session.execute(sql)
        except ReadFailure as error:
            return error.message
        return ""

    @asynccontextmanager
    async def _servers(self) -> AsyncIterator[list[PostgresNode]]:
        hosts = SshConnections(dict(self._estate.hosts), self._base)
        context = AdapterContext(self._base, self._estate.polling, {}, hosts)
        nodes = [server_of(self._estate, context, self.name, node).aside() for node in self._options.nodes]
        try:
            yield nodes
        finally:
            await asyncio.gather(*(node.close() for node in nodes))
            await hosts.close()


@asynccontextmanager
async def _primary(
    servers: list[PostgresNode], access: Access | None
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A session at the node that accepts writes. Raises ReadFailure."""
    try:
        async with (
            asyncio.timeout(DEADLINE),
            at_primary(servers, access, deadline=DEADLINE / 2, read_only=access is None) as session,
        ):
            await session.execute("set search_path = pg_catalog")
            yield session
    except TimeoutError as error:
        raise ReadFailure(Trouble.TIMEOUT, "the cluster did not answer in time") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        told = str(error).splitlines()
        raise ReadFailure(Trouble.ERROR, clean(told[0] if told else type(error).__name__, 300)) from error
