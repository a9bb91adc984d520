"""The queries: catalogs only, but for what asks the rows themselves. Columns of newer majors are read by name."""

from __future__ import annotations

SERVER = """
select pg_is_in_recovery() as in_recovery, (select system_identifier::text from pg_control_system()) as system_id,
  current_setting('server_version') as version,
  case when pg_is_in_recovery() then null else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end as wal_timeline,
  coalesce((select received_tli from pg_stat_wal_receiver), (select min_recovery_end_timeline
    from pg_control_recovery()), 0) as received, (select timeline_id from pg_control_checkpoint()) as checkpoint,
  exists (select from pg_stat_wal_receiver where status = 'streaming') as streams,
  (select count(*) from pg_stat_replication) as sends,
  (select json_object_agg(name, coalesce(reset_val, ''))::text from pg_settings
    where context <> 'internal' and source not in ('client', 'session')) as settings,
  (select coalesce(json_agg(json_build_array(slot_name, slot_type, active, wal_status,
      case when to_jsonb(s) ->> 'conflicting' = 'true' then 'conflict with recovery'
        else to_jsonb(s) ->> 'invalidation_reason' end) order by slot_name), '[]')::text
    from pg_replication_slots as s where not temporary) as slots,
  (select coalesce(json_object_agg(gid, extract(epoch from clock_timestamp() - prepared)::float8), '{}')::text
    from pg_prepared_xacts) as prepared,
  (select coalesce(json_object_agg(name, default_version), '{}')::text from pg_available_extensions) as available,
  (select coalesce(json_agg(datname order by datname), '[]')::text from pg_database
    where datallowconn and not datistemplate) as databases
"""
DATABASE = """
select
  (select json_object_agg(name, json_build_array(recorded, actual))::text from (
    select '' as name, datcollversion as recorded, pg_database_collation_actual_version(oid) as actual
    from pg_database where datname = current_database()
    union all
    select c.collname::text, c.collversion, pg_collation_actual_version(c.oid) from pg_collation as c
    where c.collversion is not null and c.collprovider <> 'd'
      and c.oid in (select unnest(indcollation::oid[]) from pg_index)) as used) as collations,
  (select coalesce(json_object_agg(extname, extversion), '{}')::text from pg_extension) as extensions,
  (select coalesce(json_agg(json_build_array(conname,
      case when conrelid <> 0 then conrelid::regclass::text else 'domain ' || contypid::regtype::text end,
      case contype when 'n' then 'not-null' else 'check' end,
      case when to_jsonb(c) ->> 'conenforced' = 'false' then 'not enforced' else 'not validated' end,
      case when contype = 'n' and conrelid <> 0 then (select quote_ident(attname) from pg_attribute
        where attrelid = conrelid and attnum = conkey[1]) else '' end) order by 2, 1), '[]')::text
    from pg_constraint as c where contype in ('c', 'n')
      and (not convalidated or to_jsonb(c) ->> 'conenforced' = 'false')) as constraints,
  (select coalesce(json_agg(json_build_array(conname, conrelid::regclass::text, confrelid::regclass::text,
      (select json_agg(json_build_array(quote_ident(mine.attname),
          format('operator(%I.%s)', space.nspname, o.oprname), quote_ident(theirs.attname)) order by at.place)
        from unnest(conkey, confkey, conpfeqop) with ordinality as at(child, parent, op, place)
        join pg_attribute as mine on mine.attrelid = conrelid and mine.attnum = at.child
        join pg_attribute as theirs on theirs.attrelid = confrelid and theirs.attnum = at.parent
        join pg_operator as o on o.oid = at.op join pg_namespace as space on space.oid = o.oprnamespace),
      case when to_jsonb(c) ->> 'conenforced' = 'false' then 'not enforced'
        when convalidated then 'valid' else 'not validated' end,
      confmatchtype = 'f', coalesce(to_jsonb(c) ->> 'conperiod' = 'true', false)) order by 2, 1), '[]')::text
    from pg_constraint as c where contype = 'f' and conparentid = 0) as keys,
  (select coalesce(json_agg(json_build_array(s.seqrelid::regclass::text, u.relid::regclass::text,
      quote_ident(a.attname), s.seqincrement,
      case when s.seqincrement > 0 then least(s.seqmax, t.most) else greatest(s.seqmin, -t.most - 1) end,
      s.seqcycle and s.seqmax <= t.most) order by s.seqrelid::regclass::text collate "C"), '[]')::text
    from (select objid as seq, refobjid as relid, refobjsubid as num from pg_depend
        where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass and refobjsubid > 0
          and deptype in ('a', 'i')
      union
      select d.refobjid, f.adrelid, f.adnum from pg_depend as d join pg_attrdef as f on f.oid = d.objid
        where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass) as u
    join pg_sequence as s on s.seqrelid = u.seq
    join pg_attribute as a on a.attrelid = u.relid and a.attnum = u.num
    cross join lateral (select case a.atttypid when 'int2'::regtype then 32767 when 'int4'::regtype then 2147483647
      else 9223372036854775807 end as most) as t) as sequences,
  (select coalesce(json_agg(indexrelid::regclass::text order by 1), '[]')::text from pg_index
    where not (indisvalid and indisready and indislive)) as invalid,
  (select coalesce(json_agg(oid::regclass::text order by 1), '[]')::text from pg_class
    where relpersistence = 'u' and relkind = 'r') as unlogged,
  (select coalesce(json_agg(c.oid::regclass::text order by 1), '[]')::text from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and c.relpersistence <> 't'
      and not c.relispartition and n.nspname <> 'information_schema' and n.nspname !~ '^pg_') as tables,
  (select coalesce(json_agg(i.indexrelid::regclass::text order by 1), '[]')::text from pg_index as i
    join pg_class as c on c.oid = i.indexrelid join pg_am as m on m.oid = c.relam
    where m.amname = 'btree' and c.relkind = 'i' and i.indisvalid and c.relpersistence <> 't'
      and not (pg_is_in_recovery() and c.relpersistence = 'u')) as btrees,
  (select coalesce(json_object_agg(kind, many), '{}')::text from (
    select case when m.amname = 'btree' then 'unlogged' else m.amname end as kind, count(*) as many
    from pg_index as i join pg_class as c on c.oid = i.indexrelid join pg_am as m on m.oid = c.relam
    where c.relkind = 'i' and i.indisvalid and c.relpersistence <> 't'
      and (m.amname <> 'btree' or (pg_is_in_recovery() and c.relpersistence = 'u')) group by 1) as o) as unread,
  (select coalesce(json_object_agg(name, indexes), '{}')::text from (
    select col.name, json_agg(c.oid::regclass::text order by c.oid::regclass::text collate "C") as indexes
    from (select 100::oid as oid, '' as name, age(xmin) as since from pg_database
        where datname = current_database() and datcollversion is not null
      union all
      select oid, collname::text, age(xmin) from pg_collation where collversion is not null and collprovider <> 'd'
      ) as col
    join pg_index as i on col.oid = any (i.indcollation::oid[])
    join pg_class as c on c.oid = i.indexrelid
    where c.relkind = 'i' and c.relpersistence <> 't' and c.oid >= 16384 and age(c.xmin) > col.since group by 1) as r
    ) as older,
  coalesce((select quote_ident(n.nspname) from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'amcheck'), '') as amcheck_in
"""


