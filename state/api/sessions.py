"""What a console says it has shown and what was pressed there: for the session log beside the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from state.errors import NotFound
from state.text import clean

MOST_LINES = 64
"""Lines in one request; a console keeps what it could not tell yet and drops the oldest."""
LONGEST = 160
"""Characters of a text."""
OLDEST = 3600.0
"""Seconds that a line may be old when it is told."""


class SeenKind(StrEnum):
    """What a line is about. No kind has what a person typed."""

    SCREEN = "screen"
    """A screen came to the front: its topic."""
    DIALOG = "dialog"
    """A dialog was opened: its title; of a card also the plan and its fingerprint."""
    CLOSED = "closed"
    KEY = "key"
    """An action was asked for: its name, and why it did nothing, if so."""
    SENT = "sent"
    """Something was confirmed and sent: what, and of which plan."""
    DROPPED = "dropped"
    """Input that did not count, such as a paste: how many characters. Not which."""


@dataclass(frozen=True, slots=True)
class SeenLine:
    """One thing, so many seconds before it was told."""

    kind: SeenKind
    what: str
    about: str
    ago: float


@dataclass(frozen=True, slots=True)
class SessionKept:
    """How many lines were kept, and why not all of them; empty when all were."""

    kept: int
    trouble: str = ""


def read_seen(body: Mapping[str, Any]) -> tuple[str, tuple[SeenLine, ...]]:
    """The console's name and its lines. Raises NotFound for what is none."""
    console, rows = body.get("console"), body.get("lines")
    if not (isinstance(console, str) and isinstance(rows, list) and len(rows) <= MOST_LINES):
        raise NotFound(f"console must be a name, and lines at most {MOST_LINES} of them")
    return clean(console, 40), tuple(_line(row) for row in rows)


def _line(row: Any) -> SeenLine:
    if not (isinstance(row, list) and len(row) == 4 and all(isinstance(each, str) for each in row[:3])):
        raise NotFound("a line is [kind, what, about, seconds ago]")
    kind, what, about, ago = row
    if kind not in tuple(SeenKind) or isinstance(ago, bool) or not isinstance(ago, int | float):
        raise NotFound(f"a line is of one of the kinds {', '.join(SeenKind)}")
    return SeenLine(SeenKind(kind), clean(what, LONGEST), clean(about, LONGEST), min(max(0.0, float(ago)), OLDEST))
