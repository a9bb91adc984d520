"""Which backup a restore to a target begins with: the last one whose own end lies before it, on the right timeline.

A backup that ended after its target is restored to its own end by PostgreSQL, later than asked and without an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from state.api.views.restore import BackupRow, BranchRow, PointRow, ReachRow, RestoreRow
from state.restoring.targets import RestoreTarget, TargetKind

UNPLACED = (TargetKind.NAME, TargetKind.XID)
"""What tells nothing of where it stands in the WAL, but for a restore point that this product wrote."""


class Obstacle(StrEnum):
    """Why there is no backup for a target."""

    NO_STORE = "no-store"
    NOT_READ = "not-read"
    NO_BACKUP = "no-backup"
    NO_BRANCH = "no-branch"
    STRANGE_BRANCH = "strange-branch"
    TOO_EARLY = "too-early"
    BEYOND = "beyond"
    IN_A_GAP = "in-a-gap"
    NEEDS_SET = "needs-set"
    NO_SUCH_SET = "no-such-set"
    SET_TOO_LATE = "set-too-late"
    DAMAGED = "damaged"


class Doubt(StrEnum):
    """What is not known about a choice."""

    END_UNKNOWN = "end-unknown"
    POINT_UNKNOWN = "point-unknown"
    OTHER_BRANCH = "other-branch"
    BRANCH_UNPROVEN = "branch-unproven"


@dataclass(frozen=True, slots=True)
class RestoreChoice:
    """What to restore, or why nothing can be. `reach` is how far its WAL goes; `lost_lsn` bytes of that branch after
    the target, `lost_seconds` the time of its commits after it; None = not known."""

    database: str
    target: RestoreTarget
    timeline: int | None = None
    backup: BackupRow | None = None
    reach: ReachRow | None = None
    obstacle: Obstacle | None = None
    doubts: tuple[Doubt, ...] = ()
    lost_bytes: int | None = None
    lost_seconds: float | None = None
    nearest: float | None = None


def choose(
    row: RestoreRow, target: RestoreTarget, timeline: int | None = None, label: str | None = None
) -> RestoreChoice:
    """The choice for a target; `timeline` and `label` are a person's own."""
    made = RestoreChoice(row.database, target)
    wanted = row.branch if timeline is None else timeline
    if row.store is None:
        return _not(made, Obstacle.NO_STORE)
    if wanted is None or not row.branches:
        return _not(made, Obstacle.NO_BRANCH if row.branches else Obstacle.NOT_READ)
    branch = next((each for each in row.branches if each.timeline == wanted), None)
    if branch is None:
        return _not(made, Obstacle.STRANGE_BRANCH, timeline=wanted)
    made = RestoreChoice(row.database, target, wanted, doubts=_branch_doubts(row, branch))
    placed = _placed(row, branch, target)
    if placed is not None:
        found = choose(row, placed, timeline, label)
        return replace(found, target=target)
    sets = sorted((each for each in row.sets if wanted in each.reaches), key=lambda each: each.stop_lsn)
    return _with_label(row, made, sets, label) if label is not None else _by_target(row, made, sets, wanted)


def _placed(row: RestoreRow, branch: BranchRow, target: RestoreTarget) -> RestoreTarget | None:
    """The position of a restore point that was written on this branch; None for everything else. PostgreSQL ends at the
    first point of a name, so one that is known twice is not placed."""
    if target.kind is not TargetKind.NAME:
        return None
    known = [each for each in row.points if each.name == target.text and _holds(branch, each)]
    return RestoreTarget(TargetKind.LSN, lsn=known[0].lsn) if len(known) == 1 else None


def _holds(branch: BranchRow, point: PointRow) -> bool:
    """Whether a position on a timeline is in a line of history."""
    for place, (timeline, _) in enumerate(branch.line):
        if timeline == point.timeline:
            return place + 1 == len(branch.line) or point.lsn <= branch.line[place + 1][1]
    return False


def _by_target(row: RestoreRow, made: RestoreChoice, sets: list[BackupRow], wanted: int) -> RestoreChoice:
    """The choice without a person's own backup."""
    if not sets:
        return _not(made, Obstacle.NO_BACKUP)
    if made.target.kind is TargetKind.LATEST:
        newest = max(each.reaches[wanted].end_lsn for each in sets)
        whole = [each for each in sets if not each.flaws and each.reaches[wanted].end_lsn == newest]
        return _taken(row, made, whole[-1], made.target) if whole else _not(made, Obstacle.DAMAGED)
    if made.target.kind in UNPLACED:
        return _not(made, Obstacle.NEEDS_SET)
    return _last_before(row, made, sets, made.target)