def position(sequence: str, table: str, column: str, *, down: bool = False) -> str:
    """`last`, `called`, and the largest value of the column, of a sequence that goes down the smallest; all names are
    quoted already."""
    largest = f"select {'min' if down else 'max'}({column})::numeric from {table}"  # noqa: S608
    return f"select last_value as last, is_called as called, ({largest}) as largest from {sequence}"  # noqa: S608


def orphan(
    table: str, parent: str, joined: tuple[tuple[str, str, str], ...], *, full: bool = False, period: bool = False
) -> str:
    """Whether a row of a child has no parent. A child with a NULL in its key has none to have; of a `full` key only one
    that is NULL throughout. Of a `period` (18) the parents together must hold all of the child's."""
    how = " or " if full else " and "
    there = how.join(f"c.{child} is not null" for child, _, _ in joined)
    same = " and ".join(f"p.{theirs} {operator} c.{child}" for child, operator, theirs in joined)
    missing = f"not exists (select from {parent} as p where {same})"
    if period:
        span, _, theirs = joined[-1]
        whole = f"select pg_catalog.range_agg(p.{theirs}) from {parent} as p where {same}"  # noqa: S608
        missing = f"not coalesce(({whole}) operator(pg_catalog.@>) c.{span}, false)"
    return f"select exists (select from {table} as c where ({there}) and {missing})"  # noqa: S608


def has_null(table: str, column: str) -> str:
    """Whether a column has a NULL. The planner must not believe the constraint that is looked at."""
    return f"select exists (select from {table} as c where num_nulls(c.{column}) > 0)"  # noqa: S608


def check_btree(schema: str, index: str) -> str:
    """amcheck's plain check: it takes no heavier lock than a SELECT and works on standbys."""
    literal = index.replace("'", "''")
    return f"select {schema}.bt_index_check(index => '{literal}'::regclass)"
