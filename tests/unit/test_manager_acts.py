"""Pause, schedule, reinitialise: what the card says, and what is done by reading."""

from __future__ import annotations

from typing import Any

import pytest

from state.changes.cluster_base import ClusterArgs, NodeArgs
from state.changes.model import ChangeSpec, Finding, Preview
from state.changes.pausing import PAUSE, RESUME, Pausing
from state.changes.registry import build
from state.changes.reinitialize import Reinitialize
from state.changes.scheduling import Schedule, ScheduleArgs, Unschedule
from state.errors import UnsuitableArgument
from state.ports.database import ScheduledSwitchover
from state.ports.outside import Outside
from tests.support.acting_database import ActingDatabase
from tests.support.cards import MemoryDatabase
from tests.unit.verdict_world import ESTATE, MB

AT = "2027-01-01T04:00:00+00:00"
EPOCH = 1798776000.0


def rules(preview: Preview) -> list[str]:
    return [refusal.rule for refusal in preview.refusals]


def pausing(database: Any, kind: str = PAUSE) -> Pausing:
    return Pausing(kind, ClusterArgs(database="orders"), ESTATE, database)


def schedule(database: Any, to: str = "n2") -> Schedule:
    return Schedule(ScheduleArgs(database="orders", to=to, at=AT), ESTATE, database)


def reinitialize(database: Any, node: str = "n3") -> Reinitialize:
    return Reinitialize(NodeArgs(database="orders", node=node), ESTATE, database)


async def said(database: ActingDatabase, *, paused: bool, but: str = "") -> None:
    for node in database.nodes:
        if node in database.dead | database.silent:
            continue
        await database.read_member(node, deadline=1)
        database.say(node, paused=paused if node != but else not paused)


async def test_pause_is_done_when_every_member_that_answers_says_so() -> None:
    database = ActingDatabase()
    shown = await pausing(database).preview(deadline=1)
    assert (rules(shown), shown.already, str(shown.diffs[0])) == ([], False, "orders manager: not paused → paused")
    assert shown.undo == ChangeSpec(RESUME, {"database": "orders"})
    assert "a primary that loses its lock goes on writing" in shown.warnings[0].message
    assert (await pausing(database).read_back(shown.facts, deadline=1)).finding is Finding.NOT_DONE
    await pausing(database).apply(shown.facts, effect="e", deadline=1)
    assert database.asked == ["pause True"]
    await said(database, paused=True, but="n3")
    assert (await pausing(database).read_back(shown.facts, deadline=1)).finding is Finding.PARTIAL
    await said(database, paused=True)
    database.silent.add("n3")
    assert (await pausing(database).read_back(shown.facts, deadline=1)).finding is Finding.DONE
    assert (await pausing(database).preview(deadline=1)).already
    assert not (await pausing(database, RESUME).preview(deadline=1)).already


async def test_without_a_member_nothing_is_known() -> None:
    database = ActingDatabase()
    database.silent |= {"n1", "n2", "n3"}
    assert rules(await pausing(database).preview(deadline=1)) == ["manager-answers"]
    assert (await pausing(database).read_back({}, deadline=1)).finding is Finding.UNKNOWN


async def test_resume_without_a_primary_says_that_one_may_be_promoted_at_once() -> None:
    database = ActingDatabase()
    await said(database, paused=True)
    database.died("n1")
    shown = await pausing(database, RESUME).preview(deadline=1)
    assert "may promote one at once" in shown.warnings[0].message


async def test_an_adapter_without_the_ability_is_refused_on_the_card() -> None:
    plain = MemoryDatabase()
    assert rules(await pausing(plain).preview(deadline=1)) == ["able"]
    assert rules(await schedule(plain).preview(deadline=1)) == ["able"]
    assert rules(await reinitialize(plain).preview(deadline=1)) == ["able"]


