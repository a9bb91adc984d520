"""What the engine observes stays bounded and true: through flapping, restarts, full disks and changed estates."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from state.capabilities import load_events
from state.detection.detector import Detector
from state.detection.events import ServiceImpaired, ServiceRecovered, SplitBrainCleared, SplitBrainDetected
from state.detection.observations import (
    LeaderChanged,
    NodeLost,
    ReplicationBroken,
    SourceBack,
    SourceSilent,
)
from state.engine.events import ClockJumped, EngineSuspended, Heartbeat
from state.journal.events import DECIDED, OBSERVED, origin_of
from state.journal.format import canonical
from state.runs.events import RunStarted
from state.world.readings import (
    AlertsReading,
    MetricsReading,
)
from state.world.timelines import TimelineSwitch
from tests.unit.night import ALERTS, METRICS, Night, alert, cluster, figures, patroni
from tests.unit.verdict_world import primary, standby


@pytest.mark.parametrize("flaps", [250, pytest.param(1000, marks=pytest.mark.torture)])
def test_a_night_of_flaps_stays_bounded_and_says_how_many(night: Night, flaps: int) -> None:
    night.ticks = 1  # a whole night; fewer looks a second
    for _ in range(flaps):
        night.put(METRICS, None)
        night.put("postgres:orders/n3", None)
        night.put(ALERTS, AlertsReading((alert("a"),), True))
        night.sleep(15)
        night.put(METRICS, MetricsReading({}))
        night.put("postgres:orders/n3", standby("n3", 1000))
        night.put(ALERTS, AlertsReading((), True))
        night.sleep(14)
    night.sleep(1200)
    counts = {kind: night.kinds().count(kind) for kind in set(night.kinds())}
    assert all(count <= 32 for count in counts.values()), counts
    assert counts["source.silent"] == counts["source.back"]
    assert counts["node.lost"] == counts["node.back"]
    assert counts["alert.fired"] == counts["alert.resolved"]
    told = sum(1 + each.more for body in night.bodies(SourceBack) for each in body.sources)  # type: ignore[attr-defined]
    assert told == flaps, "none is lost: what has no entry of its own is counted"


def test_a_restart_in_the_middle_gives_no_double_and_no_loss(night: Night) -> None:
    night.put(METRICS, None)
    night.put("postgres:orders/n3", None)
    night.put(ALERTS, AlertsReading((alert("a"),), True))
    night.sleep(20)
    before = night.kinds()
    assert sorted(before) == ["alert.fired", "node.lost", "source.silent"]
    night.restart()
    night.sleep(40)
    assert night.kinds() == before, "what is open was recorded already"
    night.put(METRICS, MetricsReading({}))
    night.put("postgres:orders/n3", standby("n3", 1000))
    night.put(ALERTS, AlertsReading((), True))
    night.restart()  # it ended while no engine ran
    night.sleep(40)
    assert sorted(night.kinds()) == sorted([*before, "alert.resolved", "node.back", "source.back"])
    night.restart()
    night.sleep(40)
    assert len(night.kinds()) == 6


def test_a_leader_that_changed_while_no_engine_ran_is_recorded(night: Night) -> None:
    for node, reading in cluster("n2", 2).items():
        night.put(f"postgres:orders/{node}", reading)
        night.put(f"patroni:orders/{node}", patroni(node, "primary" if node == "n2" else "replica"))
    night.restart()
    night.sleep(20)
    changed = night.bodies(LeaderChanged)
    assert [(b.before, b.leader) for b in changed] == [("n1", "n2")]  # type: ignore[attr-defined]


def test_a_split_brain_survives_a_restart_as_one_and_clears_by_proof(night: Night) -> None:
    night.put("postgres:orders/n2", replace(primary("n2", 2000, 2), history=(TimelineSwitch(1, 900),)))
    night.sleep(10)
    assert [b.kind for b in night.bodies(SplitBrainDetected, SplitBrainCleared)] == ["split-brain.detected"]
    night.restart()
    night.sleep(10)
    night.put("postgres:orders/n2", None)
    night.put("patroni:orders/n2", None)
    night.sleep(30)
    assert len(night.bodies(SplitBrainDetected, SplitBrainCleared)) == 1, "a node that is not reached proves nothing"
    night.put("postgres:orders/n2", standby("n2", 1000))
    night.restart()
    night.sleep(10)
    assert [b.kind for b in night.bodies(SplitBrainDetected, SplitBrainCleared)] == [
        "split-brain.detected",
        "split-brain.cleared",
    ]


def test_a_further_writer_of_an_open_split_brain_is_recorded_and_must_prove_that_it_is_none(night: Night) -> None:
    night.put("postgres:orders/n2", replace(primary("n2", 2000, 2), history=(TimelineSwitch(1, 900),)))
    night.sleep(10)
    night.put("postgres:orders/n3", replace(primary("n3", 2100, 2), history=(TimelineSwitch(1, 950),)))
    night.put("postgres:orders/n2", standby("n2", 1000))
    night.sleep(10)
    found = night.bodies(SplitBrainDetected, SplitBrainCleared)
    assert [set(b.nodes) for b in found] == [{"n1", "n2"}, {"n1", "n2", "n3"}]  # type: ignore[attr-defined]
    night.restart()
    night.put("postgres:orders/n3", None)
    night.put("patroni:orders/n3", None)
    night.sleep(30)
    assert len(night.bodies(SplitBrainDetected, SplitBrainCleared)) == 2, "n3 is silent, which proves nothing"
    night.put("postgres:orders/n3", standby("n3", 1000))
    night.sleep(60)
    assert night.bodies(SplitBrainDetected, SplitBrainCleared)[-1].kind == "split-brain.cleared"


def test_a_split_brain_that_a_former_version_recorded_clears_when_all_nodes_answer(night: Night) -> None:
    night.record(SplitBrainDetected("orders", "SPLIT BRAIN"))
    night.put("postgres:orders/n2", None)
    night.put("patroni:orders/n2", None)
    night.restart()
    night.sleep(10)
    assert night.bodies(SplitBrainCleared) == []
    night.put("postgres:orders/n2", standby("n2", 1000))
    night.sleep(5)
    assert len(night.bodies(SplitBrainCleared)) == 1


def test_while_the_disk_is_full_little_waits_and_the_truth_is_recorded_afterwards(night: Night) -> None:
    night.ticks = 1  # a whole night; fewer looks a second
    night.full = True
    for _ in range(200):
        night.put(METRICS, None)
        night.sleep(15)
        night.put(METRICS, MetricsReading({}))
        night.sleep(15)
    assert len(night.unrecorded) <= 2
    night.full = False
    night.put(METRICS, None)
    night.sleep(30)
    values = [b.kind for b in night.bodies(SourceSilent, SourceBack)]
    assert values[-1] == "source.silent"
    night.put(METRICS, MetricsReading({}))
    night.sleep(700)
    assert [b.kind for b in night.bodies(SourceSilent, SourceBack)][-1] == "source.back"


@pytest.mark.parametrize("jumping", [150, pytest.param(500, marks=pytest.mark.torture)])
def test_a_suspension_and_a_clock_that_jumps_are_recorded_and_bounded(night: Night, jumping: int) -> None:
    night.clock.now += 30
    night.sleep(0.25)
    night.clock.ahead -= 120
    night.sleep(5)
    suspended, jumped = night.bodies(EngineSuspended, ClockJumped)
    assert isinstance(suspended, EngineSuspended)
    assert isinstance(jumped, ClockJumped)
    assert (round(suspended.seconds), jumped.seconds) == (30, -120.0)
    for _ in range(jumping):
        night.clock.ahead += 10
        night.sleep(7.2)
    jumps = night.bodies(ClockJumped)
    assert len(jumps) <= 14
    night.sleep(3600)
    night.clock.ahead += 10
    night.sleep(1)
    told = [b.more for b in night.bodies(ClockJumped)]  # type: ignore[attr-defined]
    assert sum(1 + more for more in told) == jumping + 2


@pytest.mark.parametrize("flaps", [100, pytest.param(300, marks=pytest.mark.torture)])
def test_a_service_that_flaps_is_recorded_few_times_and_its_clock_keeps_running(night: Night, flaps: int) -> None:
    night.ticks = 1  # a whole night; fewer looks a second
    for _ in range(flaps):
        night.put(METRICS, figures(0.5))
        night.sleep(15)
        night.put(METRICS, figures(0.0))
        night.sleep(15)
    detector = night.states[0]
    assert isinstance(detector, Detector)
    assert detector.clocks["checkout"].ended_mono is None, "it did not recover"
    calm = night.clock.now
    night.sleep(1200)
    began, ended = night.bodies(ServiceImpaired), night.bodies(ServiceRecovered)
    assert len(began) == len(ended) <= 10
    assert sum(1 + body.more for body in ended) == flaps  # type: ignore[attr-defined]
    assert abs((detector.clocks["checkout"].ended_mono or 0.0) - calm) < 20, "the wait for calm does not count"


def test_the_class_is_in_the_bytes_and_by_kind() -> None:
    load_events()
    assert origin_of(SourceSilent.kind) == origin_of(ServiceImpaired.kind) == origin_of(Heartbeat.kind) == OBSERVED
    assert origin_of(RunStarted.kind) == origin_of("request.refused") == DECIDED
    assert origin_of("of-a-later-version") == ""
    assert json.loads(canonical(SourceSilent("", ()).as_json()))["class"] == OBSERVED


def test_44_estate_changes_under_an_open_clock_and_what_it_no_longer_names_is_not_told(night: Night) -> None:
    night.put("postgres:orders/n3", None)
    night.put(METRICS, None)
    for tick in range(40):  # until the node counts as lost; what is due is told a moment later
        if tick % night.ticks == 0:
            night.poll()
        night.sleep(1 / night.ticks)
        if night.states[1]._families[0].follower.open:
            break
    assert night.states[1]._families[0].follower.open == ["orders/n3"]
    orders = night.estate.databases["orders"]
    fewer = orders.model_copy(update={"nodes": {n: e for n, e in orders.nodes.items() if n != "n3"}})
    night.judge.renew(night.estate.model_copy(update={"databases": {"orders": fewer}}))
    for key in ("postgres:orders/n3", "patroni:orders/n3", METRICS):
        del night.readings[key], night.world.observed[key]
    night.sleep(30)
    assert night.bodies(NodeLost, SourceSilent, ReplicationBroken) == []
