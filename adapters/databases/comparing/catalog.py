"""The tables of a database as its catalog has them."""

from __future__ import annotations

from typing import Any

from adapters.databases.comparing.side import ComparedSide
from adapters.net.answers_read import read_json
from state.comparing.shapes import TableColumn, TableShape

# `attnotnull` is also set by a constraint that was never validated (18): then a NULL may be there.
TABLES = """
with recursive bases(domain, base) as (
  select oid, typbasetype from pg_type where typtype = 'd'
  union all
  select b.domain, t.typbasetype from bases as b join pg_type as t on t.oid = b.base where t.typtype = 'd'
), leaves(root, leaf) as (
  select oid, oid from pg_class where relkind = 'p' and not relispartition
  union all
  select l.root, i.inhrelid from leaves as l join pg_inherits as i on i.inhparent = l.leaf
), columns as (
  select a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod) as type_name,
    case when t.typtype = 'b' and t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text else '' end as base,
    a.atttypmod as typmod, a.attgenerated::text as generated, d.base is not null as domain,
    a.attnotnull and not exists (select from pg_constraint as n where n.conrelid = a.attrelid and n.contype = 'n'
      and n.conkey[1] = a.attnum and not n.convalidated) as filled
  from pg_attribute as a
  left join (select b.domain, b.base from bases as b join pg_type as t on t.oid = b.base where t.typtype <> 'd') as d
    on d.domain = a.atttypid
  join pg_type as t on t.oid = coalesce(d.base, a.atttypid)
  where a.attnum > 0 and not a.attisdropped
)
select n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
  c.relpersistence = 'u' as unlogged, has_table_privilege(c.oid, 'select') as readable,
  coalesce((select sum(greatest(p.reltuples, 0)) from leaves as l join pg_class as p on p.oid = l.leaf
    where l.root = c.oid), greatest(c.reltuples, 0))::int8 as rows,
  (coalesce((select sum(p.relpages) from leaves as l join pg_class as p on p.oid = l.leaf where l.root = c.oid),
    c.relpages) * current_setting('block_size')::int8)::int8 as size,
  (select coalesce(json_agg(json_build_array(a.attname, a.type_name, a.base, a.typmod, a.filled, a.generated, a.domain)
    order by a.attnum), '[]')::text from columns as a where a.attrelid = c.oid) as columns,
  (select coalesce(json_agg(k.names order by not k.indisprimary, k.indexrelid), '[]')::text from (
    select i.indisprimary, i.indexrelid, (select json_agg(a.attname order by at.place)
        from unnest(i.indkey::int2[]) with ordinality as at(num, place)
        join columns as a on a.attrelid = c.oid and a.attnum = at.num where at.place <= i.indnkeyatts) as names
    from pg_index as i
    where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null
      and i.indexprs is null and not exists (select from unnest(i.indkey::int2[]) with ordinality as at(num, place)
        join columns as a on a.attrelid = c.oid and a.attnum = at.num
        where at.place <= i.indnkeyatts and not a.filled)) as k) as keys
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm', 'f') and not c.relispartition and c.relpersistence <> 't'
  and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
"""
DATABASES = "select datname::text from pg_database where datallowconn and not datistemplate order by 1"
LARGE_OBJECTS = "select count(*) from pg_largeobject_metadata"
FOREIGN = "f"


async def tables_of(side: ComparedSide) -> dict[str, TableShape]:
    """Every table that can be compared, and foreign ones, by `schema.table`. Raises ReadFailure and PostgresError."""
    rows = await side.fetch(TABLES)
    found = [
        TableShape(
            row["schema"],
            row["name"],
            tuple(_column(each) for each in read_json(row["columns"])),
            tuple(tuple(key) for key in read_json(row["keys"])),
            row["kind"],
            row["rows"],
            row["size"],
            row["unlogged"],
            row["readable"],
        )
        for row in rows
    ]
    return {each.full_name: each for each in found}


def _column(row: list[Any]) -> TableColumn:
    name, type_name, base, typmod, filled, generated, domain = row
    return TableColumn(name, type_name, base, typmod, filled, generated, domain)
