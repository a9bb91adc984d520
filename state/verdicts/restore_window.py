"""To what a database can be restored, and whether that can be relied on. Without fresh evidence nothing is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from state.api.views.restore import (
    BackupRow,
    BranchRow,
    FaultRow,
    PointRow,
    RangeRow,
    ReachRow,
    RestoreFault,
    RestoreRow,
    StoreRow,
)
from state.estate.backups import BackupsEntry
from state.health import Health
from state.units import ago, counted, utc_date
from state.verdicts.archiving import archiver_finding
from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.evidence import no_data_reason, rank, worst
from state.verdicts.lag import lsn
from state.verdicts.past import PointPast, ProofTime
from state.verdicts.restore_reach import Branch, Reach, branches, reach_of
from state.world.backup_parts import BackupReading, BackupSet
from state.world.world import World

ARCHIVE_SECONDS = 15.0
"""What was archived so long before the store was looked at must be there: the archiver's own word may be as old."""
NO_STORE = "no backups are named in the estate: nothing is known of what it could be restored to"
WHOLE = "can be restored to every instant of its window"
FAULT = RestoreFault


def backup_key(database: str) -> str:
    """The key of the source of a database's backups."""
    return f"backup:{database}"


def restore_row(
    facts: ClusterFacts,
    entry: BackupsEntry | None,
    world: World,
    now_mono: float,
    proof: ProofTime | None = None,
    made: tuple[PointPast, ...] = (),
) -> RestoreRow:
    """The verdict on one database."""
    name, key = facts.name, backup_key(facts.name)
    points = tuple(PointRow(each.name, each.lsn, each.timeline, each.at) for each in made)
    if entry is None:
        return RestoreRow(name, Health.UNKNOWN, NO_STORE, None, points=points)
    sources = (key, *(node.postgres_key for node in facts.nodes.values()))
    store, proven_at = store_row(entry), proof.at if proof is not None else None
    proven_mono = proof.mono if proof is not None else None
    seen = world.of(key, BackupReading)
    reading = None if seen is None else seen.fresh_value(now_mono)
    if reading is None or seen is None or seen.mono is None:
        said = f"its backups: {no_data_reason(world.observed.get(key))}"
        found = [FaultRow(FAULT.NOT_READ, Health.UNKNOWN, said), *_archivers(facts)]
        found += [each for each in (_proof(entry, now_mono, proof),) if each is not None]
        found.sort(key=lambda each: -rank(each.health))
        return RestoreRow(
            name, found[0].health, found[0].message, store, proven_at=proven_at, faults=tuple(found), sources=sources,
            points=points, proven_mono=proven_mono, proven_by=proof.said if proof is not None else "",
            limits=_limits(facts),
        )  # fmt: skip
    branch = _branch(facts, reading)
    known = branches(reading)
    own = known.get(branch) if branch is not None and not _other_history(facts, reading) else None
    sets = tuple(_set_row(reading, each, known.values()) for each in reading.sets)
    ranges = _ranges(reading, own) if own is not None else ()
    faults = sorted(
        _faults(facts, entry, reading, seen.mono, known, branch, ranges, now_mono, proof),
        key=lambda each: -rank(each.health),
    )
    health = worst([each.health for each in faults] or [Health.PASS])
    return RestoreRow(
        name, health, faults[0].message if faults else WHOLE, store, ranges, sets,
        tuple(_branch_row(each, own, branch) for each in known.values()), branch,
        _primary_lsn(facts), proven_at, tuple(faults), sources,
        points, proven_mono, proof.said if proof is not None else "", _limits(facts), reading.running,
    )  # fmt: skip


def store_row(entry: BackupsEntry) -> StoreRow:
    """Where its backups are, for those who restore them."""
    return StoreRow(
        entry.kind, entry.on, entry.command, entry.stanza or "", entry.repo, entry.wal or "", entry.base or ""
    )


def _branch(facts: ClusterFacts, reading: BackupReading) -> int | None:
    """The timeline of the primary; of the archive alone only where it has no other line than one."""
    if facts.primary is not None and facts.primary.postgres is not None:
        return facts.primary.postgres.timeline
    known = branches(reading)
    parents = {fork.parent for fork in reading.forks.values()}
    ends = [timeline for timeline in known if timeline not in parents]
    return ends[0] if len(ends) == 1 else None


def _primary_lsn(facts: ClusterFacts) -> int | None:
    primary = facts.primary.postgres if facts.primary is not None else None
    return primary.write_lsn if primary is not None else None


def _limits(facts: ClusterFacts) -> Mapping[str, int]:
    primary = facts.primary.postgres if facts.primary is not None else None
    return primary.settings.limits if primary is not None and primary.settings is not None else {}


def _branch_row(branch: Branch, own: Branch | None, wanted: int | None) -> BranchRow:
    if own is None or wanted is None or not own.whole:
        return BranchRow(branch.timeline, None, branch.line)
    inside = any(timeline == branch.timeline for timeline, _ in own.line)
    return BranchRow(branch.timeline, inside, branch.line)


