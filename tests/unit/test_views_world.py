"""Views: what is shown follows the verdicts, and nothing is made anew that did not change."""

from __future__ import annotations

import json
from dataclasses import replace
from time import perf_counter

from state.api.views.header import RtoClock
from state.api.wire import Differ, plain
from state.estate.model import Estate
from state.health import Health
from state.views.context import JournalState
from state.views.header import build as header
from state.views.memory import Memory, reuse
from state.views.overview import build as overview
from state.views.replication import build as replication
from state.views.traffic import build as traffic
from state.views.trends import observe_trends
from state.world.balancer_parts import BalancerReading
from state.world.dns_parts import DnsReading
from state.world.observed import Observed
from state.world.readings import Alert, AlertsReading
from state.world.world import World
from tests.unit.verdict_world import (
    ESTATE,
    MB,
    NOW,
    WALL,
    balancer,
    blackhole,
    look,
    metrics,
    primary,
    put,
    server,
    standby,
)


def test_overview(world: World) -> None:
    clocks = {"checkout": RtoClock("checkout", NOW - 60, 900.0, None)}
    put(world, "metrics:prometheus", metrics(0.182))
    view = overview(look(world, clocks=clocks))
    row = view.services["checkout"]
    assert (row.order, row.health, row.error_ratio, row.unblocks, row.owners) == (1, Health.FAIL, 0.182, 1, "Ada")
    assert row.releases == "blue v41 100%"
    assert row.rto == clocks["checkout"]
    assert view.advice.startswith("recover first: checkout (tier 1, 14 min left")
    assert [p.health for p in view.probes.values()] == [Health.PASS, Health.PASS]
    assert view.alerts_health is None
    assert view.alerts_message == "no alert source in the estate"


def test_overview_of_an_unread_world_is_unknown() -> None:
    view = overview(look(World()))
    assert {r.health for r in view.services.values()} == {Health.UNKNOWN}
    assert {r.health for r in view.probes.values()} == {Health.UNKNOWN}
    assert all(r.rate is None and r.error_ratio is None for r in view.services.values())


def test_balancers_that_differ_are_named(world: World) -> None:
    put(world, "balancer:edge-west", balancer("edge-west", server("blue", 0), server("green")))
    row = overview(look(world)).services["checkout"]
    assert row.releases == "edge-east blue v41 100% | edge-west green v42 100%"


def test_no_alerts_is_green_only_with_a_watchdog(world: World) -> None:
    put(world, "alerts:alertmanager", AlertsReading((), watchdog=False))
    assert overview(look(world)).alerts_health is Health.UNKNOWN
    put(world, "alerts:alertmanager", AlertsReading((), watchdog=True))
    assert overview(look(world)).alerts_health is Health.PASS
    alert = Alert("Errors", "active", "critical", WALL, "many", "f1", health=Health.FAIL)
    put(world, "alerts:alertmanager", AlertsReading((alert,), watchdog=True))
    view = overview(look(world))
    assert (view.alerts_health, view.alerts_message) == (Health.FAIL, "1 firing: Errors")
    assert [a.name for a in view.alerts.values()] == ["Errors"]


def test_replication_rows(world: World) -> None:
    put(world, "postgres:orders/n2", standby("n2", 99 * MB, receiver_state=None))
    view = replication(look(world))
    row = view.nodes["orders/n2"]
    assert (row.lag_bytes, row.state, row.health) == (None, "not streaming", Health.FAIL)
    assert view.nodes["orders/n1"].lag_bytes == 0
    assert view.clusters["orders"].leader == "n1"
    assert view.clusters["orders"].candidate == "n3 (0 B)"
    assert view.clusters["orders"].votes == "4 of 4 say primary"


def test_trap_01_silent_node_keeps_its_row_without_figures(world: World) -> None:
    blackhole(world, "postgres:orders/n3")
    row = replication(look(world)).nodes["orders/n3"]
    assert (row.lag_bytes, row.lag_seconds, row.lsn, row.timeline, row.state) == (None, None, "", None, "no data")


def test_traffic_rows_and_drift(world: World) -> None:
    context = look(world, drifts={"edge-east": {"checkout": "changed from outside, blue weight 0 → 100"}})
    view = traffic(context)
    backend = view.backends["edge-east/checkout"]
    assert backend.drift == "changed from outside, blue weight 0 → 100"
    assert header(context).alarms == ("edge-east: changed from outside, blue weight 0 → 100",)
    assert (backend.health, backend.service, backend.serving) == (Health.WARN, "checkout", 1)
    assert view.servers["edge-east/checkout/blue"].share == 1.0
    assert view.servers["edge-east/checkout/blue"].release == "v41"
    assert view.backends["edge-west/checkout"].drift == ""


def test_trap_21_silent_balancer_turns_unknown_and_keeps_its_rows(world: World) -> None:
    memory = Memory()
    before = traffic(look(world, memory))
    blackhole(world, "balancer:edge-east")
    view = traffic(look(world, memory))
    assert view.servers["edge-east/checkout/blue"].health is Health.UNKNOWN
    assert view.backends["edge-east/checkout"].health is Health.UNKNOWN
    assert "no data since" in view.backends["edge-east/checkout"].message
    assert view.servers["edge-west/checkout/blue"] is before.servers["edge-west/checkout/blue"]


