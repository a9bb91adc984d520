"""Anchors in a table of PostgreSQL that another account owns: the engine's may only add to it and read it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import asyncpg
from pydantic import Field, model_validator

from adapters.context import AdapterContext, split_address
from adapters.databases.postgres import Access, PostgresNode
from adapters.net.origin import tls_context
from state.config_files.findings import refuse
from state.errors import ReadFailure, Trouble
from state.estate.addresses import is_loopback
from state.estate.model import AnchorEntry, SecretRef
from state.estate.values import HostName, HostPort
from state.text import clean
from state.units import time_limit

KIND = "postgres"
NEWEST, LONGEST = 1000, 8192
"""Lines that are read, and characters of one."""
RIGHTS = """
SELECT pg_has_role(current_user, relowner, 'MEMBER')
       OR has_table_privilege(oid, 'UPDATE') OR has_table_privilege(oid, 'DELETE')
       OR has_table_privilege(oid, 'TRUNCATE') OR has_table_privilege(oid, 'TRIGGER') AS may_change,
       has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'SELECT') AS may_add,
       relkind IN ('r', 'p') AS is_table, relpersistence = 'p' AS is_logged
FROM pg_class WHERE oid = to_regclass($1)
"""
DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
"""An answer to a commit is worth nothing where the account's settings let it come before the row is written."""
TABLE = r"^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$"


class PostgresAnchorOptions(AnchorEntry):
    """`address` of the server, `table` with columns journal, seq and line (docs/audit.md has the statements).

    `user` has INSERT and SELECT on it and owns it not. `via` is a host that leads there. `tls: plain` is plain text; to
    another machine it needs `waive.tls`.
    """

    address: HostPort
    database: str = "postgres"
    user: str
    password: SecretRef | None = None
    table: Annotated[str, Field(pattern=TABLE)] = "recovery_anchors"
    tls: Literal["verify-full", "plain"] = "verify-full"
    ca: str | None = None
    via: HostName | None = None

    @property
    def through(self) -> Sequence[str]:
        return () if self.via is None else (self.via,)

    @property
    def goes_without(self) -> Sequence[str]:
        return ("tls",) if self._plain() else ()

    @model_validator(mode="after")
    def _encrypted_or_waived(self) -> PostgresAnchorOptions:
        if self._plain() and self.waive.tls is None:
            refuse(type(self), [(("tls",), self.tls, "tls: verify-full, or waive: {tls: the reason}")])
        return self

    def _plain(self) -> bool:
        return self.tls == "plain" and not is_loopback(split_address(self.address)[0])


OPTIONS = PostgresAnchorOptions


class AnchorTable:
    """Fulfils AnchorPlace and CanReadAnchors, with a connection of its own for each anchor."""

    def __init__(self, name: str, node: PostgresNode, table: str) -> None:
        self._name, self._node = name, node
        self._table = ".".join(f'"{part}"' for part in table.split("."))
        self._plain_name = table if "." in table else f"public.{table}"
        if "." not in table:
            self._table = f'"public".{self._table}'

    async def look(self, *, deadline: float) -> str:
        """Whether rows can be added, and none changed."""
        await self._require_outside(deadline)
        return "this account may add rows and change none"

    async def keep(self, line: str, *, deadline: float) -> None:
        """Add a row, unless it is there. Refused while this account could change or remove rows: it would be no place
        outside of the engine's reach."""
        told = json.loads(line)
        await self._require_outside(deadline)
        insert = f"INSERT INTO {self._table} (journal, seq, line) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"  # noqa: S608 a name of letters, digits and _
        row = (told["journal"], told["seq"], line)
        await self._ask(insert, row, deadline)
        find = f"SELECT 1 FROM {self._table} WHERE journal = $1 AND seq = $2 AND line = $3"  # noqa: S608 the same
        if not await self._ask(find, row, deadline):
            fact = "the row is not there afterwards: a rule, a trigger or a policy of the table keeps it out"
            raise ReadFailure(Trouble.ERROR, f"{self._name}: {fact}")

    async def _require_outside(self, deadline: float) -> None:
        row = await self._ask(RIGHTS, (self._plain_name,), deadline)
        if not row:
            raise ReadFailure(Trouble.EMPTY, f"{self._name}: there is no table {self._plain_name}")
        if not row[0]["is_table"]:
            raise ReadFailure(Trouble.ERROR, f"{self._name}: {self._plain_name} is no table")
        if not row[0]["is_logged"]:
            fact = "is an unlogged table, which is empty after a crash of its server"
            raise ReadFailure(Trouble.DENIED, f"{self._name}: {self._plain_name} {fact}")
        if row[0]["may_change"]:
            fact = "this account owns the table, or may change what is in it"
            raise ReadFailure(Trouble.DENIED, f"{self._name}: {fact}: it keeps nothing from the engine's host")
        if not row[0]["may_add"]:
            raise ReadFailure(Trouble.DENIED, f"{self._name}: this account may not add rows to {self._plain_name}")

    async def kept(self, *, deadline: float) -> bytes:
        """The newest rows."""
        query = f"SELECT left(line, {LONGEST}) AS line FROM {self._table} ORDER BY seq DESC LIMIT {NEWEST}"  # noqa: S608 the same
        return b"".join(str(row["line"]).encode() + b"\n" for row in await self._ask(query, (), deadline))

    async def _ask(self, query: str, values: Sequence[Any], deadline: float) -> list[asyncpg.Record]:
        try:
            async with asyncio.timeout(deadline):
                connection = await self._node.session(None, deadline=deadline, read_only=False)
                try:
                    await connection.execute(DURABLE, timeout=deadline)
                    found: list[asyncpg.Record] = await connection.fetch(query, *values, timeout=deadline)
                    return found
                finally:
                    connection.terminate()
        except TimeoutError as error:
            message = f"{self._name} did not answer within {time_limit(deadline)}"
            raise ReadFailure(Trouble.TIMEOUT, message) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            message = clean(str(error) or type(error).__name__, 200)
            raise ReadFailure(Trouble.ERROR, f"{self._name}: {message}") from error


def build(name: str, options: PostgresAnchorOptions, context: AdapterContext) -> AnchorTable:
    """The place. Raises ConfigError."""
    host, port = split_address(options.address)
    tls = None if options.tls == "plain" else tls_context(context.authorities(f"anchors.{name}", options.ca))
    access = Access(options.user, options.database, context.secret(options.password), tls, context.way(options.via))
    return AnchorTable(f"anchors.{name}", PostgresNode(name, host, port, access), options.table)
