"""What was known of a database before the readings at hand, as the journal keeps it over a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.api.views.restore import RestorePointRow


@dataclass(frozen=True, slots=True)
class DatabasePast:
    """Instants are of the engine's monotonic clock, None = not known.

    `leader` led last, by its own server or by its managers; empty when none is known. `split` are the nodes of a split
    brain that is not cleared. `wrote` are nodes that accepted writes when they were last read and have not answered
    since, with the instant of that reading. `unled_mono`: since when no node accepts writes, while none does.
    `proven_at`: when a restore of it was last proven, epoch
    seconds, and the same as `proven_mono`. `points` are the restore points made here.
    """

    leader: str = ""
    split: tuple[str, ...] = ()
    wrote: Mapping[str, float | None] = field(default_factory=dict)
    unled_mono: float | None = None
    proven_at: float | None = None
    proven_mono: float | None = None
    points: tuple[RestorePointRow, ...] = ()


NO_PAST = DatabasePast()
