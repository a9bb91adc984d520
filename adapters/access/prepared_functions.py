"""The functions inside a database that make, watch and end grants. `@HEAD@`, `@CASES@`,
`@LONGEST@` and `@VERSION@` are filled in.

A grant's mark is the comment of its role, as JSON: shared by all databases of the cluster, streamed to standbys, and
written by nobody but its creator. A role that does not have it is none of ours and is never touched.
"""

from __future__ import annotations

HEAD = (
    "language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '3s' "
    "set datestyle = 'ISO' set timezone = 'UTC'"
)
"""Times are written into statements: in another style they could be read as those of another zone."""

FUNCTIONS = """
create or replace function recovery_access.version() returns int language sql immutable as $f$ select @VERSION@ $f$;

create or replace function recovery_access.mark(role_oid oid) returns jsonb
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $f$
declare told text := shobj_description(role_oid, 'pg_authid');
begin
  if not exists (select from pg_roles where oid = role_oid and rolname ~ '^bg_') then return null; end if;
  if told is null or told !~ '^recovery grant \\{' then return null; end if;
  return substr(told, 16)::jsonb;
exception when others then return null;
end $f$;

create or replace function recovery_access.remark(role_oid oid, more jsonb) returns void @HEAD@ as $f$
begin
  execute format('comment on role %I is %L', (select rolname from pg_roles where oid = role_oid),
    'recovery grant ' || (recovery_access.mark(role_oid) || more)::text);
end $f$;

create or replace function recovery_access.too_strong(given text) returns text
  language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select string_agg(case when r.rolname = given then r.rolname else given || ' in ' || r.rolname end, ', ' order by 1)
  from pg_roles as r where pg_has_role((select g.oid from pg_roles as g where g.rolname = given), r.oid, 'member')
    and (r.rolsuper or r.rolcreaterole or r.rolreplication or r.rolname = session_user
      or r.rolname in ('recovery_owner', 'recovery_super', 'pg_signal_backend', 'pg_execute_server_program',
        'pg_write_server_files', 'pg_maintain'))
$f$;

create or replace function recovery_access.prepared(role_oid oid) returns table (gid text, database text)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select p.gid, p.database::text from pg_prepared_xacts as p join pg_roles as r on r.rolname = p.owner
    cross join (select recovery_access.mark(role_oid) as m) as t
  where r.oid = role_oid or (t.m is not null and pg_has_role(role_oid, r.oid, 'member')
    and p.prepared between to_timestamp((t.m ->> 'made')::float8)
      and coalesce(to_timestamp((t.m ->> 'closed')::float8), clock_timestamp()) + interval '10 seconds')
$f$;

create or replace function recovery_access.arm(
    grant_id text, effect text, role_name text, bundle text, person text, ticket text, seconds int)
  returns table (role_oid oid, ends_at float8) @HEAD@ as $f$
declare
  given text := case bundle @CASES@ end;
  until timestamptz := clock_timestamp() + make_interval(secs => seconds);
  how text := ''; against text;
begin
  lock table recovery_access.turn in exclusive mode;
  if given is null then raise 'no bundle % here', bundle using errcode = 'invalid_parameter_value'; end if;
  if seconds < 1 or seconds > @LONGEST@ then
    raise 'a grant lasts 1 to @LONGEST@ seconds' using errcode = 'invalid_parameter_value';
  end if;
  if role_name !~ '^bg_[a-z0-9_]{1,60}$' then
    raise 'not the name of a grant: %', role_name using errcode = 'invalid_name';
  end if;
  against := recovery_access.too_strong(given);
  if bundle <> 'superuser' and against is not null then
    raise 'bundle % would give %: its holder could end what ends it', bundle, against
      using errcode = 'insufficient_privilege';
  end if;
  if pg_is_in_recovery() then raise 'this server is a standby' using errcode = 'read_only_sql_transaction'; end if;
  execute format('create role %I nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls '
    'connection limit 0 valid until %L', role_name, until);
  if current_setting('server_version_num')::int >= 160000 then
    how := case when bundle = 'schema-fix' then ' with inherit true, set true' else ' with inherit true, set false' end;
  end if;
  execute format('comment on role %I is %L', role_name, 'recovery grant ' || jsonb_build_object('grant', grant_id,
    'effect', effect, 'bundle', bundle, 'person', person, 'ticket', ticket,
    'made', extract(epoch from clock_timestamp()), 'ends', extract(epoch from until), 'state', 'armed',
    'xid', pg_current_xact_id()::text)::text);
  if bundle = 'superuser' then
    perform recovery_access.raise_up((select r.oid from pg_roles as r where r.rolname = role_name));
  else
    execute format('grant %I to %I%s', given, role_name, how);
  end if;
  return query select r.oid, extract(epoch from until)::float8 from pg_roles as r where r.rolname = role_name;
end $f$;

create or replace function recovery_access.open_login(role_oid oid, verifier text, window_seconds int)
  returns float8 @HEAD@ as $f$
declare
  m jsonb; name text; until timestamptz;
begin
  lock table recovery_access.turn in exclusive mode;
  m := recovery_access.mark(role_oid);
  select rolname into name from pg_roles where oid = role_oid;
  if m is null or m ->> 'state' <> 'armed' then
    raise 'this grant is not armed' using errcode = 'object_not_in_prerequisite_state';
  end if;
  if verifier !~ '^SCRAM-SHA-256\\$[0-9]+:[A-Za-z0-9+/=]+\\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$' then
    raise 'not a SCRAM verifier' using errcode = 'invalid_password';
  end if;
  until := least(to_timestamp((m ->> 'ends')::float8), clock_timestamp() + make_interval(secs => window_seconds));
  if until <= clock_timestamp() then
    raise 'this grant is over' using errcode = 'object_not_in_prerequisite_state';
  end if;
  execute format('alter role %I login connection limit 4 password %L valid until %L', name, verifier, until);
  perform recovery_access.remark(role_oid, jsonb_build_object('state', 'open', 'secret',
    encode(sha256(convert_to(verifier, 'UTF8')), 'hex')));
  return extract(epoch from until);
end $f$;

create or replace function recovery_access.rehearse(role_oid oid, verifier text) returns boolean @HEAD@ as $f$
begin
  lock table recovery_access.turn in exclusive mode;
  if recovery_access.mark(role_oid) ->> 'state' is distinct from 'armed' or verifier !~ '^SCRAM-SHA-256\\$' then
    raise 'this grant is not armed' using errcode = 'object_not_in_prerequisite_state';
  end if;
  execute format('alter role %I nologin password %L valid until %L',
    (select rolname from pg_roles where oid = role_oid), verifier, clock_timestamp() + interval '30 seconds');
  return true;
end $f$;

create or replace function recovery_access.keep_open(role_oid oid, window_seconds int) returns float8 @HEAD@ as $f$
declare m jsonb; until timestamptz;
begin
  lock table recovery_access.turn in exclusive mode;
  m := recovery_access.mark(role_oid);
  if m is null or m ->> 'state' <> 'open' then return null; end if;
  until := least(to_timestamp((m ->> 'ends')::float8), clock_timestamp() + make_interval(secs => window_seconds));
  if until <= clock_timestamp() then return null; end if;
  execute format('alter role %I valid until %L', (select rolname from pg_roles where oid = role_oid), until);
  return extract(epoch from until);
end $f$;

create or replace function recovery_access.extend(role_oid oid, effect text, seconds int) returns float8 @HEAD@ as $f$
declare m jsonb; until timestamptz;
begin
  lock table recovery_access.turn in exclusive mode;
  m := recovery_access.mark(role_oid);
  if m is null or m ->> 'state' = 'ending' or to_timestamp((m ->> 'ends')::float8) <= clock_timestamp() then
    raise 'this grant is over' using errcode = 'object_not_in_prerequisite_state';
  end if;
  if m ->> 'bundle' = 'superuser' then  -- whoever holds it could write what this reads
    raise 'a grant of superusers is never extended' using errcode = 'object_not_in_prerequisite_state';
  end if;
  if m ->> 'extended_by' = effect then return (m ->> 'ends')::float8; end if;
  until := to_timestamp((m ->> 'ends')::float8) + make_interval(secs => seconds);
  if seconds < 1 or until > clock_timestamp() + interval '@LONGEST@ seconds' then
    raise 'a grant lasts at most @LONGEST@ seconds from now' using errcode = 'invalid_parameter_value';
  end if;
  perform recovery_access.remark(role_oid,
    jsonb_build_object('ends', extract(epoch from until), 'extended_by', effect));
  return extract(epoch from until);
end $f$;

create or replace function recovery_access.block(role_oid oid) returns text @HEAD@ as $f$
declare m jsonb; name text; each oid; passed oid[]; against text := '';
begin
  if pg_is_in_recovery() then return ''; end if;
  lock table recovery_access.turn in exclusive mode;
  m := recovery_access.mark(role_oid);
  if m is null then return ''; end if;
  select rolname into name from pg_roles where oid = role_oid;
  passed := recovery_access.passed_to(role_oid);
  if m ->> 'state' <> 'ending' or passed <> '{}' then  -- first: with this mark its sessions may be ended
    perform recovery_access.remark(role_oid, jsonb_build_object('state', 'ending',
      'closed', coalesce((m ->> 'closed')::float8, extract(epoch from clock_timestamp())),
      'passed', to_jsonb(array(select distinct unnest(recovery_access.accomplices(m) || passed)))));
  end if;
  perform set_config('lock_timeout', '1s', true);
  if exists (select from pg_roles as r where r.oid = role_oid and (r.rolcanlogin or r.rolconnlimit <> 0)) then
    begin
      execute format('alter role %I nologin connection limit 0 valid until ''-infinity''', name);
    exception when others then  -- the grantee has changed its own role and holds that row
      against := sqlerrm || coalesce(': prepared transaction ' || (
        select string_agg(quote_literal(p.gid), ', ') from recovery_access.prepared(role_oid) as p), '');
    end;
  end if;
  foreach each in array passed loop
    begin
      execute format('revoke %I from %I cascade', name, (select rolname from pg_roles where oid = each));
    exception when others then null;  -- the role is dropped at last, and the membership with it
    end;
  end loop;
  return against;
end $f$;

create or replace function recovery_access.passed_to(role_oid oid) returns oid[]
  language sql security definer set search_path = pg_catalog, pg_temp as $f$
  with recursive members as (
    select m.member from pg_auth_members as m where m.roleid = role_oid and m.member <> 'recovery_owner'::regrole
    union select m.member from pg_auth_members as m join members as o on m.roleid = o.member)
  select coalesce(array_agg(o.member), '{}') from members as o join pg_roles as r on r.oid = o.member
  where not r.rolsuper and o.member >= 16384 and o.member <> 'recovery_owner'::regrole
$f$;

create or replace function recovery_access.accomplices(mark jsonb) returns oid[]
  language sql immutable set search_path = pg_catalog, pg_temp as $f$
  select coalesce(array_agg(p::oid), '{}') from jsonb_array_elements_text(mark -> 'passed') as p
$f$;

create or replace function recovery_access.over(role_oid oid) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
declare m jsonb := recovery_access.mark(role_oid);
begin
  return m is null or m ->> 'state' = 'ending' or to_timestamp((m ->> 'ends')::float8) <= clock_timestamp();
end $f$;

create or replace function recovery_access.left_of(role_oid oid) returns float8
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
declare m jsonb := recovery_access.mark(role_oid);
begin
  return coalesce((m ->> 'ends')::float8 - extract(epoch from clock_timestamp())::float8, 0);
end $f$;

create or replace function recovery_access.by_accomplice(session_oid oid, began timestamptz, mark jsonb)
  returns boolean language sql stable set search_path = pg_catalog, pg_temp as $f$
  select coalesce(mark ? 'closed' and session_oid = any (recovery_access.accomplices(mark))
    and began < to_timestamp((mark ->> 'closed')::float8) + interval '10 seconds', false)
$f$;

create or replace function recovery_access.sessions(role_oid oid)
  returns table (pid int, database text, backend text, state text, program text, client text, since float8,
    doing text)
  language sql security definer set search_path = pg_catalog, pg_temp as $f$
  select a.pid, coalesce(a.datname, ''), a.backend_type, coalesce(a.state, ''), coalesce(a.application_name, ''),
    coalesce(host(a.client_addr), ''), extract(epoch from a.backend_start)::float8,
    upper(left(split_part(ltrim(coalesce(a.query, '')), ' ', 1), 20))
  from pg_stat_activity as a where role_oid >= 16384 and (a.usesysid = role_oid
    or recovery_access.by_accomplice(a.usesysid, a.backend_start, recovery_access.mark(role_oid))) order by a.pid
$f$;

create or replace function recovery_access.unaccounted() returns setof int
  language sql security definer set search_path = pg_catalog, pg_temp as $f$
  select distinct l.pid from pg_locks as l
  where l.pid is not null and not exists (select from pg_stat_activity as a where a.pid = l.pid)
  union select a.pid from pg_stat_activity as a
  where a.backend_type in ('client backend', 'walsender') and a.usesysid is null  -- from 18 they are listed
$f$;

create or replace function recovery_access.terminate(
    role_oid oid, starting int[] default '{}', sure boolean default false) returns int
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
declare found int := 0; each int; m jsonb := recovery_access.mark(role_oid);
begin
  if role_oid < 16384 then return 0; end if;
  if m is null and exists (select from pg_roles where oid = role_oid) then return 0; end if;
  if m is not null and not sure and not recovery_access.over(role_oid) then return 0; end if;
  for each in select a.pid from pg_stat_activity as a
      where a.usesysid = role_oid or recovery_access.by_accomplice(a.usesysid, a.backend_start, m)
        or (a.pid is not null and a.leader_pid in (
          select b.pid from pg_stat_activity as b where b.usesysid = role_oid))
    union select u from recovery_access.unaccounted() as u where u = any (starting)
  loop
    begin
      if pg_terminate_backend(each) then found := found + 1; end if;
    exception when insufficient_privilege then null;  -- it shows in the next look
    end;
  end loop;
  return found;
end $f$;

create or replace function recovery_access.end_session(session_pid int) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
begin  -- one of which is not known yet whose it is may be recovery's own
  if not exists (select from pg_stat_activity as a join pg_roles as r on r.oid = a.usesysid where a.pid = session_pid
      and not r.rolsuper and r.rolname !~ '^recovery' and a.application_name !~ '^recovery'
      and a.backend_type = 'client backend' and a.state <> 'starting') then
    raise 'session % is not one that may be ended', session_pid using errcode = 'insufficient_privilege';
  end if;
  return pg_terminate_backend(session_pid);
end $f$;

create or replace function recovery_access.residue(role_oid oid, role_name text)
  returns table (kind text, database text, thing text, dangerous boolean)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
begin
  return query select 'prepared', p.database, p.gid, true from recovery_access.prepared(role_oid) as p
    union select 'prepared', p.database::text, p.gid, true from pg_prepared_xacts as p where p.owner = role_name;
  return query select case d.deptype when 'o' then 'owned' else 'right' end,
      coalesce(b.datname::text, '(cluster)'),
      case when d.dbid = 0 or d.dbid = (select oid from pg_database where datname = current_database())
        then pg_describe_object(d.classid, d.objid, d.objsubid) || coalesce((select ' granted by '
          || string_agg(distinct g.grantor::regrole::text, ', ') from pg_class as c, aclexplode(c.relacl) as g
          where d.deptype = 'a' and d.classid = 'pg_class'::regclass and c.oid = d.objid and g.grantee = role_oid), '')
        else d.classid::regclass::text || ' ' || d.objid end,
      d.deptype = 'o'
    from pg_shdepend as d left join pg_database as b on b.oid = d.dbid
    where d.refclassid = 'pg_authid'::regclass and d.refobjid = role_oid;
  return query select 'definer', current_database()::text, p.oid::regprocedure::text, true
    from pg_proc as p where p.prosecdef and (p.proowner = role_oid
      or (pg_has_role(role_oid, p.proowner, 'member') and not (select r.rolsuper from pg_roles as r
        where r.oid = p.proowner) and pg_snapshot_xmax(pg_current_snapshot())::text::int8 - age(p.xmin)
          >= (recovery_access.mark(role_oid) ->> 'xid')::int8));
  return query select 'mapping', current_database()::text, u.srvname::text, true
    from pg_user_mappings as u where u.umuser = role_oid;
  return query select 'default-privileges', current_database()::text, coalesce(n.nspname::text, '(all schemas)'), true
    from pg_default_acl as d left join pg_namespace as n on n.oid = d.defaclnamespace where d.defaclrole = role_oid;
  return query select 'passed-on', '(cluster)', m.member::regrole::text, true from pg_auth_members as m
    where (m.roleid = role_oid and m.member <> 'recovery_owner'::regrole
      and m.member not in (select oid from pg_roles where rolsuper))
      or (m.grantor = role_oid and m.member <> role_oid)
    union select 'passed-on', '(cluster)', p::regrole::text, true
      from unnest(recovery_access.accomplices(recovery_access.mark(role_oid))) as p;
end $f$;

create or replace function recovery_access.finish(role_oid oid) returns boolean @HEAD@ as $f$
declare m jsonb; name text;
begin
  lock table recovery_access.turn in exclusive mode;
  m := recovery_access.mark(role_oid);
  if m is null then return not exists (select from pg_roles where oid = role_oid); end if;
  select rolname into name from pg_roles where oid = role_oid;
  if m ->> 'state' <> 'ending' then
    raise 'this grant is not ending' using errcode = 'object_not_in_prerequisite_state';
  end if;
  if exists (select from recovery_access.prepared(role_oid)) then
    raise 'a prepared transaction of it is open' using errcode = 'object_in_use';
  end if;
  if exists (select from pg_stat_activity as a where a.usesysid = role_oid) then
    raise 'a session of it is open' using errcode = 'object_in_use';
  end if;
  execute format('drop role %I', name);
  return true;
end $f$;

create or replace function recovery_access.unable() returns text
  language sql stable security definer set search_path = pg_catalog, pg_temp as $f$
  select concat_ws('; ',
    case when not (select rolcreaterole from pg_roles where rolname = 'recovery_owner')
      then 'recovery_owner may not drop roles (CREATEROLE)' end,
    case when not pg_has_role('recovery_owner', 'pg_signal_backend', 'usage')
      then 'recovery_owner may not end sessions (pg_signal_backend)' end,
    case when not pg_has_role('recovery_owner', 'pg_read_all_stats', 'usage')
      then 'recovery_owner does not see all sessions (pg_monitor)' end,
    case when not pg_has_role('recovery_owner', 'recovery_orphans', 'member')
      then 'recovery_owner may not hand over what was made (recovery_orphans)' end,
    case when (select rolcanlogin or rolsuper from pg_roles where rolname = 'recovery_orphans')
      then 'recovery_orphans is no role without rights' end,
    case when current_setting('server_version_num')::int >= 160000 then (
      select 'recovery_owner may not take back ' || string_agg(r.rolname, ', ' order by r.rolname) from pg_roles as r
      where r.rolname in (@LENT@) and not exists (select from pg_auth_members as m
        where m.roleid = r.oid and m.member = 'recovery_owner'::regrole and m.admin_option)) end)
$f$;
"""
