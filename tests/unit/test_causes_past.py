"""Causes that the readings of one instant do not tell: after a fenced split brain, a failover, a restart of the engine;
and a leader that the estate does not have."""

from __future__ import annotations

from dataclasses import replace

from state.api.views.causes import Cause
from state.detection.events import SplitBrainCleared, SplitBrainDetected
from state.detection.observations import LeaderChanged, WriterBack, WriterLost
from state.health import Health
from state.world.readings import PatroniMember, PatroniReading
from tests.unit.night import Night, cluster, patroni
from tests.unit.verdict_world import primary, standby

NODES = ("n1", "n2", "n3")


def steps(cause: Cause) -> str:
    assert cause.next is not None
    return cause.next.message


def silence(night: Night, *nodes: str) -> None:
    for node in nodes:
        night.put(f"postgres:orders/{node}", None)
        night.put(f"patroni:orders/{node}", None)


def follow(night: Night, leader: str, timeline: int, *nodes: str) -> None:
    """These nodes answer, led by one of them or by another."""
    for node in nodes:
        night.put(f"postgres:orders/{node}", cluster(leader, timeline)[node])
        night.put(f"patroni:orders/{node}", patroni(node, "primary" if node == leader else "replica"))


def led_by(leader: str, node: str) -> PatroniReading:
    """What the manager of a standby says while a member leads that may not be of the estate."""
    names = dict.fromkeys((*NODES, leader))
    members = tuple(PatroniMember(n, "leader" if n == leader else "replica", "running", 2, 0) for n in names)
    return replace(patroni(node, "replica"), members=members)


def test_a_node_that_was_fenced_after_a_split_brain_is_never_to_be_started_before_its_data_are_saved(
    night: Night,
) -> None:
    night.put("postgres:orders/n3", primary("n3", 5000, timeline=2))
    night.sleep(5)
    assert isinstance(night.bodies()[0], SplitBrainDetected)
    silence(night, "n3")
    night.sleep(60)
    for restarted in (False, True):
        if restarted:
            night.restart()
            night.sleep(10)
        [cause] = night.causes()
        assert cause.what == "n3 accepted writes beside n1; it may hold commits that exist nowhere else", restarted
        assert "Do not start Patroni or PostgreSQL on n3" in steps(cause)
        assert "copy its data directory" in steps(cause)
    assert night.bodies(SplitBrainCleared) == [], "it may come back as it was"
    night.put("patroni:orders/n3", replace(patroni("n3", "replica"), state="stopped"))
    night.sleep(60)
    assert night.bodies(SplitBrainCleared) == [], "stopped is not repaired"
    assert "Do not start Patroni or PostgreSQL on n3" in steps(night.causes()[0])
    night.put("postgres:orders/n3", replace(standby("n3", 5000, timeline=2), receiver_state=None))
    night.sleep(60)
    assert night.bodies(SplitBrainCleared) == [], "its data have still diverged"
    assert "do not reinit it" in steps(night.causes()[0])
    follow(night, "n1", 1, "n3")
    night.sleep(60)
    assert len(night.bodies(SplitBrainCleared)) == 1
    assert night.causes() == []


def test_what_a_former_primary_wrote_past_the_fork_is_saved_before_it_is_started(night: Night) -> None:
    night.put("postgres:orders/n1", primary("n1", 9000))
    night.sleep(5)
    silence(night, "n1")
    night.sleep(10)
    follow(night, "n2", 2, "n2", "n3")
    night.put("postgres:orders/n2", primary("n2", 2000, timeline=2, fork_lsn=1000))
    night.sleep(20)
    [cause] = night.causes()
    assert (
        cause.what
        == "n1 accepted writes before n2 led, 8.0 kB past the fork; it may hold commits that exist nowhere else"
    )
    assert "do not reinit it: that discards what only it has" in steps(cause)


def test_a_former_primary_may_have_written_after_it_was_read_last_also_for_the_next_engine(night: Night) -> None:
    silence(night, "n1")
    night.sleep(10)
    follow(night, "n2", 2, "n2", "n3")
    night.sleep(20)
    for restarted in (False, True):
        if restarted:
            night.restart()
            night.sleep(10)
        [cause] = night.causes()
        assert cause.what == "n1 is down or cut off"
        assert "copy its data directory first" in steps(cause), restarted
    silence(night, "n3")
    night.sleep(10)
    other = next(c for c in night.causes() if c.key.endswith("n3/silent"))
    assert "copy its data directory" not in steps(other), "a standby has nothing of its own"


