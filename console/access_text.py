"""Grants in words, for the screen and the verbs alike."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

from state.api.requests import PlanChange
from state.api.views.access import ElevatedRow, GrantRow, GrantSessionRow, GrantState
from state.granting.model import host_of_target
from state.units import clock, counted

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
STALE = 8.0
"""Seconds after which what was read of a target is not shown as if it were so now."""


OVER = (GrantState.RESIDUE, GrantState.ENDED)
"""No role and no session of it is left."""


def new_grant_id() -> str:
    """A name for a grant that nobody has yet: one of a thousand million."""
    return "G-" + "".join(secrets.choice(ALPHABET) for _ in range(6))


def grant_plan(place: str, args: Mapping[str, object]) -> PlanChange:
    """The change that gives access at a database, or at `host NAME`."""
    host = host_of_target(place)
    if host:
        return PlanChange("access.grant-host", {"host": host, **args})
    return PlanChange("access.grant", {"database": place, **args})


def login_words(row: GrantRow) -> str:
    """How its person logs in; the secret, or the private key, is asked for or named besides."""
    if host_of_target(row.database):
        return f"ssh {row.role}@{row.address}; recovery access certificate {row.id}"
    where = f"{row.address} " if row.address else ""
    return f'psql "{where}user={row.role} dbname=postgres"'


def extend_plan(row: GrantRow, seconds: int, reason: str) -> PlanChange:
    """The change that lets a grant end later."""
    args = {"grant": row.id, "seconds": seconds, "reason": reason}
    host = host_of_target(row.database)
    if host:
        return PlanChange("access.extend-host", {"host": host, **args})
    return PlanChange("access.extend", {"database": row.database, **args})


def left_words(row: GrantRow, mono: float) -> str:
    """How long it lasts, by the target's clock: a countdown while that is known."""
    if row.state in OVER:
        return f"+{row.late:.1f} s" if row.late >= 1 else "over"
    if row.ends_mono is None:
        return "unknown"
    left = row.ends_mono - mono
    return clock(left) if left > 0 else f"{clock(-left)} over"


def doing_words(row: GrantRow, mono: float) -> str:
    """What happens under it now."""
    if row.state is GrantState.ENDED:
        if host_of_target(row.database):
            return "no account, no process, login refused"
        return "no role, no session at any node"
    if row.obstacle:
        return row.obstacle
    if row.read_mono is None or mono - row.read_mono > STALE:
        return "unknown: its target is not read"
    if not row.sessions:
        return "no session"
    busy = [each for each in row.sessions if each.state == "active"]
    one = (busy or list(row.sessions))[0]
    told = f"{one.node} {one.doing.lower() or one.state}".strip()
    more = f", {sessions_counted(row)}" if len(row.sessions) > 1 else ""
    return f"{told}{more}"


def session_words(each: GrantSessionRow) -> str:
    """One session: where, in what, what it does, from where."""
    place = f"{each.node} process {each.pid}" + (f", {each.database}" if each.database else "")
    return f"{place}, {each.state} {each.doing}".rstrip() + (f" from {each.client}" if each.client else "")


def sessions_counted(row: GrantRow) -> str:
    """How many there are: sessions of a database, processes of a host."""
    host = host_of_target(row.database)
    return counted(len(row.sessions), *(("process", "processes") if host else ("session",)))


def is_bad(row: GrantRow, mono: float) -> bool:
    """Whether it should be over and is not proven to be, or nobody knows."""
    if row.state is GrantState.ENDED:
        return False
    over = row.ends_mono is not None and row.ends_mono <= mono
    return bool(row.obstacle) or over or row.ends_mono is None


def others_words(rows: Iterable[ElevatedRow]) -> list[str]:
    """Accounts with raised rights that are none of ours, one a line, with what ends one."""
    lines = []
    for row in rows:
        host = host_of_target(row.database)
        rights = "superuser" if row.superuser and not host else row.rights or "raised attributes"
        told = f"not ours: {row.role} at {row.database}, {rights}"
        if host and row.role == "root":  # to close it would help nobody
            lines.append(f"{told}. Whose login it is says, there: who -u, and the log of sshd")
        elif host:
            lines.append(f"{told}. If it is nobody's: usermod -L -e 1 {row.role}")
        else:
            end, keep = f"alter role {row.role} nologin", f"databases.{row.database}.access.known"
            lines.append(f"{told}. If it is nobody's: {end}; if it belongs there: {keep}")
    return lines
