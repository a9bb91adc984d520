"""Statements at the primary of a cluster: one transaction that also records its effect, and queries that only read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias, runtime_checkable

import asyncpg

from adapters.databases.postgres import Access, PostgresNode
from adapters.net.tls_reasons import tls_refusal
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.arguments import Value
from state.ports.target import Receipt
from state.text import clean
from state.units import time_limit

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
CONNECT = 3.0
"""Seconds within which the primary must be found and logged in to; later, nothing is sent."""
MOST_ROWS = 1000
SHARE = 0.7
"""The share of a deadline in which the primary is found."""


@runtime_checkable
class HasServers(Protocol):
    """A cluster whose PostgreSQL servers can be logged in to."""

    servers: Sequence[PostgresNode]


@asynccontextmanager
async def at_primary(
    servers: Sequence[PostgresNode], access: Access | None, *, deadline: float, read_only: bool
) -> AsyncIterator[Session]:
    """A session at the one server that takes writes, by an account of its own. Raises ReadFailure unless there is
    exactly one."""
    opened: list[Session | BaseException] = await asyncio.gather(
        *(node.session(access, deadline=deadline, read_only=read_only, foreign=True) for node in servers),
        return_exceptions=True,
    )
    sessions = [each for each in opened if not isinstance(each, BaseException)]
    try:
        standing = await asyncio.gather(
            *(each.fetchval("select pg_catalog.pg_is_in_recovery()", timeout=deadline) for each in sessions),
            return_exceptions=True,
        )
        primaries = [s for s, standby in zip(sessions, standing, strict=True) if standby is False]
        if len(primaries) != 1:
            failed = next((each for each in opened if isinstance(each, BaseException)), None)
            why = f": {_said(failed)}" if failed is not None and not primaries else ""
            found = "no server takes writes" if not primaries else f"{len(primaries)} servers take writes"
            denied = isinstance(failed, asyncpg.InvalidAuthorizationSpecificationError)
            raise ReadFailure(Trouble.DENIED if denied else Trouble.UNREACHABLE, f"{found}{why}")
        yield primaries[0]
    finally:
        for each in sessions:
            each.terminate()


class OwnStatement:
    """Fulfils CanTransact: one statement of the estate at one cluster, with the table where effects are recorded."""

    def __init__(self, name: str, servers: Sequence[PostgresNode], access: Access, record: str) -> None:
        self.name, self._servers, self._access = name, servers, access
        self._record = ".".join(f'"{part}"' for part in record.split("."))

    async def prepare(self, statement: str, values: Sequence[Value], *, deadline: float) -> None:
        """Whether it could be run: the account, the statement and the table. Raises ReadFailure."""
        async with self._reading(deadline) as session:
            prepared = await session.prepare(statement, timeout=deadline)
            if len(prepared.get_parameters()) != len(values):
                raise ReadFailure(Trouble.ERROR, f"{self.name}: the statement has other parameters than values")
            await session.fetchval(f"select 1 from {self._record} where effect = ''", timeout=deadline)  # noqa: S608

    async def transact(
        self, statement: str, values: Sequence[Value], rows: int | None, *, effect: str, deadline: float
    ) -> Receipt:
        """One transaction. Raises EffectRefused when it was certainly taken back, EffectUnknown when its end is not
        known."""
        committing, connect = False, min(deadline * SHARE, CONNECT)
        try:
            async with (
                asyncio.timeout(deadline),
                at_primary(self._servers, self._access, deadline=connect, read_only=False) as session,
            ):
                limit = f"{deadline * 1000:.0f}"
                await session.execute("begin")
                for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
                    await session.execute("select pg_catalog.set_config($1, $2, true)", setting, limit)
                await session.execute("select pg_catalog.pg_advisory_xact_lock($1)", _lock(effect))
                await session.execute(f"insert into {self._record} (effect) values ($1)", effect)  # noqa: S608
                changed = _count(await _run(session, statement, values))
                if not session.is_in_transaction():
                    raise EffectUnknown("the statement ended the transaction itself", "ended")
                if rows is not None and changed != rows:
                    raise EffectRefused(f"{changed} rows instead of {rows}; taken back", "rows")
                committing = True
                await session.execute("commit")
        except ReadFailure as error:
            raise EffectRefused(error.message, "unreachable") from error
        except asyncpg.PostgresError as error:
            if committing or isinstance(error, asyncpg.PostgresConnectionError):
                raise EffectUnknown(f"{self.name}: {_said(error)}", "reset") from error
            raise EffectRefused(f"taken back: {_said(error)}", error.sqlstate or "refused") from error
        except TimeoutError as error:
            raise EffectUnknown(f"{self.name} did not end within {time_limit(deadline)}", "timeout") from error
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise EffectUnknown(f"{self.name}: {_said(error)}", "reset") from error
        return Receipt("committed", "committed" if changed is None else f"committed, {changed} rows")

    async def recorded(self, effect: str, *, deadline: float) -> bool | None:
        """Whether the effect is there; None while its transaction may still be open. Raises ReadFailure."""
        async with self._reading(deadline) as session:
            if not await session.fetchval("select pg_catalog.pg_try_advisory_xact_lock($1)", _lock(effect)):
                return None
            query = f"select count(*) from {self._record} where effect = $1"  # noqa: S608
            return bool(await session.fetchval(query, effect))

    @asynccontextmanager
    async def _reading(self, deadline: float) -> AsyncIterator[Session]:
        async with (
            _reads(self.name, deadline),
            at_primary(self._servers, self._access, deadline=deadline * SHARE, read_only=True) as session,
        ):
            yield session


@asynccontextmanager
async def queried(servers: Sequence[PostgresNode], *, deadline: float) -> AsyncIterator[Session]:
    """A session at the primary, in a transaction that only reads, for a query of the estate. Raises ReadFailure."""
    async with (
        _reads("the query", deadline),
        at_primary(servers, None, deadline=deadline * SHARE, read_only=True) as session,
        session.transaction(readonly=True),
    ):
        await session.execute("select pg_catalog.set_config('statement_timeout', $1, true)", f"{deadline * 1000:.0f}")
        yield session


async def first_column(servers: Sequence[PostgresNode], query: str, *, deadline: float) -> tuple[Any, ...]:
    """The first column of a query at the primary, in a transaction that only reads. Raises ReadFailure."""
    async with queried(servers, deadline=deadline) as session:
        rows = await session.fetch(query)
    if len(rows) > MOST_ROWS:
        raise ReadFailure(Trouble.ERROR, f"{len(rows)} rows, more than {MOST_ROWS}")
    return tuple(row[0] if len(row) else None for row in rows)


@asynccontextmanager
async def _reads(name: str, deadline: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(deadline):
            yield
    except TimeoutError as error:
        raise ReadFailure(Trouble.TIMEOUT, f"{name} was not answered within {time_limit(deadline)}") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise ReadFailure(Trouble.DENIED, f"{name}: {_said(error)}") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise ReadFailure(Trouble.ERROR, f"{name}: {_said(error)}") from error


async def _run(session: Session, statement: str, values: Sequence[Value]) -> str:
    """Run it as one prepared statement: a second one behind a semicolon is an error. Its status, as `UPDATE 3`."""
    prepared = await session.prepare(statement)
    await prepared.fetch(*values)
    return prepared.get_statusmsg() or ""


def _count(status: str) -> int | None:
    last = status.rsplit(maxsplit=1)[-1] if status else ""
    return int(last) if last.isdigit() else None


def _lock(effect: str) -> int:
    return int.from_bytes(hashlib.sha256(effect.encode()).digest()[:8], "big", signed=True)


def _said(error: BaseException) -> str:
    if refused := tls_refusal(error):
        return refused
    return clean(str(error).splitlines()[0] if str(error) else type(error).__name__, 300)
