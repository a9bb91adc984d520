"""What the engine detects and records."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from state.journal.events import WORDS, Body, event
from state.verdicts.drift import Difference


@event("service.impaired")
@dataclass(frozen=True, slots=True)
class ServiceImpaired(Body):
    """A service fails: `since` seconds before the entry, against an RTO of `target` seconds."""

    service: str
    target: float
    since: float
    message: str = field(metadata=WORDS)

    def later(self, seconds: float) -> ServiceImpaired:
        """It fails for so much longer by then."""
        return replace(self, since=round(self.since + seconds, 3))


@event("service.recovered")
@dataclass(frozen=True, slots=True)
class ServiceRecovered(Body):
    """It is within its objectives again, after `seconds` of `target`."""

    service: str
    seconds: float
    target: float
    message: str = field(metadata=WORDS)


@event("drift.detected")
@dataclass(frozen=True, slots=True)
class DriftDetected(Body):
    """A balancer's settings differ from those the engine's effects left; the differences are of one backend."""

    balancer: str
    message: str = field(metadata=WORDS)
    differences: tuple[Difference, ...] = ()


@event("split-brain.detected")
@dataclass(frozen=True, slots=True)
class SplitBrainDetected(Body):
    """More than one node of a database accepts writes."""

    database: str
    message: str = field(metadata=WORDS)


@event("split-brain.cleared")
@dataclass(frozen=True, slots=True)
class SplitBrainCleared(Body):
    """At most one node accepts writes again, as each node that did now reports."""

    database: str
    message: str = field(metadata=WORDS)
