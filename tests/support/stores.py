"""Stores of backups as readings: for tests of windows and choices, no program behind them."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.backups.segments import runs_of
from state.world.backup_parts import BackupReading, BackupSet, SegmentRun, TimelineFork

SIZE = 16 << 20
BEGAN = 1_795_400_000.0
"""When segment 0 begins in these stores; a segment is written in a minute."""
MINUTE = 60.0


def wal(segment: int, offset: int = 0) -> int:
    """A position."""
    return segment * SIZE + offset


def at(segment: float) -> float:
    """When a position was written."""
    return BEGAN + segment * MINUTE


def backup(label: str, segment: int, *, timeline: int = 1, spans: int = 1, **facts: object) -> BackupSet:
    """A backup that begins with a segment and ends in the middle of the last of `spans`."""
    last = segment + spans - 1
    made: dict[str, object] = {"needs": (), "errors": (), **facts}
    return BackupSet(label, "full", timeline, segment, wal(last, SIZE // 2), at(last + 0.5), **made)  # type: ignore[arg-type]


def store(
    sets: tuple[BackupSet, ...],
    segments: Mapping[int, range | set[int]],
    forks: Mapping[int, TimelineFork] | None = None,
    *,
    commits: bool = True,
    **facts: object,
) -> BackupReading:
    """Every segment has a last commit at 0.9 of its minute, where commits are read at all."""
    places = [(timeline, each) for timeline, known in segments.items() for each in known]
    runs = tuple(
        SegmentRun(run.timeline, run.first, run.last, at(run.last + 0.9) if commits else None)
        for run in runs_of(places)
    )
    return BackupReading("orders", "7001", SIZE, sets, runs, dict(forks or {}), **facts)  # type: ignore[arg-type]
