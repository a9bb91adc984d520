"""What ends a grant inside a database without the engine, and what hands over what it made."""

from __future__ import annotations

CLEANER = """
create or replace function recovery_access.clear(role_oid oid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1500ms' as $f$
declare m jsonb := recovery_access.mark(role_oid); name text;
begin
  if m is null then return; end if;
  if not recovery_access.over(role_oid) then
    raise 'this grant is not over' using errcode = 'object_not_in_prerequisite_state';
  end if;
  select rolname into name from pg_roles where oid = role_oid and not rolsuper;
  if exists (select from recovery_access.prepared(role_oid) as p where p.database = current_database()) then
    raise 'a prepared transaction of it is open' using errcode = 'object_in_use';
  end if;
  execute format('reassign owned by %I to recovery_orphans', name);
  execute format('drop owned by %I', name);
exception when lock_not_available then
  raise 'lock timeout: what it made is locked by process %', coalesce((select string_agg(distinct l.pid::text, ', ')
    from pg_locks as l join pg_class as c on c.oid = l.relation
    where c.relowner = role_oid and l.granted and l.pid <> pg_backend_pid()), 'unknown')
    using errcode = 'lock_not_available';
end $f$;
"""
"""It runs with the rights of the superuser that prepares: what owners granted to a grantee only they or a superuser can
take back, and nobody can be made a member of all of them. It does nothing but hand over and revoke what
one role has, which carries a grant's mark, is over and is no superuser."""

REAPER = """
create or replace procedure recovery_access.reap(role_oid oid, patience int) language plpgsql as $f$
declare
  began timestamptz; starting int[]; before int[] := '{}'; closed boolean;
begin
  loop
    exit when recovery_access.over(role_oid);
    commit;  -- nothing is held while it sleeps
    perform pg_catalog.pg_sleep(least(0.25, greatest(0.001, recovery_access.left_of(role_oid))));
  end loop;
  began := pg_catalog.clock_timestamp();
  loop
    begin
      closed := recovery_access.block(role_oid) = '';
    exception when others then closed := false;  -- whoever is in its way is ended below
    end;
    commit;
    perform recovery_access.terminate(role_oid, '{}');  -- what is known to be of it, before anything is looked for
    select coalesce(pg_catalog.array_agg(u), '{}') into starting from recovery_access.unaccounted() as u;
    perform recovery_access.terminate(role_oid,
      array(select s from pg_catalog.unnest(starting) as s where s = any (before)));
    before := starting;
    commit;
    perform pg_catalog.pg_sleep(0.25);
    exit when closed and pg_catalog.clock_timestamp() > began + pg_catalog.make_interval(secs => patience)
      and not exists (select from recovery_access.sessions(role_oid));
    exit when not exists (select from pg_catalog.pg_roles as r where r.oid = role_oid)
      and not exists (select from recovery_access.sessions(role_oid));
  end loop;
end $f$;
"""
"""It sleeps inside the server until the end of a grant, then blocks its login and ends its sessions, whoever is gone.
It is no function of `recovery_owner`: those may not end transactions, and one that is held open would hold back vacuum.
"""
