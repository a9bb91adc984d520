"""The lease of one PostgreSQL server: an advisory lock that the kept, read-only session of one engine has.

Two engines of one host exclude each other by the kernel; those of two hosts meet only at the target. The lock changes
nothing, standbys grant it too, it ends with the session, and everybody sees whose it is (PostgreSQL manual, 13.3.5
"Advisory Locks" and "pg_locks"). The session's keepalives end it within half a minute where its host is gone.
"""

from __future__ import annotations

import os
import socket
import time

import asyncpg

from state.text import clean

KEY = (0x52454356, 1)
"""Of this program, for whoever looks into pg_locks."""
LOOK_EVERY = 2.0
ASK = 0.5
"""Seconds that a question may take."""
LONGEST = 63
"""Bytes of an application_name."""
TAKE = "select pg_try_advisory_lock($1, $2)"
HOLDER = """
select coalesce(a.application_name, ''), host(a.client_addr)
from pg_locks as l left join pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.classid::int8 = $1 and l.objid::int8 = $2 and l.objsubid = 2
  and l.database = (select oid from pg_database where datname = current_database()) and l.pid <> pg_backend_pid()
limit 1
"""
SESSION = (
    "select set_config('application_name', $1, false), set_config('tcp_keepalives_idle', '10', false),"
    " set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false)"
)


def engine_name() -> str:
    """This process as an engine, for whoever looks at the target."""
    return f"recovery engine {os.getpid()} on {socket.gethostname()}"[:LONGEST]


class Lease:
    """The lease of one server, for one engine."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._held = False
        self._looked = float("-inf")
        self._other = ""

    async def begin(self, connection: asyncpg.Connection[asyncpg.Record], deadline: float) -> None:
        """Give a new session its name; it has no lease yet. Raises what asyncpg raises."""
        self._held, self._looked = False, float("-inf")
        await connection.fetchrow(SESSION, self._engine, timeout=deadline)

    async def other(self, connection: asyncpg.Connection[asyncpg.Record]) -> str:
        """Take the lease, or tell which other engine has it, asked every two seconds; empty when none has.

        Raises what asyncpg raises.
        """
        now = time.monotonic()
        if self._held or now - self._looked < LOOK_EVERY:
            return self._other
        self._looked = now
        self._held = bool(await connection.fetchval(TAKE, *KEY, timeout=ASK))
        self._other = "" if self._held else await self._holder(connection)
        return self._other

    async def _holder(self, connection: asyncpg.Connection[asyncpg.Record]) -> str:
        row = await connection.fetchrow(HOLDER, *KEY, timeout=ASK)
        if row is None or row[0] == self._engine:  # it has ended meanwhile, or is a session that this engine has lost
            return ""
        return clean(f"{row[0] or 'an engine'}{f' from {row[1]}' if row[1] else ''}", 200)
