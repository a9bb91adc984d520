"""What shares a cause, what is told first, and what is no cause of its own."""

from __future__ import annotations

import pytest

from adapters.registry import kinds
from state.api.views.causes import Cause, NextKind, SubjectKind
from state.config_files.located import Located
from state.errors import Trouble
from state.estate.parse import parse_estate
from state.health import Health
from state.verdicts.judge import Judge
from state.views.header import build as header
from state.world.readings import Alert, AlertsReading, Lack, MetricsReading, ReleaseTraffic, ServiceTraffic
from state.world.world import World
from tests.unit.verdict_world import (
    ESTATE,
    MB,
    NOW,
    RAW,
    SCRAPED,
    WALL,
    balancer,
    blackhole,
    fail,
    freeze,
    look,
    manager,
    metrics,
    primary,
    put,
    server,
    standby,
    told,
)


def test_an_alert_with_a_known_cause_adds_no_sentence(world: World) -> None:
    freeze(world)
    alerts = tuple(
        Alert(name, "active", "critical", WALL, "many", name, labels)
        for name, labels in (("NoPrimary", {"service": "orders"}), ("DiskFull", {"host": "h9"}))
    )
    put(world, "alerts:alertmanager", AlertsReading(alerts, watchdog=True))
    said = [c.name for c in told(world)[0].causes if c.kind is SubjectKind.ALERT]
    assert said == ["DiskFull"]


def test_a_critical_alert_about_what_only_warns_is_a_failing_cause(world: World) -> None:
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", metrics(p99=0.5))
    labels = {"service": "checkout"}
    alerts = (
        Alert("DataCorrupt", "active", "critical", WALL, "checksums differ", "f1", labels, health=Health.FAIL),
        Alert("Slow", "active", "warning", WALL, "p99 is high", "f2", labels, health=Health.WARN),
    )
    put(world, "alerts:alertmanager", AlertsReading(alerts, watchdog=True))
    view, screen = told(world)
    assert screen.recover["service/checkout"].health is Health.WARN
    assert (view.causes[0].name, view.causes[0].health) == ("DataCorrupt", Health.FAIL)
    assert [c.name for c in view.causes if c.kind is SubjectKind.ALERT] == ["DataCorrupt"]
    beside = next(c for c in view.causes if c.name == "checkout")
    assert view.causes[0].what == "alert fires: checksums differ; checkout is impaired"
    assert view.causes[0].detail.endswith(f"; checkout: {beside.what}")
    assert view.causes[0].next == beside.next


def test_a_critical_alert_about_what_waits_for_a_failing_database_has_its_cause(world: World) -> None:
    freeze(world)
    alert = Alert("Down", "active", "critical", WALL, "down", "f1", {"service": "catalog"}, health=Health.FAIL)
    put(world, "alerts:alertmanager", AlertsReading((alert,), watchdog=True))
    assert [c.name for c in told(world)[0].causes if c.kind is SubjectKind.ALERT] == []


def test_a_silent_balancer_is_one_cause_above_those_who_use_it(world: World) -> None:
    blackhole(world, "balancer:edge-west")
    view, screen = told(world)
    [cause] = [c for c in view.causes if c.name != "catalog"]
    assert (cause.kind, cause.name, [v.name for v in cause.victims]) == (SubjectKind.SOURCE, "edge-west", ["checkout"])
    assert screen.recover["service/checkout"].health is Health.WARN
    assert screen.recover["service/checkout"].message.startswith("edge-west: no data since")


def test_what_cannot_be_judged_is_told_what_to_change_and_not_to_read_its_logs(world: World) -> None:
    for monitor in ("prometheus", "apps"):
        lacking = ServiceTraffic("checkout", None, None, None, lack=Lack.NO_SERIES, scraping=SCRAPED)
        put(world, f"metrics:{monitor}", MetricsReading({"checkout": lacking}))
    cause = next(c for c in told(world)[0].causes if c.name == "checkout")
    assert cause.health is Health.UNKNOWN
    assert cause.next is not None
    assert "nothing judges it: prometheus: no series counts its requests: check `requests`" in cause.next.message
    assert (cause.next.kind, "Traffic" in cause.next.message) == (NextKind.HAND, False)


def test_services_that_cannot_be_judged_for_one_reason_are_one_cause(world: World) -> None:
    raw = {**RAW, "services": {n: {**RAW["services"]["checkout"], "traffic": None} for n in ("checkout", "a", "b")}}
    lacking = ServiceTraffic("checkout", None, None, None, lack=Lack.NO_SERIES, scraping=SCRAPED)
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", MetricsReading({"checkout": lacking}))
    estate = parse_estate(Located(raw, "estate.yaml"), kinds())
    causes = [c for c in header(look(world, estate=estate)).causes if c.kind is SubjectKind.SERVICE]
    assert [(c.name, [v.name for v in c.victims], c.waited_for) for c in causes] == [("checkout", ["a", "b"], False)]


def test_a_backend_that_a_balancer_does_not_have_is_compared_with_the_estate(world: World) -> None:
    put(world, "balancer:edge-west", balancer("edge-west", server("blue", backend="other")))
    cause = next(c for c in told(world)[0].causes if c.name == "checkout")
    assert cause.next is not None
    assert cause.next.message.startswith("By hand: compare `backend: checkout` of checkout in the estate")


