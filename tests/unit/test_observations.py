"""What the engine observes in a night: each thing once, debounced, with its facts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from state.detection.events import ServiceImpaired, ServiceRecovered
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
from state.engine.events import Heartbeat
from state.journal.format import canonical
from state.world.balancer_parts import BalancerReading
from state.world.readings import AlertsReading, MetricsReading
from tests.unit.night import ALERTS, EDGE, LIMIT, METRICS, Night, alert, cluster, figures, patroni
from tests.unit.verdict_world import WALL, primary, standby


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


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("seconds", [12, 40])
def test_what_it_took_counts_from_its_beginning_and_not_from_its_entry(
    night: Night, seconds: int, restarted: bool
) -> None:
    """A service is unknown from the instant its last figures are too old; that is told some seconds later."""
    night.put(METRICS, figures(0.0))
    night.sleep(20)
    night.mark = len(night.journal)
    night.put(METRICS, None)
    night.sleep(seconds - 1)
    assert night.bodies(ServiceUnknown)
    if restarted:
        night.restart()
    night.sleep(1)
    night.put(METRICS, figures(0.0))
    night.sleep(10)
    [back] = night.bodies(SourceBack)
    [known] = night.bodies(ServiceKnown)
    assert isinstance(back, SourceBack)
    assert isinstance(known, ServiceKnown)
    for took in (back.sources[0].seconds, known.services[0].seconds):
        assert took is not None
        assert seconds - LIMIT - 2 <= took <= seconds - LIMIT + 2


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
    assert night.kinds() == ["node.lost", "writer.lost", "leader.changed", "writer.back"], night.bodies()
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
    night.put(
        ALERTS,
        AlertsReading(tuple(replace(alert(f"{n:04}"), summary="Реплика отстаёт " * 50) for n in range(1000)), True),
    )
    night.sleep(10)
    fired = night.bodies(AlertFired)
    assert len(fired) == 5
    assert len({a.fingerprint for body in fired for a in body.alerts}) == 1000  # type: ignore[attr-defined]
    assert all(len(canonical(body.as_json())) < 256 * 1024 for body in fired)


@pytest.mark.parametrize("count", [400, pytest.param(1200, marks=pytest.mark.torture)])
def test_ever_new_alerts_are_collected_into_few_entries_and_forgotten(night: Night, count: int) -> None:
    night.ticks = 1  # a whole night; fewer looks a second
    for n in range(count):
        night.put(ALERTS, AlertsReading((alert(f"{n:04}"),), True))
        night.sleep(3)
    fired = night.bodies(AlertFired)
    assert len(fired) + len(night.bodies(AlertResolved)) < 150
    assert sum(len(b.alerts) + b.more for b in fired) > count - 100, "those without an entry are counted"  # type: ignore[attr-defined]
    night.put(ALERTS, AlertsReading((), True))
    night.sleep(2 * 3600)
    watch = night.states[1]
    assert isinstance(watch, NightWatch)
    assert all(not family.follower._tracks for family in watch._families if type(family).__name__ == "Alerts")


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
