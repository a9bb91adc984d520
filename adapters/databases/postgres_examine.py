"""Which PostgreSQL answers, and what the reading role may see there."""

from __future__ import annotations

import time
from dataclasses import dataclass

from adapters.databases.postgres import PostgresNode
from state.diagnosis.judging import clock_apart, ends
from state.diagnosis.model import Asked, Can, Diagnosis, Subject
from state.errors import ReadFailure

SEES = "see replication and sessions"
RIGHTS = """
select current_user::text as role, r.rolsuper as superuser,
  extract(epoch from r.rolvaliduntil)::float8 as valid_until,
  pg_has_role(current_user, 'pg_monitor', 'usage') as monitors,
  has_function_privilege('pg_read_file(text, bigint, bigint, boolean)', 'execute') as reads_files,
  has_function_privilege('pg_read_binary_file(text, bigint, bigint, boolean)', 'execute') as reads_bytes,
  extract(epoch from clock_timestamp())::float8 as now,
  extract(epoch from pg_postmaster_start_time())::float8 as started_at,
  (select system_identifier::text from pg_control_system()) as system_id,
  pg_is_in_recovery() as in_recovery, current_setting('server_version') as version,
  coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted
from pg_roles as r where r.rolname = current_user
"""


@dataclass(frozen=True, slots=True)
class SeenServer:
    """What tells one server from another: system identifier, start (epoch seconds), and whether it is a standby."""

    system_id: str
    started_at: float
    in_recovery: bool


async def look_at_server(
    subject: Subject, node: PostgresNode, address: str, *, deadline: float
) -> tuple[list[Diagnosis], SeenServer | None]:
    """The answers about one server, and which one it is."""
    before, began = time.time(), time.monotonic()
    try:
        row = await node.ask(RIGHTS, deadline=deadline)
    except ReadFailure as failure:
        return [subject.failure(failure)], None
    took, kind = (time.monotonic() - began) * 1000, "standby" if row["in_recovery"] else "primary"
    encrypted = "over TLS" if row["encrypted"] else "without TLS"
    found = [
        subject.passes(Asked.REACHED, f"PostgreSQL at {address} answers in {took:.0f} ms {encrypted}"),
        subject.passes(Asked.CREDENTIAL, f"role {row['role']} may log in"),
        subject.passes(
            Asked.IDENTIFIED,
            f"PostgreSQL {row['version'].partition(' ')[0]}, {kind} of system {row['system_id']}",
        ),
        _rights(subject, row["role"], superuser=row["superuser"], monitors=row["monitors"]).shows(
            SEES, Can.YES if row["superuser"] else None, reads=True
        ),
        clock_apart(subject, row["now"], before, time.time()),
    ]
    if not row["reads_files"] and not row["superuser"]:
        reason = "may not read history files: the loss after a fork of timelines is unknown"
        told = subject.passes(Asked.RIGHTS, f"{reason} (optional: EXECUTE on pg_read_file)")
        found.append(told.shows("read history files", Can.NO, reads=True))
    if not row["reads_bytes"] and not row["superuser"]:
        reason = "may not read WAL files: two timelines of one number cannot be told apart"
        told = subject.passes(Asked.RIGHTS, f"{reason} (optional: EXECUTE on pg_read_binary_file)")
        found.append(told.shows("read WAL files", Can.NO, reads=True))
    if row["valid_until"] is not None:
        what = f"the password of {row['role']}"
        found.append(ends(subject, Asked.CREDENTIAL, what, row["valid_until"], time.time()))
    return found, SeenServer(row["system_id"], row["started_at"], row["in_recovery"])


def _rights(subject: Subject, role: str, *, superuser: bool, monitors: bool) -> Diagnosis:
    if superuser:
        reason = f"role {role} is a superuser: far more than reading needs"
        return subject.warns(
            Asked.RIGHTS, reason, "name a role of its own: CREATE ROLE recovery LOGIN; GRANT pg_monitor"
        )
    if monitors:
        return subject.passes(Asked.RIGHTS, f"role {role} has pg_monitor: replication and sessions are seen")
    reason = f"role {role} lacks pg_monitor: positions and states of standbys are not seen"
    return subject.fails(Asked.RIGHTS, reason, f"GRANT pg_monitor TO {role};")
