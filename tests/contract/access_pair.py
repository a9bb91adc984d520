"""A real primary with its standby, prepared for grants, of PostgreSQL 15 and of 18."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from adapters.access.postgres_access import PostgresAccess
from adapters.access.prepared_sql import prepare_sql
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster
from adapters.secrets import Secret
from state.estate.access import AccessEntry
from state.granting.model import Armed, Bundle, EndProof, NotEnded, role_name
from state.granting.scram import new_secret, verifier
from state.grants.ending import GrantEnd
from tests.contract.components import PASSWORD, Pair, as_user, kill_pair, make_primary, postgres_bin, postgres_with_tls

MAJORS = {"15": postgres_with_tls, "18": postgres_bin}
ACTING = Access("ops", "postgres", Secret(PASSWORD))
READING = Access("recovery", "postgres", Secret(PASSWORD))
Session = asyncpg.Connection
OPENED: list[Session] = []
"""Sessions of the test that runs."""


@contextmanager
def access_pair(folder: Path, major: str) -> Iterator[Pair]:
    """Primary `a`, standby `b`, a second database `other`, both prepared."""
    place = Path(tempfile.mkdtemp(dir=folder))
    pair = make_primary(place, MAJORS[major]())
    try:
        with (place / "a" / "postgresql.conf").open("a") as conf:
            conf.write("max_prepared_transactions = 10\nmax_connections = 60\n")
        pair.control("a", "-m", "fast", "stop")
        pair.start("a", pair.primary)
        pair.psql(pair.primary, "create database other")
        sql = prepare_sql(int(major), act="ops", read="recovery", longest=14_400, schema_owner="app")
        pair.psql(
            pair.primary, "create role app nologin; create table accounts (n int); alter table accounts owner to app"
        )
        pair.psql(pair.primary, "grant create on schema public to app")
        for database in ("postgres", "other"):
            pair.psql(pair.primary, sql, database)
        pair.psql(pair.primary, f"alter role ops password '{PASSWORD}'; grant create on schema public to public")
        pair.psql(pair.primary, "grant create on schema public to public", "other")
        as_user(
            pair.bin / "pg_basebackup", "-D", place / "b", "-R", "-X", "stream", "-c", "fast", "--no-sync",
            "-C", "-S", "b", "-d", f"host=127.0.0.1 port={pair.primary} user=postgres application_name=b",
        )  # fmt: skip
        pair.start("b", pair.standby)
        yield pair
    finally:
        kill_pair(pair)


@dataclass
class Granted:
    """A grant that was armed and opened, and how its holder logs in."""

    pair: Pair
    target: PostgresAccess
    armed: Armed
    role: str
    secret: str

    async def login(self, port: int | None = None, database: str = "postgres", **settings: str) -> Session:
        """A session of the grantee."""
        made = await asyncpg.connect(
            host="127.0.0.1", port=port or self.pair.primary, user=self.role, password=self.secret, database=database,
            timeout=9, server_settings=settings,
        )  # fmt: skip
        OPENED.append(made)
        return made

    async def end(self, tries: int = 12) -> EndProof | NotEnded:
        """End it as the engine does: again and again."""
        ending = GrantEnd(self.target, self.armed.oid, self.role)
        for _ in range(tries):
            found = await ending.attempt()
            if isinstance(found, EndProof):
                return found
            await asyncio.sleep(0.2)
        return found


@asynccontextmanager
async def target_of(pair: Pair) -> AsyncIterator[PostgresAccess]:
    """What the engine has of the pair."""
    servers = [
        PostgresNode(name, "127.0.0.1", port, READING) for name, port in (("a", pair.primary), ("b", pair.standby))
    ]
    cluster = PostgresCluster("orders", servers, ACTING)
    target = PostgresAccess(cluster, ACTING, AccessEntry(schema_owner="app", bundles=tuple(Bundle)))
    try:
        yield target
    finally:
        for session in OPENED:
            session.terminate()
        OPENED.clear()
        await target.close()
        for each in servers:
            await each.close()


async def granted(
    pair: Pair, target: PostgresAccess, grant: str, bundle: Bundle = Bundle.READ_ALL, seconds: int = 600
) -> Granted:
    """A grant whose login is open."""
    role, secret = role_name(grant, "ada"), new_secret()
    armed = await target.arm(grant, role, bundle, "ada", "INC-42", effect=f"R-1/{grant}", seconds=seconds, deadline=4)
    await target.open_login(armed.oid, verifier(secret), window=60, deadline=4)
    return Granted(pair, target, armed, role, secret)


async def as_admin(pair: Pair, database: str = "postgres", port: int | None = None) -> Session:
    """A superuser's session."""
    made = await asyncpg.connect(host=str(pair.place), port=port or pair.primary, user="postgres", database=database)
    OPENED.append(made)
    return made
