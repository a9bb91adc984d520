"""Grants in words, for the screen and the verbs alike."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from state.api.views.access import ElevatedRow, GrantRow, GrantState
from state.units import clock

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
STALE = 8.0
"""Seconds after which what was read of a target is not shown as if it were so now."""


OVER = (GrantState.RESIDUE, GrantState.ENDED)
"""No role and no session of it is left."""


def new_grant_id() -> str:
    """A name for a grant that nobody has yet: one of a thousand million."""
    return "G-" + "".join(secrets.choice(ALPHABET) for _ in range(6))


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
    more = f", {len(row.sessions)} sessions" if len(row.sessions) > 1 else ""
    return f"{told}{more}"


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
        rights = "superuser" if row.superuser else row.rights or "raised attributes"
        lines.append(f"not ours: {row.role} at {row.database}, {rights}. To end it: alter role {row.role} nologin")
    return lines
