"""How far a value may be trusted by its age."""

from __future__ import annotations

from enum import StrEnum


class Freshness(StrEnum):
    """How far a value may be trusted by its age: past 5 times its limit it is gone, not stale."""

    FRESH = "fresh"
    STALE = "stale"
    GONE = "gone"
    NEVER = "never"

    @property
    def withheld(self) -> bool:
        """Too old to be shown at all, or never read."""
        return self in (Freshness.GONE, Freshness.NEVER)


def freshness(age: float | None, limit: float) -> Freshness:
    """Classify an age in seconds against its limit in seconds."""
    if age is None:
        return Freshness.NEVER
    if age <= limit:
        return Freshness.FRESH
    return Freshness.STALE if age <= 5 * limit else Freshness.GONE
