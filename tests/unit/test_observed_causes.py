"""Causes at databases in the journal: each once, in the words of the header, over only by proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from state.api.views.causes import ForecastKind
from state.detection.causes import TOLD_BY_OTHERS, Causes
from state.detection.observations import BegunCause, CauseBegan, CauseEnded, EndedCause, ReplicationBroken
from state.world.manager_parts import SyncMode
from state.world.postgres_parts import EarlierPosition, ReplicationSlot, WalArchiver
from state.world.readings import PatroniMember, PostgresReading, Reading
from tests.unit.night import Night, calm_night, cluster, patroni
from tests.unit.verdict_world import primary, sender, standby

N1, N2, N3 = (f"postgres:orders/{node}" for node in ("n1", "n2", "n3"))
SLOT = ReplicationSlot("reader", "logical", False, 10, "lost")


def began(night: Night) -> list[BegunCause]:
    return [each for body in night.bodies(CauseBegan) for each in body.causes]  # type: ignore[attr-defined]


def ended(night: Night) -> list[EndedCause]:
    return [each for body in night.bodies(CauseEnded) for each in body.causes]  # type: ignore[attr-defined]


def leads(**facts: object) -> PostgresReading:
    """n1 as the primary with streams to both standbys."""
    return primary("n1", 1000, senders=(sender("n2"), sender("n3")), **facts)


def agents(*, tagged: bool) -> Mapping[str, Reading]:
    """Every agent shows both standbys, with or without the tag nofailover."""
    rows = tuple(
        PatroniMember(n, "leader" if n == "n1" else "replica", "running", 1, 0, nofailover=tagged and n != "n1")
        for n in ("n1", "n2", "n3")
    )
    each = {n: patroni(n, "primary" if n == "n1" else "replica") for n in ("n1", "n2", "n3")}
    return {f"patroni:orders/{node}": replace(agent, members=rows) for node, agent in each.items()}


CASES: Mapping[str, tuple[Mapping[str, Reading], str]] = {
    "commits wait": ({N1: leads(synchronous_standby_names="2 (n2, n3)")}, "blocked"),
    "archiver": ({N1: leads(archiver=WalArchiver("on", 7, 3, "01", "02", failing=True, backlog=4))}, "n1/archiver"),
    "slot": ({N1: leads(slots=(SLOT,))}, "n1/slot/reader"),
    "replay": ({N3: standby("n3", 900, 1000, replay_pause="paused")}, "n3/paused"),
    "nobody": (agents(tagged=True), "no-failover"),
    "ahead": ({N3: standby("n3", 9000, earlier=(EarlierPosition(1.0, 9000),))}, "n3/ahead"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_state_is_recorded_once_in_the_words_of_the_header_and_when_it_is_over(night: Night, name: str) -> None:
    readings, code = CASES[name]
    normal = {key: night.readings[key] for key in readings} | (agents(tagged=False) if name == "nobody" else {})
    for key, reading in readings.items():
        night.put(key, reading)
    night.sleep(3)
    [body] = night.bodies(CauseBegan)
    [cause] = [c for c in night.causes() if c.key == f"database/orders/{code}"]
    assert isinstance(body, CauseBegan)
    assert body.line == f"orders: {cause.what}"
    [fact] = body.causes
    assert (fact.database, fact.code, fact.what) == ("orders", code, cause.what)
    assert fact.state == ("lost" if name == "slot" else cause.health.value)
    night.restart()
    night.sleep(10)
    assert len(began(night)) == 1, "after a restart it is known already"
    for key, former in normal.items():
        night.put(key, former)
    night.sleep(10)
    [over] = ended(night)
    assert (over.code, over.what, over.more) == (code, cause.what, 0)
    assert 11 < (over.seconds or 0) < 15
    assert len(began(night)) == 1


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_read_ends_no_cause(night: Night, name: str) -> None:
    readings, code = CASES[name]
    for key, reading in readings.items():
        night.put(key, reading)
    night.sleep(5)
    assert [each.code for each in began(night)] == [code]
    for key in readings:
        night.put(key, None)
    night.sleep(30)
    assert ended(night) == []
    night.restart()
    night.sleep(30)
    assert ended(night) == []


def test_a_split_and_a_silent_primary_hide_causes_and_end_none(night: Night) -> None:
    night.put(N1, leads(archiver=WalArchiver("on", 7, 3, "01", "02", failing=True, backlog=4)))
    night.sleep(5)
    night.put(N2, primary("n2", 2000, 2))
    night.sleep(20)
    assert ended(night) == []
    night.put(N2, standby("n2", 1000))
    night.put(N1, None)
    night.sleep(20)
    assert ended(night) == []


def test_a_slot_that_comes_to_be_lost_is_told_again(night: Night) -> None:
    night.put(N1, leads(slots=(replace(SLOT, wal_status="unreserved"),)))
    night.sleep(5)
    night.put(N1, leads(slots=(SLOT,)))
    night.sleep(5)
    assert [each.state for each in began(night)] == ["warn", "lost"]
    assert "unreserved" in began(night)[0].what
    assert "must be resynchronised" in began(night)[1].what
    night.put(N1, leads())
    night.sleep(10)
    assert [each.what for each in ended(night)] == [began(night)[1].what]


def test_a_state_of_one_instant_is_no_entry(night: Night) -> None:
    for _ in range(10):
        night.put(N1, leads(synchronous_standby_names="n2"))
        night.sleep(1)
        night.put(N1, leads())
        night.sleep(5)
    assert night.kinds() == []


def test_what_comes_and_goes_is_told_less_often_and_counted(night: Night) -> None:
    for _ in range(200):
        night.put(N1, leads(synchronous_standby_names="n2"))
        night.sleep(5)
        night.put(N1, leads())
        night.sleep(5)
    night.sleep(700)
    assert len(began(night)) == len(ended(night)) < 20
    assert sum(1 + each.more for each in ended(night)) == 200


def test_what_another_entry_tells_is_not_told_twice(night: Night) -> None:
    night.put(N3, replace(standby("n3", 900), receiver_state=None))
    night.sleep(20)
    assert [type(body) for body in night.bodies()] == [ReplicationBroken]
    for node, reading in cluster("n2", 2).items():
        night.put(f"postgres:orders/{node}", reading)
        night.put(f"patroni:orders/{node}", patroni(node, "primary" if node == "n2" else "replica"))
    night.sleep(20)
    assert began(night) == []


def test_a_database_that_leaves_the_estate_ends_no_cause(night: Night) -> None:
    night.put(N1, leads(slots=(SLOT,)))
    night.sleep(5)
    night.judge.renew(night.estate.model_copy(update={"databases": {}, "services": {}}))
    night.sleep(20)
    assert ended(night) == []


def test_every_cause_that_is_shown_is_told(night: Night) -> None:
    """Every cause at a database that header and Overview show is told by some family."""
    for node in ("n1", "n2", "n3"):
        agent = replace(patroni(node, "primary" if node == "n1" else "replica"), paused=True, sync_mode=SyncMode.ON)
        night.put(f"patroni:orders/{node}", agent)
    night.sleep(5)
    shown = {c.key.removeprefix("database/orders/") for c in night.causes()}
    assert shown
    assert shown - TOLD_BY_OTHERS == {each.code for each in began(night)}


def test_the_words_of_an_ended_cause_survive_a_restart_by_its_entry() -> None:
    night = calm_night()
    night.put(N1, leads(slots=(SLOT,)))
    night.sleep(5)
    night.put(N1, leads())
    night.restart()
    night.sleep(10)
    assert [each.what for each in ended(night)] == [each.what for each in began(night)]
    assert Causes.pace.worse < 2.0, "within two polls"


def test_a_lock_that_does_not_end_is_the_stores_fault_and_promises_no_promotion(night: Night) -> None:
    """As Raft without a majority: n1 has stepped down, every other agent reads its lock from its own copy."""
    rows = tuple(PatroniMember(n, "leader" if n == "n1" else "replica", "running", 1, 0) for n in ("n1", "n2", "n3"))
    for node in ("n1", "n2", "n3"):
        night.put(f"postgres:orders/{node}", standby(node, 1000))
        night.put(f"patroni:orders/{node}", replace(patroni(node, "replica"), members=rows, ttl=20, loop_wait=1))
    night.sleep(10)
    [cause] = night.causes()
    assert cause.what == "no node accepts writes"
    assert cause.forecast is not None
    assert cause.forecast.message == "Patroni promotes n2 or n3 when the lock of n1 ends"
    assert cause.forecast.by_mono is not None
    assert began(night) == []
    night.sleep(20)
    [cause] = night.causes()
    assert cause.forecast is not None
    assert (cause.forecast.kind, cause.forecast.by_mono) == (ForecastKind.NOTHING, None)
    assert "may take no writes: n1 has stepped down" in cause.what
    assert "promotes" not in cause.sentence(night.clock.now)
    [told] = began(night)
    assert told.code == "store"
    assert told.what in cause.what
    for node in ("n2", "n3"):  # nobody says so any more, and nobody leads: that proves nothing
        night.put(f"patroni:orders/{node}", None)
    night.sleep(20)
    assert ended(night) == []
    for node, reading in cluster("n2", 2).items():
        night.put(f"postgres:orders/{node}", reading)
        night.put(f"patroni:orders/{node}", patroni(node, "primary" if node == "n2" else "replica"))
    night.sleep(20)
    assert [each.code for each in ended(night)] == ["store"]
