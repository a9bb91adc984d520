"""What a PostgreSQL server is asked: once a second what moves, now and then what changes slowly. All of it only reads.

Sources: PostgreSQL manual, "System Administration Functions" and "The Cumulative Statistics System". Columns that some
majors lack (`conflicting` before 16, `failover`, `synced` and `invalidation_reason` before 17) are taken from the row
as JSON, so one query serves all of them and what is absent stays unknown.
"""

from __future__ import annotations

LIMITS = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
"""A standby whose value is below its primary's pauses its replay or does not start (manual, "Hot Standby")."""

# The timeline of a writable node comes from its WAL file name: the control file keeps the old one until the next
# checkpoint after a promotion. The position comes after the senders, so that none of them seems to be ahead of it.
QUERY = """
select pg_is_in_recovery() as in_recovery,
  (select system_identifier::text from pg_control_system()) as system_id,
  case when pg_is_in_recovery() then null
       else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end as wal_timeline,
  wr.received_tli, wr.status as receiver_state,
  (select timeline_id from pg_control_checkpoint()) as checkpoint_timeline,
  (select min_recovery_end_timeline from pg_control_recovery()) as recovery_timeline,
  current_setting('server_version') as version,
  extract(epoch from pg_postmaster_start_time())::float8 as started_at,
  host(inet_server_addr()) as address, inet_server_port() as port,
  case when wr.pid is not null then json_build_array(
    coalesce(substring(wr.conninfo from '(?:^| )application_name=((?:(?! [a-z_]+=).)*)'),
             substring(wr.conninfo from '(?:^| )fallback_application_name=((?:(?! [a-z_]+=).)*)')),
    wr.sender_host, wr.sender_port, wr.slot_name, pg_wal_lsn_diff(wr.latest_end_lsn, '0/0')::int8,
    extract(epoch from wr.last_msg_receipt_time)::float8)::text end as receiver,
  (select coalesce(json_agg(json_build_array(application_name, state, sync_state,
      pg_wal_lsn_diff(sent_lsn, '0/0')::int8, pg_wal_lsn_diff(flush_lsn, '0/0')::int8,
      pg_wal_lsn_diff(replay_lsn, '0/0')::int8, extract(epoch from reply_time)::float8,
      pg_wal_lsn_diff(write_lsn, '0/0')::int8, pid, sync_priority, ssl, t.version, t.cipher,
      coalesce(client_addr <<= inet '127.0.0.0/8' or client_addr = inet '::1', true))
      order by application_name, pid), '[]')::text
    from pg_stat_replication left join pg_stat_ssl as t using (pid)) as senders,
  case when pg_is_in_recovery() then null
       else pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8 end as write_lsn,
  case when pg_is_in_recovery() then pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::int8 end as receive_lsn,
  case when pg_is_in_recovery() then pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::int8 end as replay_lsn,
  case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() end as replay_pause,
  extract(epoch from pg_last_xact_replay_timestamp())::float8 as replayed_at,
  extract(epoch from clock_timestamp())::float8 as clock,
  pg_snapshot_xmax(pg_current_snapshot())::text::int8 as next_xid,
  current_setting('synchronous_standby_names') as synchronous_standby_names,
  current_setting('synchronous_commit') as synchronous_commit,
  (select coalesce(json_agg(json_build_array(slot_name, slot_type, active,
      pg_wal_lsn_diff(restart_lsn, '0/0')::int8, wal_status, plugin, database, active_pid,
      pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::int8, safe_wal_size, temporary, j -> 'conflicting', j -> 'failover',
      j -> 'synced', j ->> 'invalidation_reason') order by slot_name), '[]')::text
    from pg_replication_slots as s cross join lateral (select to_jsonb(s) as j) as row) as slots,
  (select json_build_array(count(*) filter (where backend_type = 'client backend'),
      count(*) filter (where wait_event = 'SyncRep'),
      extract(epoch from min(query_start) filter (where wait_event = 'SyncRep'))::float8)::text
    from pg_stat_activity) as activity,
  pg_has_role(current_user, 'pg_read_all_stats', 'usage') as privileged,
  current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8
    - coalesce(current_setting('reserved_connections', true)::int8, 0) as sessions_limit,
  has_function_privilege('pg_read_file(text, bigint, bigint, boolean)', 'execute') as reads_files,
  case when has_function_privilege('pg_read_binary_file(text, bigint, bigint, boolean)', 'execute')
    then pg_size_bytes(current_setting('wal_segment_size')) else 0 end as reads_wal
from (select 1) as always left join pg_stat_wal_receiver as wr on true
"""
SLOW_QUERY = f"""
select
  (select json_object_agg(name, setting) from pg_settings
    where name in ({", ".join(f"'{name}'" for name in LIMITS)}))::text as limits,
  (select setting::float8 / 1000 from pg_settings where name = 'recovery_min_apply_delay') as apply_seconds,
  (select setting::float8 from pg_settings where name = 'wal_receiver_status_interval') as status_interval,
  coalesce(current_setting('restore_command', true), '') <> '' as restores,
  (select setting <> '' from pg_settings where name = 'primary_conninfo') as follows,
  exists (select from pg_settings where name in ('recovery_target', 'recovery_target_lsn', 'recovery_target_name',
    'recovery_target_time', 'recovery_target_xid') and setting <> '') as has_target,
  current_setting('archive_mode') as archive_mode,
  current_setting('archive_command') not in ('', '(disabled)')
    or coalesce(current_setting('archive_library', true), '') <> '' as archives,
  (select json_build_array(archived_count, failed_count, coalesce(last_archived_wal, ''),
      coalesce(last_failed_wal, ''), coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
      extract(epoch from clock_timestamp() - last_archived_time)::float8)
    from pg_stat_archiver)::text as archiver,
  (select coalesce(json_agg(json_build_array(r.rolname, d.datname, substr(c, 20)) order by r.rolname, d.datname), '[]')
    from pg_db_role_setting as s cross join lateral unnest(s.setconfig) as c
      left join pg_database as d on d.oid = s.setdatabase left join pg_roles as r on r.oid = s.setrole
    where c like 'synchronous_commit=%')::text as commits,
  (select reset_val = 'on' and not exists (select from pg_db_role_setting as s
      where s.setrole in (0, (select oid from pg_roles where rolname = current_user))
        and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and array_to_string(s.setconfig, ',') like '%default_transaction_read_only=%')
    from pg_settings where name = 'default_transaction_read_only') as refuses_writes,
  (select coalesce(json_agg(coalesce('database ' || d.datname, 'every database') order by d.datname), '[]')
    from pg_db_role_setting as s cross join lateral unnest(s.setconfig) as c
      left join pg_database as d on d.oid = s.setdatabase
    where s.setrole = 0 and lower(c) in (select 'default_transaction_read_only=' || v
      from unnest(array['on', 'true', 'yes', '1', 't', 'y']) as v))::text as read_only,
  has_function_privilege('pg_ls_archive_statusdir()', 'execute') as lists_archive,
  (select coalesce(json_agg(json_build_array(s.subname, d.datname, s.subenabled, coalesce(s.subslotname, ''),
      s.subpublications, w.running, w.received, coalesce(e.apply_error_count + e.sync_error_count, 0),
      case when d.datname = current_database() then (select count(*) from pg_subscription_rel as r
        where r.srsubid = s.oid and r.srsubstate <> 'r') end, w.copying)
      order by d.datname, s.subname), '[]')
    from pg_subscription as s join pg_database as d on d.oid = s.subdbid
      cross join lateral (select coalesce(bool_or(pid is not null), false) as running,
        pg_wal_lsn_diff(max(received_lsn), '0/0')::int8 as received,
        (select count(*) from pg_stat_subscription as c
          where c.subid = s.oid and c.relid is not null and c.pid is not null) as copying
        from pg_stat_subscription as at where at.subid = s.oid and at.relid is null) as w
      left join pg_stat_subscription_stats as e on e.subid = s.oid)::text as subscriptions,
  (select coalesce(json_agg(json_build_array(p.pubname, current_database(), case when not p.puballtables then
      (select count(*) from pg_publication_tables as t where t.pubname = p.pubname) end) order by p.pubname), '[]')
    from (select pubname, puballtables from pg_publication order by pubname limit 200) as p)::text as publications
"""  # noqa: S608 the names are those above
BACKLOG_QUERY = "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'"
