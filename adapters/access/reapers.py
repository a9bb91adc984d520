"""Reapers: procedures that wait inside a server for the end of a grant.

The server does not notice that this process is gone while one runs: it goes on until its work is done.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeAlias

import asyncpg

from adapters.access.whose_functions import require_prepared
from adapters.databases.postgres import Access, PostgresNode
from state.errors import ReadFailure
from state.text import clean

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
PATIENCE = 30
"""Seconds after the end for which a reaper looks at least, also for processes that have not said yet whose they are."""
LONGEST = 864_000.0
"""Seconds for which this process listens to one, more than any grant lasts."""
AT_ONCE = 8
"""Connections that are opened at one time: after a restart every grant needs one at every node."""
NAME = "recovery reaper"
BUSY = (
    "select count(*) from pg_stat_activity where application_name = $1 and state is distinct from 'idle' "
    "and usesysid = (select oid from pg_roles where rolname = current_user)"
)
UNLIMITED = (
    "select set_config(name, '0', false) from pg_settings where name in ('statement_timeout', 'lock_timeout', "
    "'transaction_timeout', 'idle_in_transaction_session_timeout', 'client_connection_check_interval')"
)
"""Those that this server has."""


class Reapers:
    """Those that this process has begun."""

    def __init__(self, acting: Access) -> None:
        self._acting = acting
        self._few = asyncio.Semaphore(AT_ONCE)
        self._running: dict[tuple[str, int], tuple[Session, asyncio.Task[None]]] = {}

    async def begin(self, node: PostgresNode, oid: int, deadline: float) -> str:
        """Have a server wait for the end of a grant, unless it does; why it does not, empty when it does."""
        try:
            async with self._few, asyncio.timeout(deadline):
                session: Session = await node.session(self._acting, deadline=deadline, read_only=False)
                try:
                    return await self._begun(session, node.node, oid)
                except BaseException:
                    session.terminate()
                    raise
        except TimeoutError:
            return f"{node.node} did not answer in time"
        except (ReadFailure, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return clean(f"{node.node}: {str(error).splitlines()[0] if str(error) else type(error).__name__}", 300)

    async def _begun(self, session: Session, node: str, oid: int) -> str:
        name = f"{NAME} {oid}"
        await require_prepared(session, node)
        if await session.fetchval(BUSY, name):
            session.terminate()
            return ""
        await session.fetch(UNLIMITED)
        await session.execute("set synchronous_commit = local")  # else an end waits for a standby that may be gone
        await session.fetchval("select set_config('application_name', $1, false)", name)  # last: by it, it is found
        self._running = {key: each for key, each in self._running.items() if not each[1].done()}
        self._running[node, oid] = session, asyncio.create_task(_run(session, oid), name=f"{NAME} {node} {oid}")
        return ""

    async def close(self) -> None:
        """Leave them alone: only their connections end. A task that is cancelled would have its statement cancelled."""
        for session, _ in self._running.values():
            session.terminate()
        await asyncio.gather(*(task for _, task in self._running.values()), return_exceptions=True)


async def _run(session: Session, oid: int) -> None:
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # the next look finds that it is gone
        await session.execute(f"call recovery_access.reap({int(oid)}::oid, {PATIENCE})", timeout=LONGEST)
    session.terminate()
