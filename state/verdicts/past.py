"""What was known of a database before the readings at hand, as the journal keeps it over a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SLOTS_TOLD_FOR = 86_400.0
"""Seconds for which it is told which slots a change of the writer has cost."""


@dataclass(frozen=True, slots=True)
class SlotPast:
    """A logical slot of a former writer that the one after it lacked: its name, who had it, how far its consumer had
    confirmed when it was last seen (bytes, None = not told), and when it was missed (epoch seconds). `anew`: where one
    of that name begins that was made since."""

    name: str
    node: str
    lsn: int | None
    at: float
    anew: int | None = None


@dataclass(frozen=True, slots=True)
class DatabasePast:
    """Instants are of the engine's monotonic clock, None = not known.

    `leader` led last, by its own server or by its managers; empty when none is known. `split` are the nodes of a split
    brain that is not cleared. `wrote` are nodes that accepted writes when they were last read and have not answered
    since, with the instant of that reading. `unled_mono`: since when no node accepts writes, while none does. `slots`
    are those that a change of the writer has cost.
    """

    leader: str = ""
    split: tuple[str, ...] = ()
    wrote: Mapping[str, float | None] = field(default_factory=dict)
    unled_mono: float | None = None
    slots: tuple[SlotPast, ...] = ()


@dataclass(frozen=True, slots=True)
class ProofTime:
    """When a restore was last proven: epoch seconds, by the engine's monotonic clock, and what its command said."""

    at: float
    mono: float
    said: str = ""


KEPT_POINTS = 100
"""Restore points of a database that are known; of older ones only the name is left in the journal."""


@dataclass(frozen=True, slots=True)
class PointPast:
    """A restore point that was written: where it ends (bytes, on a timeline), and when that was recorded (epoch)."""

    name: str
    lsn: int
    timeline: int
    at: float


NO_PAST = DatabasePast()
