"""Restore points: their names, what the card refuses and warns of, what is read back, and what the journal keeps."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from adapters.databases.restore_points import MOST, read_record, record_of
from state.api.run_states import StepState
from state.changes.model import ChangeSpec, Finding, Preview
from state.changes.restore_point import KIND, MakeRestorePoint, PointArgs
from state.detection.points import POINTS, RestorePointMade, RestorePoints
from state.journal.events import Body, Event, Recorded
from state.journal.projection import FoldSetting
from state.ports.database import PointRecord
from state.runs.events import EffectEnded, EffectIntended
from state.verdicts.judge import Judge
from state.world.postgres_parts import WalArchiver
from state.world.world import World
from tests.support.acting_database import ActingDatabase
from tests.support.cards import MemoryDatabase
from tests.unit.verdict_world import ESTATE, NOW, StillClock, healthy_cluster

ARCHIVING = WalArchiver("on", 100, 0, "000000010000000000000013", "", False, 0, 30.0)


def change(database: Any, name: str = "before-v42") -> MakeRestorePoint:
    return MakeRestorePoint(PointArgs(database="orders", point=name), ESTATE, database)


def rules(preview: Preview) -> list[str]:
    return [refusal.rule for refusal in preview.refusals]


@pytest.mark.parametrize("name", ["before-v42", "v4.2_rc1", "a" * 63])
def test_names(name: str) -> None:
    assert PointArgs(database="orders", point=name).point == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "latest",
        "0/3000060",
        "xid:7",
        "name:x",
        "a b",
        "it's",
        "2026-11-27",
        "42",
        "a:b",
        "a@b",
        "a" * 64,
        "-x",
        "é",
    ],
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError, match="a name of letters"):
        PointArgs(database="orders", point=name)


async def test_it_is_written_once_and_done_when_it_is_on_record() -> None:
    database = ActingDatabase()
    database.set("n1", archiver=ARCHIVING)
    made = change(database)
    made.effect = "R-1/a"
    shown = await made.preview(deadline=1)
    assert (rules(shown), shown.warnings, shown.facts) == ([], (), {"leader": "n1", "timeline": 7})
    assert (await made.read_back(shown.facts, deadline=1)).finding is Finding.NOT_DONE
    await made.apply(shown.facts, effect="R-1/a", deadline=1)
    assert database.asked == ["point n1 before-v42"]
    back = await made.read_back(shown.facts, deadline=1)
    assert (back.finding, back.figures) == (Finding.DONE, {"lsn": "0/3000060", "timeline": 7})
    made.effect = "R-2/a"
    assert (await made.read_back(shown.facts, deadline=1)).finding is Finding.NOT_DONE, "another effect's"
    assert rules(await made.preview(deadline=1)) == ["name-free"]
    database.dead.add("n1")
    assert (await made.read_back(shown.facts, deadline=1)).finding is Finding.UNKNOWN


async def test_what_was_only_begun_is_partly_done_and_keeps_its_name() -> None:
    database = ActingDatabase()
    made = change(database)
    made.effect = "R-1/a"
    await made.apply({"leader": "n1"}, effect="R-1/a", deadline=1)
    database.made_points = [PointRecord(each.name, None, each.mark) for each in database.made_points]
    assert (await made.read_back({"leader": "n1"}, deadline=1)).finding is Finding.PARTIAL
    assert rules(await made.preview(deadline=1)) == ["name-free"]


async def test_two_writers_no_writer_no_account_and_an_adapter_that_cannot() -> None:
    two = ActingDatabase()
    two.promoted("n2")
    assert "single-primary" in rules(await change(two).preview(deadline=1))
    none = ActingDatabase()
    none.died("n1")
    assert "single-primary" in rules(await change(none).preview(deadline=1))
    without = ActingDatabase()
    without.makes_points = False
    assert rules(await change(without).preview(deadline=1)) == ["account"]
    assert rules(await change(MemoryDatabase()).preview(deadline=1)) == ["able"]


@pytest.mark.parametrize(
    ("archiver", "said"),
    [
        (None, "is not known"),
        (WalArchiver("off", 0, 0, "", "", False, 0, None), "archive_mode is off"),
        (WalArchiver("on", 0, 9, "", "x", True, 3, None), "never succeeded"),
    ],
)
async def test_a_point_whose_wal_is_not_archived_is_warned_of(archiver: WalArchiver | None, said: str) -> None:
    database = ActingDatabase()
    database.set("n1", archiver=archiver)
    (warning,) = (await change(database).preview(deadline=1)).warnings
    assert said in warning.message


def test_the_record_keeps_the_last_points_and_reads_nothing_else_as_one() -> None:
    points: tuple[PointRecord, ...] = ()
    for number in range(MOST + 5):
        begun, head, tail = record_of(points, f"p{number}", f"{number:016x}")
        assert read_record(begun)[-1] == PointRecord(f"p{number}", None, f"{number:016x}")
        points = read_record(f"{head}1/2000A0{tail}")
    assert len(points) == MOST
    assert points[-1] == PointRecord(f"p{MOST + 4}", (1 << 32) + 0x2000A0, f"{MOST + 4:016x}")
    for strange in (
        "",
        "recovery mark 0123",
        "psql",
        "recovery points x",
        "recovery points a@b@c",
        "recovery points @-@0",
    ):
        assert read_record(strange) == ()


def entry(body: Body, at: float = 0.0) -> Recorded:
    return Recorded(1, at, NOW - 60, "boot", "n", "", body.kind, Event(body, "engine"))


def intended(kind: str = KIND) -> Recorded:
    spec = ChangeSpec(kind, {"database": "orders", "point": "before-v42"})
    return entry(EffectIntended("R-1/a", 1, spec, (), {}, {}, (), None, "x"))


def ended(finding: Finding = Finding.DONE, **figures: Any) -> Recorded:
    state = StepState.DONE if finding is Finding.DONE else StepState.UNKNOWN
    return entry(EffectEnded("R-1/a", state, finding, (), {"lsn": "0/3000060", "timeline": 4, **figures}, 1.0, "x"))


def kept() -> tuple[Judge, RestorePoints]:
    world = World()
    healthy_cluster(world)
    judge = Judge(ESTATE, world)
    return judge, RestorePoints(FoldSetting(judge.estate, judge, StillClock(), "boot", "engine"))


def test_the_journal_keeps_where_a_point_is_and_the_window_lists_it() -> None:
    judge, points = kept()
    for each in (intended(), ended()):
        points.fold(each)
    (noticed,) = points.notice(NOW)
    said = "restore point before-v42 of orders ends at 0/3000060 on timeline 4"
    assert noticed.body == RestorePointMade("orders", "before-v42", 0x3000060, 4, "R-1/a", said)
    assert points.notice(NOW) == []
    assert judge.at(NOW).restores["orders"].points == (), "what is not durable does not count"
    points.fold(entry(noticed.body, at=123.0))
    (row,) = judge.at(NOW).restores["orders"].points
    assert (row.name, row.lsn, row.timeline, row.at) == ("before-v42", 0x3000060, 4, 123.0)
    for each in (intended(), ended()):
        points.fold(each)
    assert points.notice(NOW) == [], "the entries of the last hour are read again"
    assert POINTS.subjects is not None
    assert [each.key for each in POINTS.subjects(entry(noticed.body))] == [("restore-point", "orders")]


@pytest.mark.parametrize(
    ("begun", "over"),
    [
        (intended("database.prove"), ended()),
        (intended(), ended(Finding.PARTIAL)),
        (intended(), ended(Finding.UNKNOWN)),
        (intended(), ended(lsn=None)),
        (intended(), ended(timeline=None)),
    ],
)
def test_nothing_else_is_a_point(begun: Recorded, over: Recorded) -> None:
    _, points = kept()
    for each in (begun, over):
        points.fold(each)
    assert points.notice(NOW) == []