def _set_row(reading: BackupReading, backup: BackupSet, known: Iterable[Branch]) -> BackupRow:
    found = ((branch.timeline, reach_of(reading, backup, branch)) for branch in known)
    reaches = {timeline: _reach_row(reach) for timeline, reach in found if reach is not None}
    return BackupRow(
        backup.label, backup.kind, backup.timeline, backup.stop_lsn, backup.stopped_at,
        flaws_of(reading, backup), reaches,
    )  # fmt: skip


def _reach_row(reach: Reach) -> ReachRow:
    return ReachRow(reach.end_lsn, reach.commit_at, reach.gap is not None)


def flaws_of(reading: BackupReading, backup: BackupSet) -> tuple[str, ...]:
    """Why a set is not whole: its own flags, and those of all sets that it needs."""
    known = {each.label: each for each in reading.sets}
    found = list(backup.errors)
    for label in backup.needs:
        if label not in known:
            found.append(f"it needs {label}, which is not there")
        elif known[label].errors:
            found.append(f"it needs {label}, which is flagged with errors")
    return tuple(found)


def _ranges(reading: BackupReading, branch: Branch) -> tuple[RangeRow, ...]:
    """Stretches along the branch, the oldest first. A flagged set makes none."""
    made: dict[int, RangeRow] = {}
    for backup in sorted(reading.sets, key=lambda each: each.stop_lsn):
        reach = reach_of(reading, backup, branch)
        if reach is None or backup.stopped_at is None or flaws_of(reading, backup):
            continue
        before = made.get(reach.end_lsn)
        since = backup.stopped_at if before is None else before.since
        until = None if reach.commit_at is None else max(since, reach.commit_at)
        labels = (*(before.sets if before is not None else ()), backup.label)
        made[reach.end_lsn] = RangeRow(since, until, reach.end_lsn, labels, reach.gap is None)
    return tuple(made.values())


def _archivers(facts: ClusterFacts) -> Iterator[FaultRow]:
    for node in facts.nodes.values():
        if (found := archiver_finding(node)) is not None:
            yield FaultRow(FAULT.ARCHIVER, *found)


def _faults(
    facts: ClusterFacts,
    entry: BackupsEntry,
    reading: BackupReading,
    read_mono: float,
    known: dict[int, Branch],
    branch: int | None,
    ranges: tuple[RangeRow, ...],
    now_mono: float,
    proof: ProofTime | None,
) -> Iterator[FaultRow]:
    """Everything that stands against relying on it."""
    if reading.trouble:
        yield FaultRow(FAULT.STORE, Health.FAIL, f"its store of backups says: {reading.trouble}")
    yield from _strange(facts, reading)
    yield from _archivers(facts)
    if (frozen := frozen_store(facts.primary, reading, read_mono)) is not None:
        yield frozen
    yield from _unrestorable(reading, branch, known, ranges)
    yield from _end_unknown(entry, ranges)
    yield from _damaged(reading)
    if other := _other_history(facts, reading):
        yield FaultRow(FAULT.FOREIGN, Health.FAIL, other)
    else:
        yield from _foreign(known, branch)
    if (unproven := _proof(entry, now_mono, proof)) is not None:
        yield unproven


def _strange(facts: ClusterFacts, reading: BackupReading) -> Iterator[FaultRow]:
    """Backups of another cluster restore another cluster."""
    primary = facts.primary.postgres if facts.primary is not None else None
    if primary is not None and reading.system_id and primary.system_id != reading.system_id:
        said = f"its store of backups is of another system, {reading.system_id}; the primary is {primary.system_id}"
        yield FaultRow(FAULT.STRANGE, Health.FAIL, said)


def frozen_store(primary: NodeFacts | None, reading: BackupReading, read_mono: float) -> FaultRow | None:
    """Green archiver, and what it says it archived is not in the store: an archive command that stores nothing."""
    server = primary.postgres if primary is not None else None
    seen = primary.postgres_seen if primary is not None else None
    archiver = server.archiver if server is not None else None
    if server is None or archiver is None or seen is None or seen.mono is None:
        return FaultRow(
            FAULT.ARCHIVING_UNKNOWN,
            Health.UNKNOWN,
            "the primary's archiver is not read: whether its WAL arrives is not known",
        )
    if archiver.mode == "off":
        return FaultRow(FAULT.FROZEN, Health.FAIL, "archive_mode is off: nothing after the last backup can be restored")
    place = segment_place(archiver.last_archived, reading.segment_size)
    if place is None:
        return FaultRow(
            FAULT.ARCHIVING_UNKNOWN,
            Health.UNKNOWN,
            "nothing was archived since its statistics began: whether WAL arrives is not known",
        )
    if reading.holds(*place):
        return None
    if archiver.since is None:
        return FaultRow(
            FAULT.ARCHIVING_UNKNOWN,
            Health.UNKNOWN,
            "when the last file was archived is not told: whether it arrived is not known",
        )
    if seen.mono - archiver.since > read_mono - ARCHIVE_SECONDS:
        return None  # it was archived after the store was looked at, or may have been
    newest = max((run.last for run in reading.runs if run.timeline == place[0]), default=None)
    ends = "has none of this timeline" if newest is None else f"ends {place[1] - newest} segments before it"
    if newest is not None and newest > place[1]:
        ends = "lacks it"
    return FaultRow(
        FAULT.FROZEN,
        Health.FAIL,
        f"PostgreSQL says that it archived {archiver.last_archived[:24]}, and the store {ends}",
    )