def test_alerting_that_is_not_proven_keeps_the_headline_from_saying_all(world: World) -> None:
    put(world, "metrics:prometheus", metrics())
    put(world, "alerts:alertmanager", AlertsReading((), watchdog=False))
    screen = told(world)[1]
    assert screen.health is Health.UNKNOWN
    assert not screen.summary.startswith("all ")


def after_failover(world: World, seconds: float) -> Cause:
    """The cause at checkout, whose requests fail: n1 did not answer until so many seconds ago, now n2 leads."""
    judge = Judge(ESTATE, world)
    for source in ("postgres", "patroni"):
        blackhole(world, f"{source}:orders/n1", seconds + 10.0)
    assert judge.at(NOW - seconds).healths["orders"] is Health.FAIL
    put(world, "postgres:orders/n2", primary("n2", 100 * MB, timeline=2))
    put(world, "postgres:orders/n3", standby("n3", 100 * MB, timeline=2))
    for node in ("n2", "n3"):
        put(world, f"patroni:orders/{node}", manager(node, "n2", timeline=2))
    releases = (ReleaseTraffic("v41", 50.0, 0.9, 0.4),)
    read = MetricsReading({"checkout": ServiceTraffic("checkout", 50.0, 0.9, 0.05, releases, scraping=SCRAPED)})
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", read)
    return next(c for c in judge.at(NOW).causes if c.name == "checkout")


def test_no_release_is_blamed_for_errors_counted_while_the_database_failed(world: World) -> None:
    cause = after_failover(world, 3.0)
    assert cause.what == "5xx 90.0% > 1.0%, counted while orders failed"
    assert cause.forecast is not None
    assert cause.forecast.text(NOW) == "That leaves its figures in ≤ 10 s"  # window 10 s, interval 1 s, a poll
    assert cause.next is not None
    assert (cause.next.key, cause.next.kind) == ("t", NextKind.PLACE)


def test_errors_that_outlast_a_failure_of_the_database_are_those_of_the_release(world: World) -> None:
    assert after_failover(world, 13.5).what == "90.0% of requests fail on release v41 (blue)"


def test_what_is_unknown_is_told_before_what_is_only_impaired(world: World) -> None:
    put(world, "postgres:orders/n3", standby("n3", 80 * MB, receiver_state=None))
    for node in ("n1", "n2", "n3"):
        put(world, f"patroni:orders/{node}", manager(node, None))
    view, screen = told(world)
    mine = [c for c in view.causes if c.name == "orders"]
    assert screen.recover["database/orders"].health is Health.UNKNOWN
    assert (mine[0].what, mine[0].health) == ("the witnesses do not agree on the leader", Health.UNKNOWN)
    assert screen.recover["database/orders"].message == mine[0].what


@pytest.mark.parametrize(("node", "says"), [("n2", "n2 is down or cut off"), ("n1", "primary n1 does not answer here")])
def test_a_node_whose_patroni_is_silent_and_whose_server_stops_answering_is_one_cause(
    world: World, node: str, says: str
) -> None:
    blackhole(world, f"patroni:orders/{node}", 3.5)
    fail(world, f"postgres:orders/{node}")
    causes = [c for c in told(world)[0].causes if c.name != "catalog"]
    assert [(c.name, c.what, c.health) for c in causes] == [("orders", says, Health.WARN)]


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_a_server_that_refuses_this_engine_is_not_called_down(world: World, node: str) -> None:
    blackhole(world, f"patroni:orders/{node}", 3.5)
    fail(world, f"postgres:orders/{node}", Trouble.DENIED, f"PostgreSQL {node}: password authentication failed")
    (cause,) = [c for c in told(world)[0].causes if c.name == "orders"]
    assert cause.what == f"PostgreSQL {node} refuses this engine: password authentication failed"
    assert cause.next is not None
    assert "check --connect" in cause.next.message
    assert "start" not in cause.next.message


def test_no_release_is_blamed_for_errors_counted_during_a_switchover(world: World) -> None:
    judge = Judge(ESTATE, world)
    put(world, "postgres:orders/n1", standby("n1", 100 * MB))  # n1 steps down, nobody writes yet
    assert judge.at(NOW - 1.0).clusters["orders"].trouble == "changed its leader"
    for node, position in (("n1", None), ("n2", 100 * MB)):
        made = standby(node, 100 * MB, timeline=2) if position is None else primary(node, position, timeline=2)
        put(world, f"postgres:orders/{node}", made)
    put(world, "metrics:prometheus", metrics(0.05))
    put(world, "metrics:apps", metrics(0.05))
    cause = next(c for c in judge.at(NOW).causes if c.name == "checkout")
    assert cause.what == "5xx 5.0% > 1.0%, counted while orders changed its leader"
    assert cause.next is not None
    assert cause.next.kind is NextKind.PLACE


def test_a_service_that_only_silent_probes_judge_has_a_cause_and_a_next_step(world: World) -> None:
    checkout = {k: v for k, v in RAW["services"]["checkout"].items() if k not in ("metrics", "traffic", "objectives")}
    estate = parse_estate(Located({**RAW, "services": {"checkout": checkout}}, "estate.yaml"), kinds())
    assert header(look(world, estate=estate)).causes == ()
    for site in ("east", "west"):
        blackhole(world, f"probe:probes/checkout-{site}")
    [cause] = header(look(world, estate=estate)).causes
    assert (cause.name, cause.health) == ("checkout", Health.UNKNOWN)
    assert cause.what.startswith("checkout-east: no data since")
    assert cause.next is not None
    assert "judged by probes that nobody answers" in cause.next.message
