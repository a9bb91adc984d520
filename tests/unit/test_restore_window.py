"""The restore window: no green without evidence, gaps are islands, and nothing of another history counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from state.api.views.restore import RestoreRow
from state.estate.backups import BackupsEntry
from state.health import Health
from state.verdicts.past import ProofTime
from state.verdicts.replication import ClusterVerdict
from state.verdicts.restore_window import backup_key, restore_row
from state.world.backup_parts import BackupReading, TimelineFork
from state.world.postgres_parts import ServerSettings, WalArchiver
from state.world.timelines import History, TimelineSwitch
from state.world.world import World
from tests.support.stores import at, backup, store, wal
from tests.unit.verdict_world import NOW, blackhole, fail, healthy_cluster, look, primary, put

ENTRY = BackupsEntry(kind="pgbackrest", stanza="orders", waldump="/usr/bin/pg_waldump")
PROVEN = ProofTime(at(0), NOW - 86_400.0)
KEY = backup_key("orders")


def archiver(last: int, since: float | None = 30.0, timeline: int = 1, **facts: object) -> WalArchiver:
    made = WalArchiver("on", 100, 0, f"{timeline:08X}00000000{last:08X}", "", False, 0, since)
    return replace(made, **facts)  # type: ignore[arg-type]


def judged(
    reading: BackupReading | None,
    *,
    entry: BackupsEntry | None = ENTRY,
    proof: ProofTime | None = PROVEN,
    arch: WalArchiver | None = None,
    timeline: int = 1,
    age: float = 10.0,
    world: World | None = None,
    limits: Mapping[str, int] | None = None,
    history: History | None = None,
) -> RestoreRow:
    world = world or World()
    healthy_cluster(world)
    server = primary("n1", wal(20), timeline, archiver=arch or archiver(19, timeline=timeline), history=history)
    put(world, "postgres:orders/n1", server if limits is None else replace(server, settings=ServerSettings(limits)))
    if reading is not None:
        put(world, KEY, reading, age=age, limit=200.0)
    cluster: ClusterVerdict = look(world).clusters["orders"]
    return restore_row(cluster.facts, entry, world, NOW, proof)


def said_of(row: RestoreRow) -> list[str]:
    return [each.message for each in row.faults]


WHOLE = store((backup("A", 2), backup("B", 10)), {1: range(1, 20)})


def test_a_whole_store_with_a_proof_is_green_and_ends_at_the_last_commit() -> None:
    row = judged(WHOLE)
    assert (row.health, row.faults) == (Health.PASS, ())
    assert [(each.since, each.until, each.sets) for each in row.ranges] == [(at(2.5), at(19.9), ("A", "B"))]


@pytest.mark.parametrize(
    ("row", "health", "said"),
    [
        (judged(None, entry=None), Health.UNKNOWN, "no backups are named in the estate"),
        (judged(None), Health.UNKNOWN, "not read by this engine"),
        (judged(WHOLE, proof=None), Health.FAIL, "no restore of it was ever proven"),
        (
            judged(WHOLE, proof=ProofTime(at(0), NOW - 100 * 86_400.0)),
            Health.FAIL,
            "the last proven restore is of",
        ),
        (judged(WHOLE, arch=archiver(19, failing=True)), Health.FAIL, "the archiver of n1 fails"),
        (
            judged(WHOLE, arch=WalArchiver("on", 0, 7, "", "x", True, 3, None)),
            Health.FAIL,
            "the archiver of n1 never succeeded, 7 failures, 3 files wait",
        ),
        (judged(WHOLE, arch=archiver(0, archived=0, last_archived="")), Health.UNKNOWN, "nothing was archived since"),
        (judged(WHOLE, arch=archiver(24, since=None)), Health.UNKNOWN, "is not told"),
        (judged(WHOLE, arch=archiver(19, mode="off")), Health.FAIL, "archive_mode is off"),
        (judged(WHOLE, arch=archiver(24)), Health.FAIL, "and the store ends 5 segments before it"),
        (judged(store((), {1: range(1, 20)})), Health.FAIL, "there is no backup"),
        (judged(replace(WHOLE, trouble="database mismatch")), Health.FAIL, "its store of backups says: database mis"),
        (judged(replace(WHOLE, system_id="8")), Health.FAIL, "its store of backups is of another system, 8"),
        (judged(WHOLE, timeline=2), Health.FAIL, "and the store has none of this timeline"),
        (judged(store((backup("A", 2),), {1: range(1, 20)}, commits=False)), Health.UNKNOWN, "last archived commit"),
        (judged(store((backup("A", 2, spans=3),), {1: {2, 4, 19}})), Health.FAIL, "no whole backup has its WAL"),
        (judged(store((backup("A", 2, errors=("page 7",)),), {1: range(1, 20)})), Health.FAIL, "no whole backup"),
    ],
)  # fmt: skip
def test_what_is_not_green(row: RestoreRow, health: Health, said: str) -> None:
    assert row.health is health
    assert any(said in each for each in [*said_of(row), row.message]), row


def test_a_store_that_went_silent_is_unknown_and_keeps_no_window() -> None:
    world = World()
    put(world, KEY, WHOLE, age=10.0, limit=200.0)
    blackhole(world, KEY, 300.0)
    row = judged(None, world=world)
    assert (row.health, row.ranges) == (Health.UNKNOWN, ())
    fail(world, KEY)
    assert "no data since" in judged(None, world=world).message


def test_replication_trap_62_what_was_archived_after_the_store_was_read_proves_no_frozen_store() -> None:
    assert judged(WHOLE, arch=archiver(24, since=5.0), age=30.0).health is Health.PASS
    assert judged(WHOLE, arch=archiver(24, since=90.0), age=30.0).health is Health.FAIL


def test_a_hole_behind_newer_wal_is_a_frozen_segment_too() -> None:
    row = judged(store((backup("B", 10),), {1: {*range(10, 15), *range(16, 30)}}), arch=archiver(15))
    assert any("and the store lacks it" in each for each in said_of(row))


def test_replication_trap_64_expired_wal_makes_islands() -> None:
    kept = {*range(2, 6), *range(10, 20)}
    row = judged(store((backup("A", 2), backup("B", 10)), {1: kept}))
    assert [(each.since, each.until, each.newest) for each in row.ranges] == [
        (at(2.5), at(5.9), False),
        (at(10.5), at(19.9), True),
    ]
    assert (row.health, said_of(row)) == (Health.WARN, ["1 gap in the restore window, where WAL is missing"])


def test_a_gap_after_the_last_backup_is_red() -> None:
    row = judged(store((backup("A", 2),), {1: {*range(2, 6), *range(8, 20)}}))
    assert row.health is Health.FAIL
    assert row.faults[0].message.startswith("WAL is missing after")


def test_replication_trap_66_a_backup_without_its_parent_or_with_errors_is_not_whole() -> None:
    sets = (
        backup("A", 2),
        backup("B", 10, needs=("gone",)),
        backup("C", 12, needs=("D",)),
        backup("D", 11, errors=("p",)),
    )
    row = judged(store(sets, {1: range(1, 20)}))
    assert row.ranges[0].sets == ("A",)
    assert {each.label: each.flaws for each in row.sets if each.flaws} == {
        "B": ("it needs gone, which is not there",),
        "C": ("it needs D, which is flagged with errors",),
        "D": ("p",),
    }
    assert row.health is Health.WARN


FORKED = {2: TimelineFork(1, wal(12, 100)), 3: TimelineFork(1, wal(6, 100))}


def test_replication_trap_61_a_foreign_branch_is_found_and_the_primary_s_own_is_taken() -> None:
    segments = {1: range(1, 13), 2: range(12, 20), 3: range(6, 9)}
    row = judged(store((backup("A", 2), backup("X", 7, timeline=3)), segments, FORKED), timeline=2)
    assert {each.timeline: each.own for each in row.branches} == {1: True, 2: True, 3: False}
    assert row.branch == 2
    assert [each.sets for each in row.ranges] == [("A",)], "X is of the branch that the primary does not have"
    assert row.ranges[0].until == at(19.9), "the window goes over the change of timelines"
    assert said_of(row) == ["timeline 3 in the archive is not of the primary's history: restore names 2"]


def test_replication_trap_61_a_timeline_of_the_primary_s_number_that_another_server_archived_is_no_window() -> None:
    """A scratch copy was promoted to timeline 2 and archived; then the cluster failed over to its own timeline 2."""
    reading = store((backup("A", 2),), {1: range(1, 13), 2: range(12, 20)}, {2: FORKED[2]})
    whole = judged(reading, timeline=2, history=(TimelineSwitch(1, wal(12, 100)),))
    assert (whole.health, bool(whole.ranges)) == (Health.PASS, True)
    row = judged(reading, timeline=2, history=(TimelineSwitch(1, wal(15, 100)),))
    assert (row.health, row.ranges) == (Health.FAIL, ())
    assert any("timeline 2 in the archive begins at" in each and "another server's" in each for each in said_of(row))
    assert {each.own for each in row.branches} == {None}, "and a restore along it is doubted"


def test_a_branch_whose_history_is_missing_proves_nothing() -> None:
    row = judged(store((backup("A", 2),), {1: range(1, 13), 2: range(12, 20)}), timeline=2)
    assert row.health is Health.FAIL
    assert not row.ranges
    assert {each.own for each in row.branches} == {None}
    assert any("the history of timeline 2 is not in the archive" in each for each in said_of(row))
