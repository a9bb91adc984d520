"""What the engine observes in a night: each thing once, debounced, bounded, the same after a restart."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from state.api.views.overview import Suppression
from state.capabilities import load_events
from state.detection.detector import Detector
from state.detection.events import ServiceImpaired, ServiceRecovered, SplitBrainCleared, SplitBrainDetected
from state.detection.observations import (
    AlertFired,
    AlertResolved,
    BalancerRestarted,
    LeaderChanged,
    NodeBack,
    NodeLost,
    ReplicationBroken,
    ReplicationRestored,
    ServiceKnown,
    ServiceUnknown,
    SourceBack,
    SourceSilent,
)
from state.detection.watch import NightWatch
from state.engine.events import ClockJumped, EngineSuspended, Heartbeat
from state.engine.life import Life
from state.errors import Trouble
from state.estate.model import Estate
from state.journal.events import DECIDED, OBSERVED, Event, Observation, Recorded, origin_of
from state.journal.format import Sealer, canonical, unseal
from state.journal.projection import FoldSetting
from state.runs.events import RunStarted
from state.verdicts.judge import Judge
from state.world.observed import Observed, ReadError
from state.world.readings import (
    Alert,
    AlertsReading,
    BalancerReading,
    MetricsReading,
    PatroniReading,
    PostgresReading,
    Reading,
    ServiceTraffic,
)
from state.world.world import World
from tests.unit.verdict_world import ESTATE, SCRAPED, WALL, primary, standby

LIMIT = 3.0
ALERTS, METRICS, EDGE = "alerts:alertmanager", "metrics:prometheus", "balancer:edge-east"


class Hands:
    """Clocks that are set by hand."""

    def __init__(self) -> None:
        self.now, self.ahead = 1000.0, WALL

    def mono(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.ahead


class Night:
    """A world whose sources are read once a second, and the projections that watch it `ticks` times a second."""

    def __init__(self, estate: Estate = ESTATE) -> None:
        self.clock, self.estate, self.boot = Hands(), estate, 0
        self.journal: list[Recorded] = []
        self.mark, self.ticks = 0, 4
        self.readings: dict[str, Reading | None] = {}
        self.full = False
        self.unrecorded: list[Event] = []
        self.restart()

    def restart(self) -> None:
        """Another engine on the same journal: it has read nothing yet."""
        self.boot += 1
        self.world = World()
        self.unrecorded.clear()
        self.judge = Judge(self.estate, self.world)
        setting = FoldSetting(self.estate, self.judge, self.clock, f"boot{self.boot}", "engine@test")
        self.states = (Detector(setting), NightWatch(setting), Life(setting))
        for key in self.readings:
            self.world.observed[key] = Observed(key, LIMIT)
        for entry in self.journal:
            self._fold(entry)

    def _fold(self, entry: Recorded) -> None:
        detector, watch, life = self.states
        watch.fold(entry)
        life.fold(entry)
        if entry.kind.startswith(("service.im", "service.re", "split", "drift")):
            detector.fold(entry)

    def record(self, body: Observation) -> None:
        """Durable, and read back from its bytes as after a restart."""
        event = Event(body, "engine@test")
        sealer = Sealer("n", f"boot{self.boot}")
        sealed = sealer.seal(
            event, seq=len(self.journal) + 1, previous=bytes(32), at=self.clock.wall(), mono=self.clock.now
        )
        self.journal.append(unseal(sealed))
        self._fold(self.journal[-1])

    def sleep(self, seconds: float) -> None:
        """Time passes; sources that answer are read once a second."""
        for tick in range(round(seconds * self.ticks)):
            self.clock.now += 1 / self.ticks
            if tick % self.ticks == self.ticks - 1:
                self.poll()
            self.unrecorded += [event for state in self.states for event in state.notice(self.clock.now)]
            while self.unrecorded and not self.full:
                self.record(self.unrecorded.pop(0).body)  # type: ignore[arg-type]

    def poll(self) -> None:
        for key, reading in self.readings.items():
            before = self.world.observed.get(key) or Observed(key, LIMIT)
            if reading is None:
                now = before.failed(ReadError(Trouble.TIMEOUT, "no answer within 0.9 s", self.clock.wall()))
            else:
                now = before.succeeded(reading, self.clock.wall(), self.clock.now)
            self.world.observed[key] = now

    def put(self, key: str, reading: Reading | None) -> None:
        """What a source answers from now on; None = it does not."""
        self.readings[key] = reading

    def bodies(self, *kinds: type[Observation]) -> list[Observation]:
        """What was recorded since the evening."""
        wanted = self.journal[self.mark :]
        return [e.body for e in wanted if isinstance(e.body, kinds or (Observation,))]  # type: ignore[misc]

    def kinds(self) -> list[str]:
        return [e.kind for e in self.journal[self.mark :]]


def cluster(leader: str = "n1", timeline: int = 1, position: int = 1000) -> dict[str, PostgresReading]:
    """Three nodes that follow one."""
    made = {n: replace(standby(n, position), timeline=timeline) for n in ("n1", "n2", "n3") if n != leader}
    return {**made, leader: primary(leader, position, timeline)}


@pytest.fixture
def night() -> Night:
    load_events()
    night = Night()
    for node, reading in cluster().items():
        night.put(f"postgres:orders/{node}", reading)
        night.put(f"patroni:orders/{node}", patroni(node, "primary" if node == "n1" else "replica"))
    night.put(ALERTS, AlertsReading((), True))
    night.put(METRICS, MetricsReading({}))
    night.put(EDGE, BalancerReading("edge-east", "2", "10:1", WALL, {}))
    night.sleep(20)
    assert night.kinds() == ["leader.changed", "service.unknown"], "the first leader, and services without figures"
    night.mark = 2
    return night


def patroni(node: str, role: str) -> PatroniReading:
    return PatroniReading(node, "orders", role, "running", 1, 1000, "7", "4", False, False, False, 0.1)


def alert(fingerprint: str, state: str = "active", severity: str = "critical") -> Alert:
    silence = Suppression("silenced", "ada", None, "") if state == "suppressed" else None
    return Alert(f"Alert{fingerprint}", state, severity, WALL, "it burns", fingerprint, suppressed=silence)


def test_a_silent_source_is_recorded_once_with_its_facts_and_again_when_it_is_back(night: Night) -> None:
    night.put(METRICS, None)
    night.sleep(30)
    [body] = night.bodies()
    assert isinstance(body, SourceSilent)
    [fact] = body.sources
    assert (fact.source, fact.limit, fact.trouble, fact.error) == (METRICS, LIMIT, "timeout", "no answer within 0.9 s")
    assert fact.age is not None
    assert LIMIT < fact.age < 2 * LIMIT + 3
    night.put(METRICS, MetricsReading({}))
    night.sleep(30)
    [_, back] = night.bodies()
    assert isinstance(back, SourceBack)
    assert back.sources[0].more == 0
    assert 25 < (back.sources[0].seconds or 0) < 31


def test_a_lost_poll_is_no_entry(night: Night) -> None:
    for _ in range(20):
        night.put(METRICS, None)
        night.sleep(2)
        night.put(METRICS, MetricsReading({}))
        night.sleep(2)
    assert night.kinds() == []


def test_many_sources_that_fail_together_are_one_entry_naming_them(night: Night) -> None:
    keys = [METRICS, ALERTS, EDGE]
    for key in keys:
        night.put(key, None)
        night.sleep(0.5)
    night.sleep(20)
    [body] = night.bodies(SourceSilent)
    assert isinstance(body, SourceSilent)
    assert sorted(each.source for each in body.sources) == sorted(keys)
    assert all(key in body.line for key in keys)


def test_a_killed_node_is_a_lost_node_and_not_two_silent_sources(night: Night) -> None:
    night.put("postgres:orders/n3", None)
    night.put("patroni:orders/n3", None)
    night.sleep(30)
    assert night.kinds() == ["node.lost"]
    [body] = night.bodies(NodeLost)
    assert isinstance(body, NodeLost)
    [node] = body.nodes
    assert (node.database, node.node, node.role, node.timeline, node.trouble) == (
        "orders",
        "n3",
        "standby",
        1,
        "timeout",
    )
    night.put("patroni:orders/n3", patroni("n3", "replica"))
    night.sleep(10)
    night.put("postgres:orders/n3", standby("n3", 1000))
    night.sleep(20)
    assert night.kinds() == ["node.lost", "node.back"]
    [back] = night.bodies(NodeBack)
    assert isinstance(back, NodeBack)
    assert (back.nodes[0].role, back.nodes[0].timeline) == ("standby", 1)


def test_an_agent_alone_that_is_silent_is_a_silent_source(night: Night) -> None:
    night.put("patroni:orders/n3", None)
    night.sleep(20)
    night.put("postgres:orders/n3", None)
    night.sleep(20)
    assert night.kinds() == ["source.silent", "node.lost"]
    night.put("postgres:orders/n3", standby("n3", 1000))
    night.put("patroni:orders/n3", patroni("n3", "replica"))
    night.sleep(20)
    assert sorted(night.kinds()[2:]) == ["node.back", "source.back"]


def test_a_failover_is_a_lost_node_and_a_changed_leader_with_its_timeline(night: Night) -> None:
    night.put("postgres:orders/n1", None)
    night.put("patroni:orders/n1", None)
    night.sleep(10)
    for node in ("n2", "n3"):
        night.put(f"postgres:orders/{node}", cluster("n2", 2)[node])
        night.put(f"patroni:orders/{node}", patroni(node, "primary" if node == "n2" else "replica"))
    night.sleep(20)
    assert night.kinds() == ["node.lost", "leader.changed"], night.bodies()
    [changed] = night.bodies(LeaderChanged)
    assert isinstance(changed, LeaderChanged)
    assert (changed.before, changed.leader, changed.timeline, changed.more) == ("n1", "n2", 2, 0)


def test_a_standby_that_stops_streaming_is_broken_and_restored_once(night: Night) -> None:
    night.put("postgres:orders/n3", replace(standby("n3", 900), receiver_state=None))
    night.sleep(30)
    [body] = night.bodies()
    assert isinstance(body, ReplicationBroken)
    assert (body.standbys[0].node, body.standbys[0].primary, body.standbys[0].why) == ("n3", "n1", "not streaming")
    night.put("postgres:orders/n1", None)  # without a primary nothing is known: neither restored nor broken again
    night.sleep(10)
    night.put("postgres:orders/n1", primary("n1", 1000))
    night.sleep(10)
    night.put("postgres:orders/n3", standby("n3", 1000))
    night.sleep(10)
    assert [b.kind for b in night.bodies(ReplicationBroken, ReplicationRestored)] == [
        "replication.broken",
        "replication.restored",
    ]


def test_a_standby_that_streams_but_receives_nothing_is_broken_by_its_rpo(night: Night) -> None:
    night.put("postgres:orders/n1", primary("n1", 3_000_000))
    night.put("postgres:orders/n2", standby("n2", 3_000_000))
    night.sleep(20)
    [body] = night.bodies(ReplicationBroken)
    assert isinstance(body, ReplicationBroken)
    assert (body.standbys[0].node, body.standbys[0].behind) == ("n3", 2_999_000)


def test_an_alert_of_a_pair_fires_and_ends_once_and_suppression_is_said(night: Night) -> None:
    other = "alerts:second"
    for key in (ALERTS, other):
        night.put(key, AlertsReading((alert("a"), alert("b", "suppressed")), True))
    night.sleep(10)
    [fired] = night.bodies()
    assert isinstance(fired, AlertFired)
    assert {(a.fingerprint, a.state, a.sources) for a in fired.alerts} == {
        ("a", "firing", (ALERTS, other)),
        ("b", "suppressed", (ALERTS, other)),
    }
    assert "Alertb (critical, silenced by ada)" in fired.line
    night.put(other, None)  # the second one dies: that ends no alert
    night.sleep(20)
    assert [b for b in night.bodies() if isinstance(b, AlertResolved)] == []
    night.put(ALERTS, AlertsReading((), True))
    night.sleep(10)
    [ended] = night.bodies(AlertResolved)
    assert isinstance(ended, AlertResolved)
    assert {a.fingerprint for a in ended.alerts} == {"a", "b"}


def test_an_alert_whose_only_source_is_silent_is_not_resolved(night: Night) -> None:
    night.put(ALERTS, AlertsReading((alert("a"),), True))
    night.sleep(10)
    night.put(ALERTS, None)
    night.put("alerts:of-others", AlertsReading((), True))
    night.sleep(60)
    assert night.bodies(AlertResolved) == []


def test_a_thousand_alerts_at_once_are_few_entries_with_all_of_them(night: Night) -> None:
    night.put(ALERTS, AlertsReading(tuple(alert(f"{n:04}") for n in range(1000)), True))
    night.sleep(10)
    fired = night.bodies(AlertFired)
    assert len(fired) == 5
    assert len({a.fingerprint for body in fired for a in body.alerts}) == 1000  # type: ignore[attr-defined]
    assert all(len(canonical(body.as_json())) < 256 * 1024 for body in fired)


def test_ever_new_alerts_are_collected_into_few_entries_and_forgotten(night: Night) -> None:
    night.ticks = 1  # a whole night; fewer looks a second
    for n in range(1200):
        night.put(ALERTS, AlertsReading((alert(f"{n:04}"),), True))
        night.sleep(3)
    fired = night.bodies(AlertFired)
    assert len(fired) + len(night.bodies(AlertResolved)) < 150
    assert sum(len(b.alerts) + b.more for b in fired) > 1100, "those without an entry are counted"  # type: ignore[attr-defined]
    night.put(ALERTS, AlertsReading((), True))
    night.sleep(2 * 3600)
    watch = night.states[1]
    assert isinstance(watch, NightWatch)
    assert all(not family.follower._tracks for family in watch._families if type(family).__name__ == "Alerts")


def figures(errors: float) -> MetricsReading:
    return MetricsReading({"checkout": ServiceTraffic("checkout", 50.0, errors, 0.1, scraping=SCRAPED)})


def test_a_service_without_evidence_is_unknown_and_known_again_and_impaired_by_its_own_entry(night: Night) -> None:
    night.put(METRICS, figures(0.5))
    night.sleep(20)
    known, impaired = sorted(night.bodies(), key=lambda body: body.kind)[::-1][1:], night.bodies(ServiceImpaired)
    assert "service.known" in night.kinds()
    [back] = night.bodies(ServiceKnown)
    assert isinstance(back, ServiceKnown)
    assert [(s.service, s.health) for s in back.services] == [("checkout", "fail")]
    assert (len(impaired), len(known)) == (1, 1)
    night.put(METRICS, MetricsReading({}))
    night.sleep(20)
    [lost] = night.bodies(ServiceUnknown)
    assert isinstance(lost, ServiceUnknown)
    assert [s.service for s in lost.services] == ["checkout"]
    assert lost.services[0].why
    assert night.bodies(ServiceRecovered) == [], "no data ends no failure"


def test_a_reload_of_a_balancer_is_a_restart(night: Night) -> None:
    night.put(EDGE, BalancerReading("edge-east", "2", "11:9", WALL + 9, {}))
    night.sleep(10)
    [body] = night.bodies()
    assert isinstance(body, BalancerRestarted)
    assert (body.balancers[0].before, body.balancers[0].process) == ("10:1", "11:9")


def test_a_balancer_that_restarts_while_no_engine_runs_is_recorded_by_the_next(night: Night) -> None:
    night.record(Heartbeat("running"))
    night.clock.now += 600
    night.put(EDGE, BalancerReading("edge-east", "2", "11:9", night.clock.wall() - 300, {}))
    night.restart()
    night.sleep(10)
    assert [b.kind for b in night.bodies(BalancerRestarted)] == ["balancer.restarted"]
    night.restart()
    night.sleep(20)
    assert len(night.bodies(BalancerRestarted)) == 1


def test_a_night_of_a_thousand_flaps_stays_bounded_and_says_how_many(night: Night) -> None:
    night.ticks = 1  # a whole night; fewer looks a second
    for _ in range(1000):
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
    assert told == 1000, "none is lost: what has no entry of its own is counted"


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
    night.put("postgres:orders/n2", replace(primary("n2", 2000, 2), fork_lsn=900))
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


def test_a_suspension_and_a_clock_that_jumps_are_recorded_and_bounded(night: Night) -> None:
    night.clock.now += 30
    night.sleep(0.25)
    night.clock.ahead -= 120
    night.sleep(5)
    suspended, jumped = night.bodies(EngineSuspended, ClockJumped)
    assert isinstance(suspended, EngineSuspended)
    assert isinstance(jumped, ClockJumped)
    assert (round(suspended.seconds), jumped.seconds) == (30, -120.0)
    for _ in range(500):
        night.clock.ahead += 10
        night.sleep(7.2)
    jumps = night.bodies(ClockJumped)
    assert len(jumps) <= 14
    night.sleep(3600)
    night.clock.ahead += 10
    night.sleep(1)
    told = [b.more for b in night.bodies(ClockJumped)]  # type: ignore[attr-defined]
    assert sum(1 + more for more in told) == 502


def test_a_service_that_flaps_is_recorded_few_times_and_its_clock_keeps_running(night: Night) -> None:
    night.ticks = 1  # a whole night; fewer looks a second
    for _ in range(300):
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
    assert sum(1 + body.more for body in ended) == 300  # type: ignore[attr-defined]
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