def segment_place(name: str, size: int) -> tuple[int, int] | None:
    """Timeline and segment of the name of a WAL file; None for other files."""
    try:
        timeline, high, low = (int(name[at : at + 8], 16) for at in (0, 8, 16))
    except ValueError:
        return None
    return timeline, high * ((1 << 32) // size) + low


def _unrestorable(
    reading: BackupReading, branch: int | None, known: dict[int, Branch], ranges: tuple[RangeRow, ...]
) -> Iterator[FaultRow]:
    if branch is None:
        yield FaultRow(
            FAULT.BRANCH_UNKNOWN, Health.UNKNOWN, "no primary is known, and its archive has several lines of history"
        )
        return
    if not reading.sets:
        yield FaultRow(FAULT.NO_BACKUP, Health.FAIL, "there is no backup: nothing can be restored")
        return
    if branch not in known:
        yield FaultRow(
            FAULT.MISSING_WAL, Health.FAIL, f"nothing of timeline {branch}, which the primary writes, is in the archive"
        )
        return
    if not known[branch].whole:
        yield FaultRow(
            FAULT.BRANCH_UNKNOWN,
            Health.UNKNOWN,
            f"the history of timeline {branch} is not in the archive: its past cannot be followed",
        )
    if not ranges:
        yield FaultRow(
            FAULT.MISSING_WAL,
            Health.FAIL,
            f"no whole backup has its WAL: nothing can be restored along timeline {branch}",
        )
    elif not ranges[-1].newest:
        yield FaultRow(
            FAULT.MISSING_WAL,
            Health.FAIL,
            f"WAL is missing after {_end(ranges[-1])}: nothing later can be restored until a new backup",
        )
    islands = len(ranges) - 1
    if islands > 0 and ranges[-1].newest:
        yield FaultRow(
            FAULT.GAPS, Health.WARN, f"{counted(islands, 'gap')} in the restore window, where WAL is missing"
        )


def _end(stretch: RangeRow) -> str:
    return utc_date(stretch.until) if stretch.until is not None else "its last whole stretch"


def _end_unknown(entry: BackupsEntry, ranges: tuple[RangeRow, ...]) -> Iterator[FaultRow]:
    if any(each.until is None for each in ranges):
        why = "" if entry.waldump is not None else "; name `waldump` in its backups to have it read"
        yield FaultRow(FAULT.END_UNKNOWN, Health.UNKNOWN, f"the time of the last archived commit is not known{why}")


def _damaged(reading: BackupReading) -> Iterator[FaultRow]:
    for backup in reading.sets:
        if flaws := flaws_of(reading, backup):
            yield FaultRow(FAULT.DAMAGED, Health.WARN, f"backup {backup.label} is not whole: {flaws[0]}")


def _foreign(known: dict[int, Branch], branch: int | None) -> Iterator[FaultRow]:
    """Lines that the primary does not have in its past: a restore that names no timeline would follow the newest."""
    if branch is None or branch not in known or not known[branch].whole:
        return
    line = {timeline for timeline, _ in known[branch].line}
    later = [timeline for timeline in known if timeline not in line]
    if later:
        named = ", ".join(map(str, later))
        yield FaultRow(
            FAULT.FOREIGN,
            Health.WARN,
            f"timeline {named} in the archive is not of the primary's history: restore names {branch}",
        )


def _other_history(facts: ClusterFacts, reading: BackupReading) -> str:
    """A timeline of the primary that begins elsewhere in the archive: another server was promoted to that number and
    archived, so what is there of it is not the primary's. Empty where none is known."""
    primary = facts.primary.postgres if facts.primary is not None else None
    if primary is None or primary.history is None or primary.timeline is None:
        return ""
    line = [*(each.parent for each in primary.history), primary.timeline]
    for switch, timeline in zip(primary.history, line[1:], strict=True):
        fork = reading.forks.get(timeline)
        if fork is not None and (fork.parent, fork.lsn) != (switch.parent, switch.lsn):
            return (
                f"timeline {timeline} in the archive begins at {lsn(fork.lsn)}, the primary's at {lsn(switch.lsn)}:"
                " it is another server's, and nothing of it restores this one"
            )
    return ""


def _proof(entry: BackupsEntry, now_mono: float, proof: ProofTime | None) -> FaultRow | None:
    if proof is None:
        return FaultRow(FAULT.UNPROVEN, Health.FAIL, "no restore of it was ever proven")
    age = now_mono - proof.mono
    if age > entry.prove_every:
        return FaultRow(
            FAULT.UNPROVEN,
            Health.FAIL,
            f"the last proven restore is of {utc_date(proof.at)}, longer ago than {ago(entry.prove_every)}",
        )
    return None
