"""How far each backup can be restored: WAL without a gap from its begin, along one line of timelines."""

from __future__ import annotations

from dataclasses import dataclass

from state.world.backup_parts import BackupReading, BackupSet, SegmentRun

MOST_TIMELINES = 10_000
"""A history with more parents than these goes in a circle."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of history: the timelines from the first to `timeline`, each with the position where it begins.

    `whole`: every parent is known. A timeline without a history file is known only when it is the first one.
    """

    timeline: int
    line: tuple[tuple[int, int], ...]
    whole: bool = True

    def ends(self, timeline: int) -> int | None:
        """Where a timeline of it was left for the next one; None for its last. Raises KeyError for a strange one."""
        for place, (each, _) in enumerate(self.line):
            if each == timeline:
                return self.line[place + 1][1] if place + 1 < len(self.line) else None
        raise KeyError(timeline)

    def has(self, timeline: int, lsn: int) -> bool:
        """Whether a position on a timeline is in it."""
        if all(each != timeline for each, _ in self.line):
            return False
        end = self.ends(timeline)
        return end is None or lsn <= end


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a restore can go: the end of its last segment, and the last commit before that (None = not known).

    `gap` is the first segment that is missing, None where WAL ends because the newest was not archived yet.
    """

    end_lsn: int
    commit_at: float | None
    gap: int | None = None


def branches(reading: BackupReading) -> dict[int, Branch]:
    """Every line of history that the store has, by its last timeline."""
    known = {run.timeline for run in reading.runs} | {each.timeline for each in reading.sets} | set(reading.forks)
    return {timeline: branch_of(reading, timeline) for timeline in sorted(known)}


def branch_of(reading: BackupReading, timeline: int) -> Branch:
    """The line that ends in a timeline."""
    line: list[tuple[int, int]] = []
    now = timeline
    while (fork := reading.forks.get(now)) is not None and len(line) < MOST_TIMELINES and fork.parent < now:
        line.append((now, fork.lsn))
        now = fork.parent
    line.append((now, 0))
    return Branch(timeline, tuple(reversed(line)), whole=now == 1 or reading.forks.get(now) is not None)


def reach_of(reading: BackupReading, backup: BackupSet, branch: Branch) -> Reach | None:
    """How far a set can be restored along a branch; None when it is not of the branch, or its own WAL is not whole."""
    if not branch.has(backup.timeline, backup.stop_lsn):
        return None
    size = reading.segment_size
    begins = [(timeline, lsn // size) for timeline, lsn in branch.line]
    at, commit = backup.first_segment, None
    while True:
        owner, until = _owner(begins, at)
        run = next((r for r in reading.runs if r.timeline == owner and r.first <= at <= r.last), None)
        if run is None:
            break
        last = run.last if until is None else min(run.last, until - 1)
        commit = run.commit_at if last == run.last else None
        at = last + 1
    if at * size < backup.stop_lsn:
        return None
    later = any(_from(begins, run, at) for run in reading.runs)
    return Reach(at * size, commit, at if later else None)


def _owner(begins: list[tuple[int, int]], segment: int) -> tuple[int, int | None]:
    """Which timeline has a segment, and the first segment of the next timeline."""
    for place in range(len(begins) - 1, -1, -1):
        if begins[place][1] <= segment or place == 0:
            following = begins[place + 1][1] if place + 1 < len(begins) else None
            return begins[place][0], following
    raise AssertionError("the first timeline has every segment before the second one")


def _from(begins: list[tuple[int, int]], run: SegmentRun, segment: int) -> bool:
    """Whether a run has a later segment that the branch takes from its timeline."""
    for place, (timeline, first) in enumerate(begins):
        if timeline == run.timeline:
            end = begins[place + 1][1] if place + 1 < len(begins) else None
            last = run.last if end is None else min(run.last, end - 1)
            return last >= max(first, segment)
    return False
