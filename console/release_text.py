"""Releases in words, once for screens and verbs."""

from __future__ import annotations

from collections.abc import Mapping

from state.api.views.releases import ReleaseReason, ReleaseRow, ReleaseStanding, ReleasesView, Way
from state.health import Health

WAYS: Mapping[Way, str] = {
    Way.FLIP: "by a flip",
    Way.MAP: "by the map",
    Way.REDEPLOY: "by deploying it again",
    Way.NONE: "",
}
STANDINGS: Mapping[ReleaseStanding, str] = {
    ReleaseStanding.SERVES: "serves",
    ReleaseStanding.NEWER: "newer",
    ReleaseStanding.OFFERED: "safe",
    ReleaseStanding.BLOCKED: "blocked",
    ReleaseStanding.UNKNOWN: "not known",
}
MARKS: Mapping[Health, str] = {Health.PASS: "yes", Health.FAIL: "no", Health.UNKNOWN: "not known", Health.WARN: "warn"}
HEALTHS: Mapping[ReleaseStanding, Health] = {
    ReleaseStanding.SERVES: Health.PASS,
    ReleaseStanding.OFFERED: Health.PASS,
    ReleaseStanding.NEWER: Health.PASS,
    ReleaseStanding.BLOCKED: Health.FAIL,
    ReleaseStanding.UNKNOWN: Health.UNKNOWN,
}
"""How each standing is marked."""


LEAST = 12
"""Digits of a digest that may stand for all, where only one release begins so."""


def whole_digest(view: ReleasesView, service: str, begin: str) -> str:
    """The digest of the one release of a service that begins like this; the same text where it is none or several."""
    found = [row.digest for row in view.releases.values() if row.service == service and row.digest.startswith(begin)]
    enough = len(begin.partition(":")[2]) >= LEAST
    return found[0] if enough and len(found) == 1 else begin


def standing_text(row: ReleaseRow) -> str:
    """`1 safe by a flip`, `blocked`, `serves`."""
    place = f"{row.place} " if row.place else ""
    way = f" {WAYS[row.way]}" if row.standing is ReleaseStanding.OFFERED else ""
    return f"{place}{STANDINGS[row.standing]}{way}"


def schema_span(low: str, high: str) -> str:
    """`10 to 12`, `11`; empty where no range is recorded."""
    return low if low == high else f"{low} to {high}"


def reason_line(reason: ReleaseReason) -> str:
    """One thing that was held against a release, with its outcome in front."""
    return f"{MARKS[reason.health]}: {reason.fact}"


def undone_first(row: ReleaseRow) -> str:
    """`needs schema 13 → 12 undone first`, of a release that is safe with that; else empty."""
    needed = row.standing is ReleaseStanding.OFFERED and row.schema_to
    return f"needs schema {row.schema_now} → {row.schema_to} undone first" if needed else ""


def against(row: ReleaseRow) -> str:
    """Why it is not safe, what fails first; for one that is, what is undone first and what runs it."""
    bad = [r for r in row.reasons if r.health is Health.FAIL] + [r for r in row.reasons if r.health is Health.UNKNOWN]
    told = [r.fact for r in bad] or [undone_first(row), *(r.fact for r in row.reasons[:1])]
    return "; ".join(fact for fact in told if fact)
