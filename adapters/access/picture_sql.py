"""What is read of a whole cluster for a picture, and the functions of its tier.

The account that acts reads what everybody may; what only superusers see comes from `recovery_access.private_*`, as
digests with a salt that only superusers can read.
"""

from __future__ import annotations

from state.granting.picture import PictureKind

CLUSTER: dict[PictureKind, str] = {
    PictureKind.ROLE: "select rolname, oid::text from pg_roles where oid <> all($1)",
    PictureKind.ROLE_FLAGS: (
        "select rolname, concat_ws(',', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, "
        "rolbypassrls, rolconnlimit) from pg_roles where oid <> all($1)"
    ),
    PictureKind.VALID_UNTIL: "select rolname, coalesce(rolvaliduntil::text, '') from pg_roles where oid <> all($1)",
    PictureKind.MEMBERSHIP: (
        "select format('%s in %s', m.member::regrole, m.roleid::regrole), string_agg((to_jsonb(m) - 'oid')::text, ',' "
        "order by m.grantor) from pg_auth_members as m where m.member <> all($1) and m.roleid <> all($1) group by 1"
    ),
    PictureKind.DEAD_GRANTOR: (
        "select format('%s in %s', m.member::regrole, m.roleid::regrole), m.grantor::text from pg_auth_members as m "
        "where not exists (select from pg_roles as r where r.oid = m.grantor) and m.member <> all($1)"
    ),
    PictureKind.ROLE_SETTINGS: (
        "select setrole::regrole::text, xmin::text from pg_db_role_setting where setdatabase = 0 and setrole <> all($1)"
    ),
    PictureKind.DATABASE_SETTINGS: (
        "select concat_ws(' of ', d.datname, nullif(s.setrole, 0)::regrole), s.xmin::text from pg_db_role_setting as s "
        "join pg_database as d on d.oid = s.setdatabase where s.setrole <> all($1)"
    ),
    PictureKind.DATABASE: (
        "select datname, concat_ws(',', oid, datdba, datacl, datallowconn, datistemplate, datconnlimit) "
        "from pg_database where 0::oid <> all($1)"
    ),
    PictureKind.TABLESPACE: (
        "select spcname, concat_ws(',', oid, spcowner, spcacl, spcoptions, pg_tablespace_location(oid)) "
        "from pg_tablespace where 0::oid <> all($1)"
    ),
    PictureKind.SLOT: (
        "select slot_name, concat_ws(',', plugin, slot_type, database) from pg_replication_slots "
        "where 0::oid <> all($1)"
    ),
    PictureKind.ORIGIN: "select roname, roident::text from pg_replication_origin where 0::oid <> all($1)",
    PictureKind.PREPARED: (
        "select format('%s of %s', gid, owner), database::text from pg_prepared_xacts where 0::oid <> all($1)"
    ),
    PictureKind.PARAMETER_RIGHT: "select parname, paracl::text from pg_parameter_acl where 0::oid <> all($1)",
    PictureKind.LABEL: (
        "select format('%s %s', classoid::regclass, objoid), label from pg_shseclabel where 0::oid <> all($1)"
    ),
}
"""Thing and value. `$1` are the OIDs of grants: their roles are made and removed here."""
MARKED = """
select coalesce(array_agg(r.oid), '{}') from pg_roles as r where r.oid = any($1) and r.rolname ~ '^bg_'
  and shobj_description(r.oid, 'pg_authid') ~ '^recovery grant [{]'
"""
"""Those of them that are there and marked: whoever gives another role the number of a grant hides nothing by it."""
CLOSED = """
select d.datname::text, d.datallowconn and d.datname <> 'template0',
  concat_ws(',', pg_stat_get_db_sessions(d.oid), pg_stat_get_db_stat_reset_time(d.oid))
from pg_database as d order by 1
"""
"""Databases, whether they are read, and how often somebody was in one: what nobody was in is as it was."""

SUPER = "recovery_super"
"""Nobody can log in as it; who holds a grant of this tier becomes it by SET ROLE. Its sessions stay those of its own
role, which is no superuser: what ends other grants ends this one."""

