"""The restore window and the choice of a backup, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from console.cli.shown import NOTHING, table
from state.api.views.restore import BackupRow, RangeRow, RestoreFault, RestoreRow
from state.restoring.choosing import Doubt, Obstacle, RestoreChoice
from state.restoring.targets import TargetKind, setting_of
from state.text import clean
from state.units import ago, megabytes, rfc3339, short_duration, utc_date

SHOWN_POINTS = 5
"""The newest restore points that are listed."""
RIBBON = 60
"""Cells of the ribbon."""
WHOLE, GAP, PROVEN = "=", ".", "?"
OBSTACLES = {
    Obstacle.NO_STORE: "The estate names no backups of it: add `backups` to the database.",
    Obstacle.NOT_READ: "Its backups have not been read: see recovery db restore-window.",
    Obstacle.NO_BACKUP: "No whole backup is on this timeline.",
    Obstacle.NO_BRANCH: "No primary is known and the archive has several lines of history: name one with --timeline.",
    Obstacle.STRANGE_BRANCH: "The archive has nothing of this timeline.",
    Obstacle.TOO_EARLY: "No backup ended before it. PostgreSQL would restore a later one to its own end, without an"
    " error.",
    Obstacle.BEYOND: "Its WAL is not in the archive so far, or no commit after it is: PostgreSQL would end with an"
    " error (before version 13 it promotes what it has). For all that there is: --to latest",
    Obstacle.IN_A_GAP: "WAL is missing between the last backup before it and the target.",
    Obstacle.NEEDS_SET: "Where a name or the number of a transaction stands in the WAL is not known: name a backup that"
    " ended before it with --set.",
    Obstacle.NO_SUCH_SET: "There is no such backup on this timeline.",
    Obstacle.SET_TOO_LATE: "That backup ended after the target: PostgreSQL would restore it to its own end, without an"
    " error.",
    Obstacle.DAMAGED: "The backups before it are flagged with errors, or lack one that they need.",
}
DOUBTS = {
    Doubt.END_UNKNOWN: "Not known: whether a commit after the target is in the archive. Without one, PostgreSQL ends"
    " with an error (before version 13 it promotes what it has).",
    Doubt.POINT_UNKNOWN: "Not known: whether that backup ended before the target. If it did not, PostgreSQL restores to"
    " a later state without an error.",
    Doubt.OTHER_BRANCH: "This is not the primary's own timeline: what the primary has written since they parted is not"
    " in it.",
    Doubt.BRANCH_UNPROVEN: "Not known: whether this timeline is the primary's own.",
}


def told_window(row: RestoreRow, age: str, now_mono: float) -> Iterator[str]:
    """One database: verdict, what is wrong, the ribbon, backups, branches."""
    yield ""
    yield f"{row.health.value.upper()} {row.database}   {row.message}"
    if row.store is None:
        return
    where = f"{row.store.kind} {row.store.stanza or row.store.base}".strip()
    yield f"  {where} on {row.store.on}, read {age} ago   last proven restore: {proof_words(row, now_mono)}"
    if row.proven_by:
        yield f"  it said: {clean(row.proven_by)}"
    if row.running:
        yield "  a backup is at work there"
    for fault in row.faults[1:]:
        yield f"  {fault.health.value.upper()} {fault.message}"
    yield from _ribbon(row.ranges)
    rows = [_backup(each, row.branch) for each in row.sets]
    if rows:
        yield ""
        yield from table(("BACKUP", "KIND", "TLI", "ENDED", "RESTORES TO", "WHY NOT"), rows, right=("TLI",))
    for point in row.points[-SHOWN_POINTS:]:
        where = f"{_lsn(point.lsn)}, timeline {point.timeline}"
        yield f"  restore point {clean(point.name)} of {utc_date(point.at)} at {where}"
    for branch in row.branches:
        if branch.own is False:
            yield f"  timeline {branch.timeline} is not of the primary's history"


def proof_words(row: RestoreRow, now_mono: float) -> str:
    """When a restore was last proven, with its verdict: never known is a failure as one that is too old."""
    verdict = "FAIL" if any(each.code is RestoreFault.UNPROVEN for each in row.faults) else "PASS"
    if row.proven_at is None or row.proven_mono is None:
        return "FAIL never"
    return f"{verdict} {utc_date(row.proven_at)}, {ago(now_mono - row.proven_mono)} ago"


def _ribbon(ranges: Sequence[RangeRow]) -> Iterator[str]:
    """The stretches as a line over time, then each in words."""
    begin = min((each.since for each in ranges), default=0.0)
    end = max((each.until or each.since for each in ranges), default=0.0)
    if end > begin:
        cells = [GAP] * RIBBON
        for each in ranges:
            first = int((each.since - begin) / (end - begin) * (RIBBON - 1))
            last = int(((each.until or each.since) - begin) / (end - begin) * (RIBBON - 1))
            cells[first : last + 1] = (WHOLE if each.until is not None else PROVEN) * (last + 1 - first)
        yield f"  [{''.join(cells)}]"
    for each in ranges:
        until = utc_date(each.until) if each.until is not None else "not known"
        yield f"  {utc_date(each.since)} to {until}   {len(each.sets)} backups, WAL to {_lsn(each.end_lsn)}"


def _backup(each: BackupRow, branch: int | None) -> list[str]:
    reach = each.reaches.get(branch) if branch is not None else None
    if reach is None:
        to, why = NOTHING, "its WAL is not whole, or it is of another timeline"
    else:
        to = utc_date(reach.commit_at) if reach.commit_at is not None else _lsn(reach.end_lsn)
        why = "then WAL is missing" if reach.gap else ""
    ended = utc_date(each.stopped_at) if each.stopped_at is not None else "unknown"
    return [clean(each.label), each.kind, str(each.timeline), ended, to, clean(each.flaws[0]) if each.flaws else why]


def told_choice(row: RestoreRow, made: RestoreChoice, lines: Sequence[str]) -> Iterator[str]:
    """What to run, what it begins with, what is lost; or why nothing can be run."""
    kind, value = setting_of(made.target)
    yield f"{clean(row.database)} to {'the end of its archive' if not value else f'{kind} {value}'}"
    if made.obstacle is not None:
        yield f"NOT POSSIBLE   {OBSTACLES[made.obstacle]}"
        if made.nearest is not None:
            early = made.obstacle is Obstacle.TOO_EARLY
            yield f"  {'The first time that can be reached' if early else 'It reaches to'}: {utc_date(made.nearest)}"
        return
    assert made.backup is not None, "without an obstacle a backup was chosen"
    assert made.reach is not None
    ended = utc_date(made.backup.stopped_at) if made.backup.stopped_at is not None else "unknown"
    yield f"  begins with {made.backup.kind} backup {clean(made.backup.label)}, which ended {ended}"
    yield f"  along timeline {made.timeline}; its WAL goes to {_lsn(made.reach.end_lsn)}"
    yield f"  lost: {_lost(row, made)}"
    for doubt in made.doubts:
        yield f"  {DOUBTS[doubt]}"
    yield f"  {needs_words(row)}"
    yield ""
    assert row.store is not None
    host = "this machine" if row.store.on == "local" else f"host {row.store.on}"
    yield f"Nothing was run. On {host}, with the server to be restored stopped:"
    for line in lines:
        yield f"  {line}"


def needs_words(row: RestoreRow) -> str:
    """What a restored server must be allowed before it starts: settings that were raised since the backup are not in
    its files, and with less PostgreSQL ends its replay where they were raised."""
    if not row.limits:
        return "before its start: max_connections and the like no lower than the primary's, which is not read now"
    known = ", ".join(f"{name} = {value}" for name, value in sorted(row.limits.items()))
    return f"before its start, no lower than now at the primary, else its replay ends early: {known}"


def _lost(row: RestoreRow, made: RestoreChoice) -> str:
    if made.target.kind is TargetKind.LATEST:
        return "what was committed and is not archived yet"
    if made.lost_seconds is not None:
        return f"everything after it: {short_duration(made.lost_seconds)} of archived commits, and what came later"
    if made.lost_bytes is not None:
        known = " of the primary" if row.primary_lsn is not None else " of the archive"
        return f"everything after it: {megabytes(made.lost_bytes)} of WAL{known}"
    return "everything after it; how much is not known"


def choice_document(row: RestoreRow, made: RestoreChoice, lines: Sequence[str]) -> dict[str, Any]:
    """The same for scripts."""
    kind, value = setting_of(made.target)
    backup = made.backup
    return {
        "database": row.database,
        "target": {"kind": kind, "value": value},
        "timeline": made.timeline,
        "possible": None if made.obstacle is None and made.doubts else made.obstacle is None,
        "obstacle": made.obstacle,
        "why": OBSTACLES[made.obstacle] if made.obstacle is not None else "",
        "doubts": [DOUBTS[each] for each in made.doubts],
        "backup": None if backup is None else {"label": backup.label, "kind": backup.kind, "flaws": list(backup.flaws)},
        "lost_bytes": made.lost_bytes,
        "lost_seconds": made.lost_seconds,
        "nearest": None if made.nearest is None else rfc3339(made.nearest),
        "settings": dict(row.limits),
        "on": row.store.on if row.store is not None else None,
        "command": list(lines),
    }


def _lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
