"""What a promotion means for one PostgreSQL node (15 to 18), by queries that only read. It needs `pg_monitor`, and for
the unlogged tables of other databases than the one read here the right to log in to them.

Sources: PostgreSQL manual, "CREATE TABLE" (UNLOGGED), "pg_prepared_xacts", "System Administration Functions"
(pg_control_checkpoint, pg_ls_waldir).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg

from adapters.databases.postgres import PostgresNode
from adapters.net.answers_read import read_json
from state.errors import ReadFailure, Trouble
from state.ports.database import PromotionFacts

UNLOGGED = "select count(*) from pg_class where relpersistence = 'u' and relkind in ('r', 'm')"
QUERY = """
select (select count(*) from pg_class where relpersistence = 'u' and relkind in ('r', 'm')) as unlogged,
  (select coalesce(json_agg(datname order by datname), '[]')::text from pg_database where datallowconn
    and not datistemplate and datconnlimit <> -2 and datname <> current_database()) as others,
  case when pg_is_in_recovery() then null else (select count(*) from pg_prepared_xacts) end as prepared,
  (select timeline_id from pg_control_checkpoint()) as checkpoint,
  (select pg_wal_lsn_diff(redo_lsn, '0/0')::int8 from pg_control_checkpoint()) as redo,
  (select min(substr(name, 9)) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$') as oldest,
  (select setting::int8 from pg_settings where name = 'wal_segment_size') as segment
"""


ASYNCPG = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
AT_ONCE = 4
"""Databases of one server that are asked at the same time."""


async def promotion_facts(server: PostgresNode, *, deadline: float) -> PromotionFacts:
    """Raises ReadFailure."""
    loop = asyncio.get_running_loop()
    until = loop.time() + deadline
    row = await server.ask(QUERY, deadline=deadline)
    oldest, turn = row["oldest"], asyncio.Semaphore(AT_ONCE)
    try:
        others = [str(each) for each in read_json(row["others"])]

        async def asked(database: str) -> int | None:
            async with turn:
                return await _unlogged(server, database, until - loop.time())

        counts = dict(zip(others, await asyncio.gather(*map(asked, others)), strict=True))
        return PromotionFacts(
            server.node,
            unlogged=row["unlogged"] + sum(each for each in counts.values() if each is not None),
            unread=tuple(name for name, count in counts.items() if count is None),
            prepared=row["prepared"],
            checkpoint=row["checkpoint"],
            redo=row["redo"],
            oldest_wal=None if oldest is None else wal_start(oldest, int(row["segment"])),
        )
    except (TypeError, ValueError) as error:
        raise ReadFailure(Trouble.ERROR, f"PostgreSQL {server.node}: its answer is not as expected") from error


async def _unlogged(server: PostgresNode, database: str, deadline: float) -> int | None:
    """How many such tables another database has; None where it does not tell by then."""
    if deadline <= 0:
        return None
    access = replace(server.access, database=database)
    try:
        async with asyncio.timeout(deadline):
            session = await server.session(access, deadline=deadline, read_only=True)
            try:
                count: int = await session.fetchval(UNLOGGED, timeout=deadline)
            finally:
                session.terminate()
    except (TimeoutError, OSError, ReadFailure, *ASYNCPG):
        return None
    return count


def wal_start(name: str, segment: int) -> int:
    """The first byte of a WAL file, by the last 16 digits of its name. Raises ValueError."""
    return (int(name[:8], 16) << 32) + int(name[8:16], 16) * segment