TIER = f"""
create table if not exists recovery_access.salt (salt uuid primary key);
alter table recovery_access.salt owner to {SUPER};
revoke all on recovery_access.salt from public, recovery_owner;
insert into recovery_access.salt select gen_random_uuid() where not exists (select from recovery_access.salt);

create or replace function recovery_access.raise_up(role_oid oid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
declare m jsonb := recovery_access.mark(role_oid); name text;
begin
  if m is null or m ->> 'bundle' <> 'superuser' or m ->> 'state' <> 'armed' then
    raise 'this is no grant of that tier' using errcode = 'object_not_in_prerequisite_state';
  end if;
  select rolname into name from pg_roles where oid = role_oid;
  if current_setting('server_version_num')::int >= 160000 then
    execute format('grant {SUPER} to %I with inherit false, set true', name);
  else
    execute format('alter role %I noinherit; grant {SUPER} to %I', name, name);
  end if;
end $f$;

create or replace function recovery_access.private_cluster() returns table (kind text, thing text, value text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
declare salt text := (select s.salt from recovery_access.salt as s limit 1);
begin
  return query with told (kind, thing, value) as (
    select 'password', rolname::text, coalesce(rolpassword, '') from pg_authid
      where not coalesce(rolname ~ '^bg_' and shobj_description(oid, 'pg_authid') ~ '^recovery grant', false)
    union all select case when name ~ '_preload_libraries$' then 'preload'
        when name ~ '_command$|_library$|_program$|^jit_provider$|^dynamic_library_path$' then 'command'
        when sourcefile ~ 'postgresql\\.auto\\.conf$' then 'auto-conf' else 'conf' end,
      coalesce(name, 'line ' || sourceline) || ' in ' || substring(sourcefile from '[^/]*$'),
      string_agg(coalesce(setting, '') || coalesce(error, ''), ',' order by seqno) from pg_file_settings group by 1, 2
    union all select 'hba', 'order of its lines', string_agg(concat_ws(' ', type, database, user_name, address, netmask,
      auth_method, options), '; ' order by ordinality) from pg_hba_file_rules() with ordinality
    union all select 'hba', concat_ws(' ', type, array_to_string(database, ','), array_to_string(user_name, ','),
      address, netmask, auth_method, error), count(*) || coalesce(string_agg(array_to_string(options, ' '), ','), '')
      from pg_hba_file_rules group by 1, 2
    union all select 'ident', concat_ws(' ', map_name, sys_name, pg_username, error), count(*)::text
      from pg_ident_file_mappings group by 1, 2
    union all select 'worker', backend_type, count(*)::text from pg_stat_activity where backend_type not in (
      'client backend', 'autovacuum worker', 'autovacuum launcher', 'background writer', 'checkpointer', 'walwriter',
      'walsender', 'walreceiver', 'startup', 'archiver', 'logger', 'parallel worker', 'logical replication launcher',
      'slotsync worker', 'io worker', 'walsummarizer') group by 1, 2)
  select t.kind, t.thing, left(encode(sha256(convert_to(salt || t.value, 'UTF8')), 'hex'), 16) from told as t;
end $f$;

create or replace function recovery_access.private_database() returns table (kind text, thing text, value text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
declare salt text := (select s.salt from recovery_access.salt as s limit 1); jobs text := '';
begin
  -- a superuser's own table: whoever made another one would have what is in it run here
  if exists (select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
      join pg_roles as r on r.oid = c.relowner join pg_roles as o on o.oid = n.nspowner
      where n.nspname = 'cron' and c.relname = 'job' and c.relkind = 'r' and r.rolsuper and o.rolsuper) then
    jobs := ' union all select ''job'', j.jobid::text, (to_jsonb(j))::text from cron.job as j';
  end if;
  return query execute 'select t.kind, t.thing, left(encode(sha256(convert_to($1 || t.value, ''UTF8'')), ''hex''), 16) '
    'from (select ''user-mapping'' as kind, format(''%s at %s'', case m.umuser when 0 then ''public'' else '
    'm.umuser::regrole::text end, s.srvname) as thing, coalesce(m.umoptions::text, '''') as value '
    'from pg_user_mapping as m join pg_foreign_server as s on s.oid = m.umserver '
    'union all select ''subscription'', subname, concat_ws('','', subconninfo, subenabled, subowner, subpublications) '
    'from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())'
    || jobs || ') as t' using salt;
end $f$;
"""
"""Of the superuser that prepares. `private_cluster` and `private_database` tell digests only."""


def tier_sql(act: str) -> str:
    """What is made only where the estate allows the tier of superusers. `act`: the account that acts, quoted."""
    return "\n".join(
        [
            f"do $$ begin if not exists (select from pg_catalog.pg_roles where rolname = '{SUPER}') then "
            f"create role {SUPER}; end if; end $$;",
            f"alter role {SUPER} nologin superuser;",
            TIER,
            "revoke all on function recovery_access.raise_up(oid), recovery_access.private_cluster(), "
            "recovery_access.private_database() from public;",
            f"revoke all on function recovery_access.raise_up(oid) from {act};",
            "grant execute on function recovery_access.raise_up(oid) to recovery_owner;",
            "grant execute on function recovery_access.private_cluster(), recovery_access.private_database() "
            f"to {act};",
        ]
    )