def test_a_leader_that_the_estate_does_not_have_is_no_missing_primary(night: Night) -> None:
    for node in NODES:
        night.put(f"postgres:orders/{node}", standby(node, 1000, timeline=2))
        night.put(f"patroni:orders/{node}", led_by("pg c", node))
    night.sleep(20)
    for restarted in (False, True):
        if restarted:
            night.restart()
            night.sleep(20)
        [cause] = night.causes()
        assert (cause.health, cause.what) == (
            Health.UNKNOWN,
            "pg c leads according to Patroni, and is not in the estate",
        )
        assert steps(cause).startswith("Add pg c to the nodes of orders in the estate")
        assert "patronictl" not in steps(cause)
        assert cause.forecast is None
        assert night.judge.at(night.clock.now).healths["orders"] is Health.UNKNOWN
    [changed] = night.bodies(LeaderChanged)
    assert isinstance(changed, LeaderChanged)
    assert (changed.before, changed.leader, changed.timeline) == ("n1", "pg c", None)
    silence(night, "n1")
    night.sleep(20)
    assert not any("failover" in steps(c) and "No failover" not in steps(c) for c in night.causes())


def test_a_writer_beside_a_leader_that_the_estate_does_not_have_may_be_one_of_two(night: Night) -> None:
    night.put("patroni:orders/n1", None)
    for node in ("n2", "n3"):
        night.put(f"patroni:orders/{node}", led_by("pg c", node))
    night.sleep(20)
    cause = night.causes()[0]
    assert (cause.health, cause.what) == (
        Health.UNKNOWN,
        "n1 accepts writes, and pg c leads according to Patroni, and is not in the estate",
    )
    assert "This may be a split brain" in steps(cause)


def test_a_dead_primary_is_known_to_the_next_engine_with_its_clock(night: Night) -> None:
    silence(night, "n1", "n2", "n3")
    night.sleep(60)
    before = night.causes()[0]
    night.restart()
    assert all(c.health is not Health.FAIL for c in night.causes()), "nothing has been asked yet"
    night.sleep(2)
    assert all(c.health is not Health.FAIL for c in night.causes()), "one read that fails is no proof"
    night.sleep(8)
    cause = night.causes()[0]
    assert (cause.health, cause.what) == (Health.FAIL, "primary n1 does not answer")
    assert cause.since_mono is not None
    assert before.since_mono is not None
    assert abs(cause.since_mono - before.since_mono) < 1.0


def test_a_database_without_a_writer_is_recorded_with_its_beginning_which_the_next_engine_goes_on_from(
    night: Night,
) -> None:
    for node in NODES:
        night.put(f"postgres:orders/{node}", standby(node, 1000))
        night.put(f"patroni:orders/{node}", patroni(node, "replica"))
    began = night.clock.now
    night.sleep(100)
    [lost] = night.bodies(WriterLost)
    assert isinstance(lost, WriterLost)
    assert (lost.database, lost.leader) == ("orders", "n1")
    night.restart()
    night.sleep(20)
    cause = night.causes()[0]
    assert (cause.health, cause.what) == (Health.FAIL, "no node accepts writes")
    assert cause.since_mono is not None
    assert abs(cause.since_mono - began) < 2.0
    follow(night, "n2", 2, *NODES)
    night.sleep(20)
    [back] = night.bodies(WriterBack)
    assert isinstance(back, WriterBack)
    assert back.leader == "n2"
    assert 115 < (back.seconds or 0) < 130, "from when none wrote, over the restart"
    assert night.causes() == []


def test_a_switchover_is_no_outage_of_its_own(night: Night) -> None:
    for node in NODES:
        night.put(f"postgres:orders/{node}", standby(node, 1000))
    night.sleep(3)
    follow(night, "n2", 2, *NODES)
    night.sleep(20)
    assert night.kinds() == ["leader.changed"]