def test_dns_rows(world: World) -> None:
    key, row_key = "dns:shop.example@127.0.0.1:53", "shop.example/checkout/A@127.0.0.1:53"
    del world.observed[key]
    assert traffic(look(world)).dns[row_key].health is Health.UNKNOWN
    put(world, key, DnsReading("shop.example", "127.0.0.1:53", 1, {"checkout/A": ("10.2.0.10", "10.1.0.10")}))
    assert traffic(look(world)).dns[row_key].health is Health.PASS
    put(world, key, DnsReading("shop.example", "127.0.0.1:53", 2, {"checkout/A": ("10.2.0.10",)}))
    assert traffic(look(world)).dns[row_key].message == "without 10.1.0.10"


def test_header_puts_split_brain_first(world: World) -> None:
    put(world, "postgres:orders/n2", primary("n2", 101 * MB, timeline=2, fork_lsn=90 * MB))
    blackhole(world, "metrics:apps")
    view = header(look(world, journal=JournalState(doubt="journal cannot be written")))
    assert view.alarms[0].startswith("SPLIT BRAIN orders")
    assert view.alarms[-1] == "journal cannot be written"
    assert view.risk is not None
    assert view.risk.health is Health.UNKNOWN
    assert view.sources["metrics:apps"].trouble == "timeout"
    assert view.sources["metrics:apps"].mono == NOW - 12.0


def test_an_unchanged_world_gives_the_same_views_and_no_frames(world: World) -> None:
    memory = Memory()
    clocks = {"checkout": RtoClock("checkout", NOW - 60, 900.0, None)}

    def views() -> tuple[object, ...]:
        return (
            overview(look(world, memory, clocks=clocks)),
            replication(look(world, memory)),
            traffic(look(world, memory)),
            header(look(world, memory, clocks=clocks)),
        )

    first, second = views(), views()
    assert all(a is b for a, b in zip(first, second, strict=True))
    differ = Differ("traffic")
    assert differ.frame(first[2]) is not None
    assert differ.frame(second[2]) is None
    json.dumps([plain(v) for v in first])


def test_only_changed_rows_are_sent(world: World) -> None:
    memory = Memory()
    differ = Differ("traffic")
    differ.frame(traffic(look(world, memory)))
    put(world, "balancer:edge-east", balancer("edge-east", server("blue", sessions=9), server("green", 0)))
    frame = differ.frame(traffic(look(world, memory)))
    assert frame is not None
    assert list(frame["rows"]["servers"]) == ["edge-east/checkout/blue"]  # type: ignore[index, call-overload]


def test_reuse_keeps_order_changes(world: World) -> None:
    view = overview(look(world))
    turned = replace(view, services=dict(reversed(view.services.items())))
    assert list(reuse(view, turned).services) == list(turned.services)
    assert reuse(view, replace(view, advice="x")).services is view.services


def test_trends_are_rates_between_reads() -> None:
    world = World()
    old = Observed("balancer:edge-east", 3.0, balancer("edge-east", server("blue")), WALL, NOW - 2.0)
    now = balancer("edge-east", server("blue", requests=1100, errors_5xx=10))
    put(world, "balancer:edge-east", now, age=0.0)
    observe_trends(world, "balancer:edge-east", now, old)
    assert world.trend("load/edge-east/checkout/blue") == (50.0,)
    assert world.trend("load-errors/edge-east/checkout/blue") == (5.0,)
    row = traffic(look(world)).servers["edge-east/checkout/blue"]
    assert (row.rate, row.error_rate, row.trend) == (50.0, 5.0, (50.0,))
    observe_trends(world, "balancer:edge-east", replace(now, process="other"), old)
    assert len(world.trend("load/edge-east/checkout/blue")) == 1, "another process counts from zero"


def test_trends_of_databases_and_services(world: World) -> None:
    writer = primary("n1", 103 * MB)
    before = world.observed["postgres:orders/n1"]
    put(world, "postgres:orders/n1", writer, age=0.0)
    world.trends.clear()
    observe_trends(world, "postgres:orders/n1", writer, replace(before, mono=NOW - 1.0))
    assert world.trend("wal/orders/n1") == (3_000_000.0,)
    follower = standby("n2", 100 * MB)
    put(world, "postgres:orders/n2", follower)
    observe_trends(world, "postgres:orders/n2", follower, None)
    assert world.trend("lag/orders/n2") == (3_000_000.0,)
    observe_trends(world, "metrics:prometheus", metrics(0.25), None)
    assert overview(look(world)).services["checkout"].trend == (0.25,)


def test_three_thousand_servers_stay_within_milliseconds() -> None:
    """Generous against a loaded machine: a tick without changes, and one where every server changed."""
    estate = ESTATE.model_copy(update={"zones": {}})
    world, memory = World(), Memory()
    reading = _large(0)
    put(world, "balancer:edge-east", reading)
    traffic(look(world, memory, estate=estate))
    steady = min(_timed(estate, world, memory) for _ in range(5))
    put(world, "balancer:edge-east", _large(1))
    assert len(traffic(look(world, memory, estate=estate)).servers) == 3000
    assert steady < 0.06


def _large(sessions: int) -> BalancerReading:
    return balancer("edge-east", *(server(f"s{i}", backend=f"b{i // 100}", sessions=sessions) for i in range(3000)))


def _timed(estate: Estate, world: World, memory: Memory) -> float:
    started = perf_counter()
    traffic(look(world, memory, estate=estate))
    return perf_counter() - started
