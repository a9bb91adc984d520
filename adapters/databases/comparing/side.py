"""One side of a comparison: a server and a database, asked over sessions that only read.

Settings that have a say in what a value prints are the same on both sides, whatever role and database have as theirs.
No lock is heavier than ACCESS SHARE, replay is never paused, and a server ends a query whose client is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias

import asyncpg

from adapters.databases.postgres import PostgresNode
from adapters.net.tls_reasons import tls_refusal
from state.comparing.results import SideFacts
from state.errors import ReadFailure, Trouble
from state.text import clean

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
LONG = 7 * 86_400.0
"""Seconds that a scan of a large table may take."""
SHORT = 30.0
CONFLICT_PAUSE = 0.5
CONFLICTS = 5
"""So often a query is sent again that replay on a standby cancelled; each time after a longer pause."""
ROWS_AHEAD = 1000
CANCELLED_BY_REPLAY = ("40001", "40P01")

PINNED = {
    "search_path": "pg_catalog",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "restrict_nonsystem_relation_kind": "view, foreign-table",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "row_security": "off",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "lock_timeout": "10s",
    "client_connection_check_interval": "2s",
    "jit": "off",
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""A standby knows no serializable transaction. `restrict_nonsystem_relation_kind`: a view that took a table's place
since the catalog was read would run what its owner wrote with the rights of this account. `row_security` off: where a
policy would hide rows from this account, the server refuses instead. `enable_sort` off:
the server expects a group for each row where there are some thousands, and would sort the whole table on disk."""

PIN = """
select count(pg_catalog.set_config(s.name, given.value, false))
from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as given(name, value)
join pg_catalog.pg_settings as s on pg_catalog.lower(s.name) = given.name
"""
"""What a major does not know is left out."""
FACTS = """
select current_database()::text as database, current_setting('server_version') as version,
  pg_is_in_recovery() as in_recovery, (select system_identifier::text from pg_control_system()) as system_id,
  coalesce((select received_tli from pg_stat_wal_receiver), (select timeline_id from pg_control_checkpoint()))
    as timeline,
  extract(epoch from pg_postmaster_start_time())::float8 as started_at, current_setting('server_encoding') as encoding,
  current_user::text as role
"""
# Where the insert position stands right behind the header of a page, the last record ended at the page's beginning:
# no more will ever be replayed.
POSITION = """
select case when pg_is_in_recovery() then pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::int8
  else (select at - case when at % block in (24, 40) then at % block else 0 end from (
    select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8 as at,
      current_setting('wal_block_size')::int8 as block) as wal) end
"""


class RecoveryConflict(Exception):
    """Replay on the standby cancelled the query, and again when it was repeated."""


class ComparedSide:
    """A server and a database of it. Sessions are opened when they are needed and all ended by `close`."""

    def __init__(
        self,
        name: str,
        node: PostgresNode,
        database: str | None,
        parallel: int,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`parallel` more processes for a query; `settings` besides or instead of those that are pinned."""
        self.name, self._node = name, node
        self._access = replace(node.access, database=database or node.access.database)
        self._settings = {**PINNED, "max_parallel_workers_per_gather": str(parallel), **settings}
        self._free: list[Session] = []
        self._all: list[Session] = []
        self.facts: SideFacts | None = None

    async def begin(self) -> SideFacts:
        """Log in, and look which server it is. Raises ReadFailure."""
        row = (await self.fetch(FACTS, timeout=SHORT))[0]
        self.facts = SideFacts(
            self.name, row["database"], row["version"].partition(" ")[0], row["in_recovery"], row["system_id"],
            row["timeline"] or 0, row["started_at"], row["encoding"],
        )  # fmt: skip
        return self.facts

    @property
    def role(self) -> str:
        """The account."""
        return self._access.user

    async def fetch(self, query: str, *args: Any, timeout: float = LONG) -> Sequence[asyncpg.Record]:
        """All rows. What replay cancels is sent again. Raises ReadFailure, RecoveryConflict and PostgresError."""
        for attempt in range(CONFLICTS):
            try:
                async with self._session() as session:
                    return await session.fetch(query, *args, timeout=timeout)
            except asyncpg.PostgresError as error:
                if not self._by_replay(error):
                    raise
            await asyncio.sleep(CONFLICT_PAUSE * 2**attempt)
        raise RecoveryConflict

    async def stream(self, query: str) -> AsyncIterator[asyncpg.Record]:
        """Row by row, a bounded number ahead. Raises as `fetch`, but a conflict with replay at once: that ends the
        session where it comes between two batches of rows."""
        try:
            async with self._session() as session, session.transaction(readonly=True):
                async for row in session.cursor(query, prefetch=ROWS_AHEAD, timeout=LONG):
                    yield row
        except asyncpg.PostgresError as error:
            if self._by_replay(error):
                raise RecoveryConflict from error
            raise
        except ReadFailure as failure:
            if self.facts is not None and self.facts.in_recovery:
                raise RecoveryConflict from failure
            raise

    def _by_replay(self, error: asyncpg.PostgresError) -> bool:
        """Whether replay cancelled it: a query that only reads meets no other serialization failure, and a session of
        a standby that ends is likely to be in the way of replay."""
        ended = isinstance(error, asyncpg.PostgresConnectionError)
        standby = self.facts is not None and self.facts.in_recovery
        return error.sqlstate in CANCELLED_BY_REPLAY or (ended and standby)

    async def position(self) -> int | None:
        """The WAL position up to which the next query sees everything, in bytes."""
        rows = await self.fetch(POSITION, timeout=SHORT)
        return None if rows[0][0] is None else int(rows[0][0])

    async def close(self) -> None:
        """End all sessions; what runs is cancelled. Never raises."""
        sessions, self._all, self._free = self._all, [], []
        await asyncio.gather(*(_end(session) for session in sessions))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        session = self._free.pop() if self._free else await self._open()
        try:
            yield session
        except asyncpg.PostgresError:
            if not session.is_closed() and not session.is_in_transaction():
                self._free.append(session)
            raise
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise ReadFailure(Trouble.UNREACHABLE, f"{self.name}: {said(error)}") from error
        if not session.is_closed():
            self._free.append(session)

    async def _open(self) -> Session:
        try:
            session = await self._node.session(self._access, deadline=SHORT, read_only=True)
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise ReadFailure(Trouble.DENIED, f"{self.name}: {said(error)}") from error
        except TimeoutError as error:
            raise ReadFailure(Trouble.TIMEOUT, f"{self.name} did not answer within {SHORT:g} s") from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise ReadFailure(Trouble.UNREACHABLE, f"{self.name}: {said(error)}") from error
        self._all.append(session)
        await session.fetch(PIN, list(self._settings), list(self._settings.values()), timeout=SHORT)
        return session


async def _end(session: Session) -> None:
    try:
        await session.close(timeout=2)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.CancelledError):
        with suppress(OSError, asyncpg.InterfaceError):
            session.terminate()


def said(error: BaseException) -> str:
    """The first line of an error, safe to show."""
    if refused := tls_refusal(error):
        return refused
    return clean(str(error).splitlines()[0] if str(error) else type(error).__name__, 300)
