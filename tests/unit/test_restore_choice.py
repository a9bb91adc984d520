"""Which backup a restore begins with: compared with a replay, segment by segment, of what PostgreSQL would do."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from console.cli.db_restore_command import command_lines
from state.api.views.restore import PointRow, RestoreRow
from state.estate.backups import BackupsEntry
from state.restoring.choosing import Doubt, Obstacle, choose
from state.restoring.targets import RestoreTarget, TargetKind, parse_target, setting_of
from state.world.backup_parts import BackupReading, BackupSet, TimelineFork
from tests.support.stores import SIZE, at, backup, store, wal
from tests.unit.test_restore_window import ENTRY, archiver, judged

NEWEST = 40


def rows(reading: BackupReading, timeline: int = 1, **facts: object) -> RestoreRow:
    return judged(reading, arch=archiver(1, timeline=timeline), timeline=timeline, **facts)  # type: ignore[arg-type]


def by_time(moment: float) -> RestoreTarget:
    return RestoreTarget(TargetKind.TIME, at=moment)


def by_lsn(lsn: int) -> RestoreTarget:
    return RestoreTarget(TargetKind.LSN, lsn=lsn)


def replayed_to(each: BackupSet, owner: Mapping[int, int], held: set[tuple[int, int]]) -> int:
    """The first segment that a replay lacks: it asks for one after the other, each of the timeline that owns it."""
    segment = each.first_segment
    while (owner[segment], segment) in held:
        segment += 1
    return segment


def best(
    sets: tuple[BackupSet, ...], target: RestoreTarget, owner: Mapping[int, int], held: set[tuple[int, int]]
) -> str:
    """The label of the last backup with which PostgreSQL ends exactly at the target; empty where none does."""
    found = ""
    for each in sorted(sets, key=lambda one: one.stop_lsn):
        end = replayed_to(each, owner, held)
        if end * SIZE < each.stop_lsn or owner[each.stop_lsn // SIZE] != each.timeline:
            continue
        if target.kind is TargetKind.TIME:
            ends_before = each.stopped_at is not None and each.stopped_at <= target.at
            commit_after = any(at(segment + 0.9) > target.at for segment in range(each.first_segment, end))
            fits = ends_before and commit_after
        else:
            fits = each.stop_lsn <= target.lsn <= end * SIZE
        found = each.label if fits else found
    return found


@pytest.mark.parametrize("seed", range(60))
def test_the_choice_is_that_of_a_replay(seed: int) -> None:
    """Sixty stores with backups, gaps and a change of timeline; twenty targets in each."""
    rng = random.Random(seed)
    fork = rng.randint(8, 30)
    owner = {segment: 2 if segment >= fork else 1 for segment in range(NEWEST + 2)}
    kept = {s for s in range(1, NEWEST) if rng.random() > rng.choice((0.0, 0.03, 0.15))}
    held = {(owner[s], s) for s in kept} | {(1, s) for s in range(fork, min(fork + 3, NEWEST))}
    sets = tuple(
        backup(f"S{begin}", begin, timeline=owner[begin + spans - 1], spans=spans)
        for begin, spans in ((b, rng.choice((1, 1, 2))) for b in rng.sample(range(1, NEWEST - 2), rng.randint(1, 6)))
    )
    segments = {t: {s for timeline, s in held if timeline == t} for t in (1, 2)}
    row = rows(store(sets, segments, {2: TimelineFork(1, wal(fork, 100))}), timeline=2)
    for _ in range(20):
        place = rng.uniform(0.5, NEWEST + 1)
        for target in (by_time(at(place)), by_lsn(int(place * SIZE))):
            made = choose(row, target)
            chosen = "" if made.backup is None else made.backup.label
            if Doubt.END_UNKNOWN in made.doubts:  # its WAL ends within a stretch, whose last commit is not read
                assert made.reach is not None
                assert made.reach.end_lsn == wal(fork)
                continue
            assert chosen == best(sets, target, owner, held), (target, made)
            assert (made.obstacle is None) is bool(chosen)


WHOLE = store((backup("A", 2), backup("B", 10)), {1: range(1, 20)})


def test_a_backup_that_stopped_after_the_target_is_never_taken() -> None:
    assert choose(rows(WHOLE), by_time(at(10.4))).backup == rows(WHOLE).sets[0]
    made = choose(rows(WHOLE), by_time(at(10.4)), label="B")
    assert (made.obstacle, made.backup and made.backup.label) == (Obstacle.SET_TOO_LATE, "B")
    early = choose(rows(WHOLE), by_time(at(1)))
    assert (early.obstacle, early.nearest) == (Obstacle.TOO_EARLY, at(2.5))


def test_replication_trap_71_a_target_behind_the_last_commit_is_refused() -> None:
    made = choose(rows(WHOLE), by_time(at(19.95)))
    assert (made.obstacle, made.nearest) == (Obstacle.BEYOND, at(19.9))
    latest = choose(rows(WHOLE), RestoreTarget(TargetKind.LATEST))
    assert latest.backup is not None
    assert latest.backup.label == "B"


def test_where_commits_are_not_read_the_end_is_not_known() -> None:
    made = choose(rows(store((backup("A", 2),), {1: range(1, 20)}, commits=False)), by_time(at(5)))
    assert (made.obstacle, made.doubts) == (None, (Doubt.END_UNKNOWN,))


def test_what_is_lost_is_told() -> None:
    assert choose(rows(WHOLE), by_time(at(15.9))).lost_seconds == pytest.approx(4 * 60.0)
    assert choose(rows(WHOLE), by_lsn(wal(15))).lost_bytes == wal(20) - wal(15), "the primary has written to segment 20"


def test_a_gap_is_named() -> None:
    gap = store((backup("A", 2), backup("B", 10)), {1: {*range(2, 6), *range(10, 20)}})
    assert choose(rows(gap), by_time(at(8))).obstacle is Obstacle.IN_A_GAP
    assert choose(rows(gap), by_lsn(wal(8))).obstacle is Obstacle.IN_A_GAP


def test_damaged_backups_are_passed_over() -> None:
    sets = (backup("A", 2), backup("B", 10, errors=("page checksum errors in base/1",)))
    row = rows(store(sets, {1: range(1, 20)}))
    made = choose(row, by_time(at(15)))
    assert made.backup is not None
    assert made.backup.label == "A"
    assert choose(row, by_time(at(15)), label="B").obstacle is Obstacle.DAMAGED
    assert choose(rows(store(sets[1:], {1: range(1, 20)})), by_time(at(15))).obstacle is Obstacle.DAMAGED


@pytest.mark.parametrize("typed", ["xid:4711", "before-upgrade"])
def test_a_transaction_and_a_name_need_a_backup_that_a_person_names(typed: str) -> None:
    target = parse_target(typed)
    assert choose(rows(WHOLE), target).obstacle is Obstacle.NEEDS_SET
    assert choose(rows(WHOLE), target, label="A").doubts == (Doubt.POINT_UNKNOWN,)
    assert choose(rows(WHOLE), target, label="Z").obstacle is Obstacle.NO_SUCH_SET


def test_a_restore_point_that_was_written_here_has_its_place() -> None:
    known = PointRow("before-v42", wal(12, 100), 1, 0.0)
    row = replace(rows(WHOLE), points=(known,))
    made = choose(row, parse_target("before-v42"))
    assert (made.backup and made.backup.label, made.obstacle, made.doubts, made.target.text) == (
        "B", None, (), "before-v42",
    )  # fmt: skip
    assert made.lost_bytes == wal(20) - wal(12, 100)
    assert choose(row, parse_target("before-v42"), label="B").doubts == ()
    early = replace(row, points=(replace(known, lsn=wal(10)),))
    assert choose(early, parse_target("before-v42")).backup == row.sets[0]
    assert choose(early, parse_target("before-v42"), label="B").obstacle is Obstacle.SET_TOO_LATE
    assert choose(replace(row, points=(known, known)), parse_target("before-v42")).obstacle is Obstacle.NEEDS_SET
    assert choose(replace(row, points=(replace(known, timeline=3),)), parse_target("before-v42")).obstacle is (
        Obstacle.NEEDS_SET
    )
    assert choose(replace(row, points=(replace(known, lsn=wal(30)),)), parse_target("before-v42")).obstacle is (
        Obstacle.BEYOND
    )


def test_a_foreign_timeline_only_when_it_is_named_and_then_with_a_word() -> None:
    reading = store(
        (backup("A", 2), backup("X", 8, timeline=2)),
        {1: range(1, 20), 2: range(6, 12)},
        {2: TimelineFork(1, wal(6, 100))},
    )
    assert choose(rows(reading), by_time(at(10))).timeline == 1
    made = choose(rows(reading), by_time(at(10)), timeline=2)
    assert (made.backup and made.backup.label, made.doubts) == ("X", (Doubt.OTHER_BRANCH,))
    assert choose(rows(reading), by_time(at(10)), timeline=7).obstacle is Obstacle.STRANGE_BRANCH


@pytest.mark.parametrize(
    ("typed", "setting"),
    [
        ("2026-11-27T14:05:00Z", ("time", "2026-11-27 14:05:00.000000+00")),
        ("2026-11-27 16:05:00.25+02:00", ("time", "2026-11-27 14:05:00.250000+00")),
        ("0/3000060", ("lsn", "0/3000060")),
        ("xid:731", ("xid", "731")),
        ("xid:0100", ("xid", "100")),  # PostgreSQL takes 0100 for 64
        ("latest", ("default", "")),
        ("before-v42", ("name", "before-v42")),
        ("name:2026", ("name", "2026")),
    ],
)
def test_targets_as_typed(typed: str, setting: tuple[str, str]) -> None:
    assert setting_of(parse_target(typed)) == setting


@pytest.mark.parametrize("typed", ["2026-11-27T14:05:00", "2026-11-27", "14:05", "it's", "a b", "$(id)", "", "name:",
                                   "xid:",
                                   "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])  # fmt: skip
def test_what_is_no_target(typed: str) -> None:
    with pytest.raises(ValueError, match=r"zone|none of these|no time"):
        parse_target(typed)


def test_years_have_four_digits() -> None:
    assert setting_of(parse_target("0001-02-03T00:00:00Z")) == ("time", "0001-02-03 00:00:00.000000+00")


@pytest.mark.parametrize("folder", ["/srv/$(id)", "/srv/`id`", "/srv/%p", "/srv/'", '/srv/"', "/srv/\\", "srv"])
def test_folders_have_nothing_that_a_shell_or_the_server_reads(folder: str) -> None:
    with pytest.raises(ValueError, match="wal"):
        BackupsEntry(kind="archive", wal=folder, base="/srv/base")


def test_replication_traps_60_and_61_the_command_names_the_timeline_and_turns_archiving_off_in_a_scratch_copy() -> None:
    row = rows(WHOLE)
    made = choose(row, parse_target("0/F000000"))
    assert command_lines(row, made, None) == (
        "pgbackrest --stanza=orders --repo=1 --set=B --type=lsn --target=0/F000000 --target-timeline=1 restore",
    )
    scratch, workers = command_lines(row, made, "/srv/scratch")
    assert workers == "echo 'max_logical_replication_workers = 0' >> /srv/scratch/postgresql.auto.conf"
    assert scratch.endswith("--pg1-path=/srv/scratch --archive-mode=off restore")
    assert command_lines(row, choose(row, by_time(at(1))), None) == ()


def test_replication_trap_60_the_lines_for_an_archive_turn_archiving_off_too() -> None:
    entry = BackupsEntry(kind="archive", wal="/srv/wal", base="/srv/base", waldump="/usr/bin/pg_waldump")
    row = rows(WHOLE, entry=entry)
    made = choose(row, parse_target("0/F000000"))
    lines = command_lines(row, made, "/srv/scratch")
    assert lines[0] == "cp -a /srv/base/B/. /srv/scratch"
    assert any("recovery_target_lsn" in each for each in lines)
    assert any("recovery_target_timeline" in each for each in lines)
    assert any("archive_mode = off" in each for each in lines)
    assert not any("archive_mode" in each for each in command_lines(row, made, None))
    assert ENTRY.kind == "pgbackrest"
