"""The line of descent of a timeline, as its history file tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimelineSwitch:
    """One line of a history file: timeline `parent` was left at byte position `lsn`."""

    parent: int
    lsn: int


History = tuple[TimelineSwitch, ...]
"""All lines from the first timeline on; empty for a timeline that has no parent."""


def began_at(history: History | None) -> int | None:
    """Where a timeline left its parent; None where it has none, or that is not known."""
    return history[-1].lsn if history else None
