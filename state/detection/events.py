"""What the engine detects and records."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from state.journal.events import WORDS, Observation, event
from state.verdicts.drift import Difference


@event("service.impaired")
@dataclass(frozen=True, slots=True)
class ServiceImpaired(Observation):
    """A service fails: `since` seconds before the entry, against an RTO of `target` seconds.

    `flaps`: it failed again shortly after it recovered, so `since` counts from the first failing reading before that.
    """

    service: str
    target: float
    since: float
    message: str = field(metadata=WORDS)
    flaps: bool = False

    def later(self, seconds: float) -> ServiceImpaired:
        """It fails for so much longer by then."""
        return replace(self, since=round(self.since + seconds, 3))


@event("service.recovered")
@dataclass(frozen=True, slots=True)
class ServiceRecovered(Observation):
    """It is within its objectives again, after `seconds` of `target`; it came and went `more` times meanwhile."""

    service: str
    seconds: float
    target: float
    message: str = field(metadata=WORDS)
    more: int = 0


@event("drift.detected")
@dataclass(frozen=True, slots=True)
class DriftDetected(Observation):
    """A balancer's settings differ from those the engine's effects left; the differences are of one backend.

    `more`: how often they changed since the last entry about it, beyond this time.
    """

    balancer: str
    message: str = field(metadata=WORDS)
    differences: tuple[Difference, ...] = ()
    more: int = 0


@event("split-brain.detected")
@dataclass(frozen=True, slots=True)
class SplitBrainDetected(Observation):
    """More than one node of a database accepts writes: `nodes`, empty in entries of version 0.1. `one_number`: their
    timelines have one number and one history, so that only their WAL tells them apart."""

    database: str
    message: str = field(metadata=WORDS)
    nodes: tuple[str, ...] = ()
    one_number: bool = False


@event("split-brain.cleared")
@dataclass(frozen=True, slots=True)
class SplitBrainCleared(Observation):
    """At most one node accepts writes again, as each node that did now reports."""

    database: str
    message: str = field(metadata=WORDS)
