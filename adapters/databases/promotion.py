"""What a promotion means for one PostgreSQL node (15 to 18), in one query that only reads. It needs `pg_monitor`.

Sources: PostgreSQL manual, "CREATE TABLE" (UNLOGGED), "pg_prepared_xacts", "System Administration Functions"
(pg_control_checkpoint, pg_ls_waldir).
"""

from __future__ import annotations

from adapters.databases.postgres import PostgresNode
from state.errors import ReadFailure, Trouble
from state.ports.database import PromotionFacts

QUERY = """
select (select count(*) from pg_class where relpersistence = 'u' and relkind in ('r', 'm')) as unlogged,
  case when pg_is_in_recovery() then null else (select count(*) from pg_prepared_xacts) end as prepared,
  (select timeline_id from pg_control_checkpoint()) as checkpoint,
  (select pg_wal_lsn_diff(redo_lsn, '0/0')::int8 from pg_control_checkpoint()) as redo,
  (select min(substr(name, 9)) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$') as oldest,
  (select setting::int8 from pg_settings where name = 'wal_segment_size') as segment
"""


async def promotion_facts(server: PostgresNode, *, deadline: float) -> PromotionFacts:
    """Raises ReadFailure."""
    row = await server.ask(QUERY, deadline=deadline)
    oldest = row["oldest"]
    try:
        return PromotionFacts(
            server.node,
            unlogged=row["unlogged"],
            prepared=row["prepared"],
            checkpoint=row["checkpoint"],
            redo=row["redo"],
            oldest_wal=None if oldest is None else wal_start(oldest, int(row["segment"])),
        )
    except (TypeError, ValueError) as error:
        raise ReadFailure(Trouble.ERROR, f"PostgreSQL {server.node}: its answer is not as expected") from error


def wal_start(name: str, segment: int) -> int:
    """The first byte of a WAL file, by the last 16 digits of its name. Raises ValueError."""
    return (int(name[:8], 16) << 32) + int(name[8:16], 16) * segment