async def test_a_scheduled_switchover_is_what_the_manager_lists() -> None:
    database = ActingDatabase()
    shown = await schedule(database).preview(deadline=1)
    assert (rules(shown), shown.already) == ([], False)
    assert [fact.subject for fact in shown.ranking] == ["n2", "n3"]
    await schedule(database).apply(shown.facts, effect="e", deadline=1)
    assert database.asked == [f"schedule n1 n2 {EPOCH:.0f}"]
    assert (await schedule(database).read_back(shown.facts, deadline=1)).finding is Finding.NOT_DONE
    database.at = ScheduledSwitchover(EPOCH, "n1", "n2")
    assert (await schedule(database).read_back(shown.facts, deadline=1)).finding is Finding.DONE
    assert (await schedule(database).preview(deadline=1)).already
    database.at = ScheduledSwitchover(EPOCH + 60, "n1", "n3")
    assert rules(await schedule(database).preview(deadline=1)) == ["nothing-scheduled"]


async def test_what_forbids_a_switchover_now_forbids_to_schedule_it() -> None:
    database = ActingDatabase()
    assert rules(await schedule(database, "n1").preview(deadline=1)) == ["not-the-leader"]
    await said(database, paused=True)
    assert rules(await schedule(database).preview(deadline=1)) == ["not-paused"]


async def test_a_time_without_a_zone_is_refused() -> None:
    outside = Outside((), {}, {"orders": ActingDatabase()})
    for at in ("2027-01-01T04:00:00", "tomorrow"):
        with pytest.raises(UnsuitableArgument, match="zone"):
            build(ChangeSpec("database.schedule", {"database": "orders", "to": "n2", "at": at}), ESTATE, outside)


async def test_unscheduling_is_undone_by_scheduling_the_same() -> None:
    database = ActingDatabase()
    change = Unschedule(ClusterArgs(database="orders"), ESTATE, database)
    assert (await change.preview(deadline=1)).already
    database.at = ScheduledSwitchover(EPOCH, "n1", "n2")
    shown = await change.preview(deadline=1)
    assert shown.undo == ChangeSpec("database.schedule", {"database": "orders", "to": "n2", "at": AT})
    assert (await change.read_back(shown.facts, deadline=1)).finding is Finding.NOT_DONE
    database.at = None
    assert (await change.read_back(shown.facts, deadline=1)).finding is Finding.DONE


async def test_reinitialising_counts_what_only_this_node_has() -> None:
    database = ActingDatabase()
    database.set("n3", timeline=6, receive_lsn=90 * MB, replay_lsn=90 * MB, receiver_state=None)
    shown = await reinitialize(database).preview(deadline=1)
    assert shown.loss_bytes is None, "where its history ends is not known"
    database.forks[7] = 88 * MB
    shown = await reinitialize(database).preview(deadline=1)
    assert (rules(shown), shown.loss_bytes) == ([], 2 * MB)
    assert "on timeline 6 that n1 does not have" in shown.loss_note
    database.set("n3", timeline=7, receive_lsn=101 * MB)
    shown = await reinitialize(database).preview(deadline=1)
    assert (shown.loss_bytes, "on the same timeline" in shown.loss_note) == (MB, True)


async def test_only_a_standby_is_reinitialised_and_only_with_one_primary() -> None:
    database = ActingDatabase()
    assert rules(await reinitialize(database, "n1").preview(deadline=1)) == ["not-the-primary"]
    database.set("n2", in_recovery=False, write_lsn=MB)
    assert "single-primary" in rules(await reinitialize(database).preview(deadline=1))
    database = ActingDatabase()
    database.silent.add("n3")
    assert rules(await reinitialize(database).preview(deadline=1)) == ["manager-answers"]


async def test_reinitialised_is_a_younger_server_that_follows_the_leader() -> None:
    database = ActingDatabase()
    change = reinitialize(database)
    facts = (await change.preview(deadline=1)).facts
    began = database._servers["n3"].started_at
    assert (await change.read_back(facts, deadline=1)).finding is Finding.NOT_DONE
    database.say("n3", state="creating replica")
    assert (await change.read_back(facts, deadline=1)).finding is Finding.UNKNOWN
    database.say("n3", state="running")
    database.set("n3", started_at=began + 9, receiver_state=None)
    assert (await change.read_back(facts, deadline=1)).finding is Finding.PARTIAL
    database.set("n3", receiver_state="streaming", timeline=6)
    assert (await change.read_back(facts, deadline=1)).finding is Finding.PARTIAL
    database.set("n3", timeline=7)
    assert (await change.read_back(facts, deadline=1)).finding is Finding.DONE
    database.dead.add("n3")
    assert (await change.read_back(facts, deadline=1)).finding is Finding.UNKNOWN
