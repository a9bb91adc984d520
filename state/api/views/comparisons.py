"""Comparisons of two nodes that the engine makes, or made last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class CompareOutcome(StrEnum):
    """What a comparison is, or ended as. Only `equal` says that everything was compared and nothing differs."""

    RUNNING = "running"
    EQUAL = "equal"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    """Nothing differs as far as was seen, and not all was."""
    CANCELLED = "cancelled"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """The engine ended meanwhile."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One comparison of `a` with `b`, each DATABASE/NODE. `started_at` and `ended_at` are epoch seconds, `ended_at`
    None while it runs.

    `rows` differ in `tables` tables, so far while it runs; `compared` tables were looked at, of which `unknown` not or
    not wholly. `share` is how much is done (0 to 1), `left` the seconds left as things go, None = not known; `table`
    the one under way. `reason` is why there is no verdict.
    """

    id: str
    a: str
    b: str
    actor: str
    outcome: CompareOutcome
    started_at: float
    ended_at: float | None
    rows: int
    tables: int
    compared: int
    unknown: int
    seconds: float
    reason: str
    share: float
    left: float | None
    table: str


@dataclass(frozen=True, slots=True)
class ComparisonsView:
    """The newest comparisons, the last one last; at most one is running."""

    comparisons: Mapping[str, ComparisonRow]