def _last_before(row: RestoreRow, made: RestoreChoice, sets: list[BackupRow], target: RestoreTarget) -> RestoreChoice:
    before = [each for each in sets if _precedes(each, target)]
    if not before:
        first = min((each.stopped_at for each in sets if each.stopped_at is not None), default=None)
        return _not(made, Obstacle.TOO_EARLY, nearest=first)
    whole = [each for each in before if not each.flaws]
    if not whole:
        return _not(made, Obstacle.DAMAGED)
    assert made.timeline is not None
    good = [each for each in whole if _reaches(each.reaches[made.timeline], target) is not False]
    if not good:
        reaches = [each.reaches[made.timeline] for each in whole]
        ends = [each.commit_at for each in reaches if each.commit_at is not None]
        obstacle = Obstacle.IN_A_GAP if reaches[-1].gap else Obstacle.BEYOND
        return _not(made, obstacle, nearest=max(ends, default=None))
    return _taken(row, made, good[-1], target)


def _with_label(row: RestoreRow, made: RestoreChoice, sets: list[BackupRow], label: str) -> RestoreChoice:
    """A person's own backup: it is refused where it is known to be wrong."""
    backup = next((each for each in sets if each.label == label), None)
    if backup is None:
        return _not(made, Obstacle.NO_SUCH_SET)
    if backup.flaws:
        return _not(made, Obstacle.DAMAGED, backup=backup)
    if made.target.kind is TargetKind.LATEST:
        return _taken(row, made, backup, made.target)
    if made.target.kind in UNPLACED:
        return _doubting(_taken(row, made, backup, made.target), Doubt.POINT_UNKNOWN)
    if not _precedes(backup, made.target):
        return _not(made, Obstacle.SET_TOO_LATE, backup=backup)
    assert made.timeline is not None
    if _reaches(backup.reaches[made.timeline], made.target) is False:
        return _not(made, Obstacle.BEYOND, backup=backup, nearest=backup.reaches[made.timeline].commit_at)
    return _taken(row, made, backup, made.target)


def _taken(row: RestoreRow, made: RestoreChoice, backup: BackupRow, target: RestoreTarget) -> RestoreChoice:
    assert made.timeline is not None
    reach = backup.reaches[made.timeline]
    doubts = made.doubts
    if target.kind is TargetKind.TIME and reach.commit_at is None:
        doubts = (*doubts, Doubt.END_UNKNOWN)
    end = reach.end_lsn if row.primary_lsn is None or made.timeline != row.branch else row.primary_lsn
    by_lsn = target.kind is TargetKind.LSN
    by_time = target.kind is TargetKind.TIME and reach.commit_at is not None
    return RestoreChoice(
        row.database,
        made.target,
        made.timeline,
        backup,
        reach,
        doubts=doubts,
        lost_bytes=max(0, end - target.lsn) if by_lsn else None,
        lost_seconds=max(0.0, reach.commit_at - target.at) if by_time and reach.commit_at is not None else None,
    )


def _precedes(backup: BackupRow, target: RestoreTarget) -> bool:
    """Whether a backup's own end lies before the target."""
    if target.kind is TargetKind.LSN:
        return backup.stop_lsn <= target.lsn
    return backup.stopped_at is not None and backup.stopped_at <= target.at


def _reaches(reach: ReachRow, target: RestoreTarget) -> bool | None:
    """Whether the WAL goes as far; None = not known. To end at a time, PostgreSQL needs a commit after it."""
    if target.kind is TargetKind.LSN:
        return target.lsn <= reach.end_lsn
    return None if reach.commit_at is None else target.at < reach.commit_at


def _branch_doubts(row: RestoreRow, branch: BranchRow) -> tuple[Doubt, ...]:
    if branch.own is None:
        return (Doubt.BRANCH_UNPROVEN,)
    return () if branch.timeline == row.branch else (Doubt.OTHER_BRANCH,)


def _not(
    made: RestoreChoice,
    obstacle: Obstacle,
    *,
    timeline: int | None = None,
    backup: BackupRow | None = None,
    nearest: float | None = None,
) -> RestoreChoice:
    where = made.timeline if timeline is None else timeline
    return RestoreChoice(
        made.database, made.target, where, backup, obstacle=obstacle, doubts=made.doubts, nearest=nearest
    )


def _doubting(made: RestoreChoice, doubt: Doubt) -> RestoreChoice:
    return RestoreChoice(
        made.database, made.target, made.timeline, made.backup, made.reach, None, (*made.doubts, doubt),
        made.lost_bytes, made.lost_seconds, made.nearest,
    )  # fmt: skip
