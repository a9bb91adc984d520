"""What a promotion means for one PostgreSQL node (15 to 18), in one query that only reads. It needs `pg_monitor`.

Sources: PostgreSQL manual, "pg_replication_slots" (`failover` and `synced` from 17), "CREATE TABLE" (UNLOGGED),
"pg_prepared_xacts", "System Administration Functions" (pg_ls_waldir).
"""

from __future__ import annotations

from typing import Any

from adapters.databases.postgres import PostgresNode
from adapters.net.answers_read import read_json
from state.errors import ReadFailure, Trouble
from state.ports.database import LogicalSlot, PromotionFacts

# Rows as JSON, so that columns which a version does not have are absent instead of an error.
QUERY = """
select (select coalesce(json_agg(row_to_json(s)), '[]')::text from pg_replication_slots as s
    where s.slot_type = 'logical') as logical,
  (select count(*) from pg_class where relpersistence = 'u' and relkind in ('r', 'm')) as unlogged,
  case when pg_is_in_recovery() then null else (select count(*) from pg_prepared_xacts) end as prepared,
  (select timeline_id from pg_control_checkpoint()) as checkpoint,
  (select pg_wal_lsn_diff(redo_lsn, '0/0')::int8 from pg_control_checkpoint()) as redo,
  (select min(substr(name, 9)) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$') as oldest,
  (select setting::int8 from pg_settings where name = 'wal_segment_size') as segment
"""
LARGEST = 256 << 10


async def promotion_facts(server: PostgresNode, *, deadline: float) -> PromotionFacts:
    """Raises ReadFailure."""
    row = await server.ask(QUERY, deadline=deadline)
    try:
        return _facts(server.node, dict(row))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ReadFailure(Trouble.ERROR, f"PostgreSQL {server.node}: its answer is not as expected") from error


def _facts(node: str, row: dict[str, Any]) -> PromotionFacts:
    if len(row["logical"]) > LARGEST:
        raise ValueError("too many slots")
    slots = tuple(
        LogicalSlot(str(each["slot_name"]), *(_flag(each, key) for key in ("failover", "synced", "temporary")))
        for each in read_json(row["logical"])
    )
    oldest = row["oldest"]
    return PromotionFacts(
        node,
        logical=slots,
        unlogged=row["unlogged"],
        prepared=row["prepared"],
        checkpoint=row["checkpoint"],
        redo=row["redo"],
        oldest_wal=None if oldest is None else wal_start(oldest, int(row["segment"])),
    )


def _flag(row: dict[str, Any], key: str) -> bool | None:
    value = row.get(key)
    return value if isinstance(value, bool) else None


def wal_start(name: str, segment: int) -> int:
    """The first byte of a WAL file, by the last 16 digits of its name. Raises ValueError."""
    return (int(name[:8], 16) << 32) + int(name[8:16], 16) * segment
