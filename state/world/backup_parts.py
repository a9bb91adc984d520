"""What a store of backups and WAL has of one database, as plain frozen values. Segments are counted from 0/0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BackupSet:
    """One backup. Positions are bytes, times epoch seconds by the clock of the host that made it.

    `first_segment` is the WAL that a restore begins with. `stopped_at` is never before its stop; None = not told.
    `needs` are other sets without which it cannot be restored. `errors`: what its maker flagged as damaged.
    """

    label: str
    kind: str
    timeline: int
    first_segment: int
    stop_lsn: int
    stopped_at: float | None
    needs: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentRun:
    """WAL without a gap, on one timeline. `commit_at`: the last commit in it, by the clock of the server that made it;
    None = not known."""

    timeline: int
    first: int
    last: int
    commit_at: float | None = None


@dataclass(frozen=True, slots=True)
class TimelineFork:
    """Where a timeline left its parent, by its history file in the archive."""

    parent: int
    lsn: int


@dataclass(frozen=True, slots=True)
class BackupReading:
    """What is in the store. `trouble`: what its own program says is wrong with it. `forks` by timeline.

    `running`: a backup is at work, as far as that is seen from the host that was asked.
    """

    database: str
    system_id: str
    segment_size: int
    sets: tuple[BackupSet, ...]
    runs: tuple[SegmentRun, ...]
    forks: Mapping[int, TimelineFork] = field(default_factory=dict)
    trouble: str = ""
    running: bool = False

    def holds(self, timeline: int, segment: int) -> bool:
        """Whether a segment is there."""
        return any(run.timeline == timeline and run.first <= segment <= run.last for run in self.runs)
