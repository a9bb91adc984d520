"""Restore points: the statement that writes one, and the record of the last ones, which every node gets by the WAL.

No server tells which points are in its WAL, so each is written together with a record: the name with which sessions of
the acting account begin (`ALTER ROLE … IN DATABASE … SET application_name`). It needs no right and no table. An entry
without a position is written before, the one with it in one block with the point: an entry that never got its position
says that nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.databases.postgres_descent import parse_lsn
from state.ports.database import PointRecord

MOST = 40
"""Points on record; older ones are in the journal alone."""
PREFIX = "recovery points"
BEGUN = "-"
ENTRY = re.compile(r"([^ @]{1,63})@([0-9A-F]{1,8}/[0-9A-F]{1,8}|-)@([0-9a-f]{1,64})")
RECORD = """
select coalesce((select max(substr(setting, 18)) from pg_db_role_setting as s, unnest(s.setconfig) as setting
  where s.setrole = (select oid from pg_roles where rolname = {role}) and setting like 'application_name=%'
    and s.setdatabase = (select oid from pg_database where datname = current_database())), '') as record
"""
OBSTACLE = """
select case when pg_is_in_recovery() then 'a standby writes no restore point'
  when not has_function_privilege('pg_create_restore_point(text)', 'execute')
    then 'the account has no right to execute pg_create_restore_point'
  when current_setting('wal_level') = 'minimal' then 'wal_level is minimal: nothing could be restored to a point' end
"""
BEGIN = (
    "select format('alter role current_user in database %I set application_name = %L', current_database(), $1::text)"
)
MAKE = """
select format('do %L', format('begin execute format(%L, current_database(), %L || pg_create_restore_point(%L) || %L);'
  ' end', 'alter role current_user in database %I set application_name = %L', $1::text, $2::text, $3::text))
"""
"""A statement of one block: what goes before the position, the name, and what goes behind."""


def record_query(role: str | None) -> str:
    """The query for the record of a role; None = the one that asks."""
    quoted = "current_user" if role is None else "'" + role.replace("'", "''") + "'"
    return RECORD.format(role=quoted)


def read_record(text: str) -> tuple[PointRecord, ...]:
    """The entries of a record, the newest last; what is none is passed over."""
    if not text.startswith(PREFIX):
        return ()
    found = (ENTRY.fullmatch(each) for each in text[len(PREFIX) :].split(" ")[-MOST:])
    return tuple(
        PointRecord(each[1], None if each[2] == BEGUN else parse_lsn(each[2]), each[3]) for each in found if each
    )


def record_of(before: Sequence[PointRecord], name: str, mark: str) -> tuple[str, str, str]:
    """The record with one more entry that is only begun; and what goes before and behind its position."""
    kept = "".join(f" {_entry(each)}" for each in before[-MOST + 1 :])
    head, tail = f"{PREFIX}{kept} {name}@", f"@{mark}"
    return f"{head}{BEGUN}{tail}", head, tail


def _entry(each: PointRecord) -> str:
    where = BEGUN if each.lsn is None else f"{each.lsn >> 32:X}/{each.lsn & 0xFFFFFFFF:X}"
    return f"{each.name}@{where}@{each.mark}"
