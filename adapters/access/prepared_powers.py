"""The functions inside a database that tell which accounts have raised rights, also by what they may become."""

from __future__ import annotations

POWERS = """
create or replace function recovery_access.powers(role_oid oid) returns setof name
  language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select p.rolname from pg_roles as p where pg_has_role(role_oid, p.oid, 'member')
    and not (p.oid <> role_oid and (select rolsuper from pg_roles where oid = role_oid))
    and (p.rolsuper or p.rolcreaterole or p.rolreplication or p.rolbypassrls or p.rolname in (
      'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_signal_backend',
      'pg_create_subscription'))
$f$;

create or replace function recovery_access.listed()
  returns table (role_oid oid, role_name text, mark text, can_login boolean, valid_until float8, superuser boolean,
    rights text, ours boolean)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select r.oid, r.rolname::text, coalesce(recovery_access.mark(r.oid)::text, ''), r.rolcanlogin,
    case when r.rolvaliduntil is null then null when not isfinite(r.rolvaliduntil) then null
      else extract(epoch from r.rolvaliduntil)::float8 end,
    r.rolsuper or (recovery_access.mark(r.oid) is null and exists (select from pg_roles as p
      where p.rolsuper and pg_has_role(r.oid, p.oid, 'member'))),
    array_to_string(array(select g.rolname from pg_auth_members as m join pg_roles as g on g.oid = m.roleid
      where m.member = r.oid union select p from recovery_access.powers(r.oid) as p where p <> r.rolname
      order by 1), ', '), recovery_access.mark(r.oid) is not null
  from pg_roles as r
  where recovery_access.mark(r.oid) is not null
    or (r.oid >= 16384 and r.rolcanlogin and (
    exists (select from recovery_access.powers(r.oid)) or exists (select from pg_roles as g
      where g.rolname in ('pg_read_all_data', 'pg_write_all_data') and pg_has_role(r.oid, g.oid, 'member'))
    or pg_has_role(r.oid, 'recovery_owner', 'member')))
  order by 2
$f$;
"""
