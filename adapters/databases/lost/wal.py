"""Commits and the tables they touched between two positions, as pg_walinspect decodes them (15 and later)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncpg

from adapters.databases.comparing.side import SHORT, ComparedSide, said
from adapters.net.answers_read import read_json
from state.errors import ReadFailure
from state.units import megabytes
from state.verdicts.lag import lsn
from state.verdicts.lost_commits import LostSide, TouchedTable

MOST = 256 << 20
"""Bytes of WAL that are decoded of one side; more is cut, and said to be."""
LONGEST = 60.0
FIRST_OWN = 16384
"""Files of tables of the system begin below this number, unless they were written anew."""
WHERE = """
select quote_ident(n.nspname) as schema, pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
  else pg_current_wal_flush_lsn() end, '0/0')::int8 as ends
from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace where e.extname = 'pg_walinspect'
"""
CHANGES = r"""
with wal as materialized (
  select xid::text::int8 as xid, resource_manager as rm, record_type as kind, description as told, block_ref as ref
  from {schema}.pg_get_wal_records_info($1::text::pg_lsn, $2::text::pg_lsn)
  where resource_manager in ('Transaction', 'Heap', 'Heap2')),
ends as (select xid, told from wal where rm = 'Transaction' and kind like 'COMMIT%'),
tops as (select xid as top, xid from ends union
  select e.xid, sub::int8 from ends as e,
    regexp_split_to_table(trim(substring(e.told from 'subxacts: ([0-9 ]+)')), ' ') as sub),
touched as (select t.top, w.kind, at[1] as space, at[2] as base, at[3] as file from wal as w
  join tops as t on t.xid = w.xid
  cross join lateral regexp_match(w.ref, 'rel (\d+)/(\d+)/(\d+)') as at
  where w.rm in ('Heap', 'Heap2') and w.kind ~ '^(INSERT|UPDATE|HOT_UPDATE|DELETE|MULTI_INSERT)' and at is not null)
select (select count(*) from ends) as commits,
  (select coalesce(json_agg(json_build_array(base, space, file, ins, upd, del)), '[]')::text from (
    select base, space, file, count(*) filter (where kind like '%INSERT%') as ins,
      count(*) filter (where kind like '%UPDATE%') as upd, count(*) filter (where kind like 'DELETE%') as del
    from touched group by base, space, file order by count(*) desc limit 1000) as each) as files,
  (select coalesce(json_agg(json_build_array(files, times)), '[]')::text from (
    select files, count(*) as times from (select top, array_agg(distinct base || '/' || file) as files
      from touched group by top) as each group by files limit 1000) as sets) as sets
"""
NAMES = """
select file, n.nspname::text as schema, c.relname::text as name from unnest($1::oid[], $2::oid[]) as at(space, file)
join pg_class as c on c.oid = pg_filenode_relation(space, file) join pg_namespace as n on n.oid = c.relnamespace
"""
BASES = "select oid::text, datname::text from pg_database"
HIDDEN = ("pg_catalog", "pg_toast", "information_schema")
File = tuple[str, str]
"""Numbers of a database and of a file in it."""


async def side_of(node: str, begins: int, past: int | None, opened: Callable[[str], ComparedSide]) -> LostSide:
    """What one side has past a position; what could not be listed is said to be. `opened` gives a side by database."""
    if past == 0:
        return LostSide(node, 0, 0, 0)
    side = opened("")
    try:
        found = await side.fetch(WHERE, timeout=SHORT)
        if not found:
            why = "pg_walinspect is not installed here (15 or later: CREATE EXTENSION pg_walinspect)"
            return LostSide(node, past, why=why)
        ends = min(found[0]["ends"], begins + MOST)
        query = CHANGES.format(schema=found[0]["schema"])
        row = (await side.fetch(query, lsn(begins), lsn(ends), timeout=LONGEST))[0]
        names = await _names(read_json(row["files"]), opened)
    except asyncpg.InsufficientPrivilegeError as error:
        grant = f"GRANT pg_read_server_files TO {side.role}, or EXECUTE on the functions of pg_walinspect"
        return LostSide(node, past, why=f"{said(error)}: {grant}")
    except asyncpg.QueryCanceledError:
        return LostSide(node, past, why=f"decoding its WAL took longer than {LONGEST:.0f} s")
    except (asyncpg.PostgresError, ReadFailure) as error:
        return LostSide(node, past, why=said(error))
    until = ends if ends < found[0]["ends"] else None
    why = f"only the first {megabytes(MOST)} were decoded" if until is not None else ""
    writing = sum(times for files, times in read_json(row["sets"]) if any(_own(names, each) for each in files))
    return LostSide(node, past, row["commits"], writing, _tables(read_json(row["files"]), names), until, why)


def _own(names: Mapping[File, str | None], text: str) -> bool:
    base, _, file = text.partition("/")
    return names.get((base, file)) is not None


def _tables(rows: Sequence[Sequence[Any]], names: Mapping[File, str | None]) -> tuple[TouchedTable, ...]:
    shown = [(names.get((base, file)), *counts) for base, _, file, *counts in rows]
    return tuple(TouchedTable(name, *counts) for name, *counts in shown if name is not None)


async def _names(rows: Sequence[Sequence[Any]], opened: Callable[[str], ComparedSide]) -> dict[File, str | None]:
    """The table of each file, None for one of the system. One that is gone again is named by its number."""
    found: dict[File, str | None] = {}
    bases = {row[0]: row[1] for row in await opened("").fetch(BASES, timeout=SHORT)}
    for base in {row[0] for row in rows}:
        files = [(int(space), int(file)) for other, space, file, *_ in rows if other == base]
        name = bases.get(base)
        for _, file in files:
            found[base, str(file)] = None if base == "0" or file < FIRST_OWN else f"{name or base}: file {file}"
        if name is None or base == "0":
            continue
        spaces, numbers = zip(*files, strict=True)
        for row in await opened(name).fetch(NAMES, list(spaces), list(numbers), timeout=SHORT):
            hidden = row["schema"] in HIDDEN
            found[base, str(row["file"])] = None if hidden else f"{name}: {row['schema']}.{row['name']}"
    return found
