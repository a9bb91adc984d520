"""What the engine records about comparisons: that one began, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass, field

from state.api.views.comparisons import CompareOutcome
from state.journal.events import WORDS, Body, event


@event("comparison.started", starts=True)
@dataclass(frozen=True, slots=True)
class ComparisonStarted(Body):
    """A person asked for a comparison of two nodes, each DATABASE/NODE."""

    comparison: str
    a: str
    b: str
    message: str = field(metadata=WORDS)


@event("comparison.ended")
@dataclass(frozen=True, slots=True)
class ComparisonEnded(Body):
    """It has ended. `rows` differ in `tables` tables; `compared` tables were looked at, of which `unknown` not or not
    wholly; `reason` is why there is no verdict. `seconds` are those it took."""

    comparison: str
    outcome: CompareOutcome
    rows: int
    tables: int
    compared: int
    unknown: int
    seconds: float
    reason: str
    message: str = field(metadata=WORDS)
