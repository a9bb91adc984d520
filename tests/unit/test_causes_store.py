"""Patroni's store that does not answer, clusters without a leader, and what a person is told to do about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from adapters.registry import kinds
from state.api.views.causes import Cause, ForecastKind
from state.config_files.located import Located
from state.errors import Trouble
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.health import Health
from state.verdicts.evidence import SHOWN, no_data_reason
from state.views.header import build as header
from state.views.overview import build as overview
from state.world.observed import Observed, ReadError
from state.world.world import World
from tests.unit.verdict_world import (
    DNS,
    ESTATE,
    MB,
    NOW,
    RAW,
    blackhole,
    dns,
    healthy_world,
    look,
    manager,
    metrics,
    primary,
    put,
    sender,
    standby,
)

NODES = ("n1", "n2", "n3")


def causes(world: World, estate: Estate = ESTATE, name: str = "orders") -> list[Cause]:
    return [c for c in header(look(world, estate=estate)).causes if c.name == name]


def store_gone(world: World, age: float, nodes: Sequence[str] = NODES, **facts: object) -> None:
    """Every agent answers, none has had contact for `age` seconds; the leader shows the cluster from its cache."""
    for node in nodes:
        shown = {} if node == "n1" else {"members": ()}
        put(world, f"patroni:orders/{node}", manager(node, "n1", dcs_age=age, ttl=30.0, **shown, **facts))


def demoted(world: World, nodes: Sequence[str] = NODES) -> None:
    """Patroni has made every node a standby: nobody writes, nobody leads."""
    for node in nodes:
        put(world, f"postgres:orders/{node}", standby(node, 100 * MB, receiver_state=None))


def test_a_store_that_is_silent_warns_before_the_primary_steps_down(world: World) -> None:
    store_gone(world, 8.0)
    (cause,) = causes(world)
    assert (cause.health, cause.what) == (Health.WARN, "Patroni's store (DCS) does not answer")
    assert cause.forecast is not None
    assert (cause.forecast.kind, cause.forecast.message) == (ForecastKind.DEMOTION, "n1 steps down")
    assert "n1 steps down in ≤ 2" in cause.sentence(NOW)
    assert cause.next is not None
    assert "repair Patroni's store" in cause.next.message


@pytest.mark.parametrize(
    ("facts", "says"), [({"paused": True}, "paused: n1 goes on"), ({"failsafe": True}, "Failsafe")]
)
def test_a_primary_that_keeps_leading_without_the_store_is_not_said_to_step_down(
    world: World, facts: dict[str, object], says: str
) -> None:
    store_gone(world, 8.0, **facts)
    cause = next(c for c in causes(world) if c.key.endswith("/store"))
    assert cause.forecast is not None
    assert cause.forecast.kind is ForecastKind.NOTHING
    assert says in cause.forecast.message


def test_one_agent_that_has_contact_proves_the_store(world: World) -> None:
    store_gone(world, 40.0, ("n1", "n2"))
    assert not [c for c in causes(world) if "store" in c.what]


def test_all_demoted_for_a_silent_store_is_no_writer_and_not_an_unknown_lag(world: World) -> None:
    demoted(world)
    for node in NODES:
        put(world, f"patroni:orders/{node}", manager(node, None, dcs_age=40.0, members=(), unlocked=False))
    view = header(look(world))
    (cause,) = causes(world)
    assert (cause.health, cause.loud) == (Health.FAIL, True)
    assert cause.what == "no node accepts writes, Patroni's store (DCS) does not answer"
    assert cause.forecast is not None
    assert (cause.forecast.kind, cause.forecast.by_mono) == (ForecastKind.NOTHING, None)
    assert cause.forecast.message == "Nothing is promoted until the store is back"
    assert cause.next is not None
    assert "patronictl failover" not in cause.next.message
    assert view.causes[0] == cause
    assert not any("lag unknown" in a for a in view.alarms)
    assert overview(look(world)).recover["database/orders"].message == cause.what


def test_no_writer_outranks_the_lag_that_nobody_can_know(world: World) -> None:
    demoted(world)
    put(world, "postgres:orders/n3", standby("n3", 90 * MB, 100 * MB, receiver_state=None))
    for node in NODES:
        put(world, f"patroni:orders/{node}", manager(node, None))
    (cause,) = causes(world)
    assert (cause.health, cause.what) == (Health.FAIL, "no node accepts writes")
    assert cause.forecast is not None
    assert cause.forecast.message == "Patroni promotes n1 or n2 or n3"


def test_commands_name_the_cluster_as_patroni_does(world: World) -> None:
    for node in ("n2", "n3"):
        put(world, f"patroni:orders/{node}", manager(node, "n1", scope="wares-main"))
    blackhole(world, "postgres:orders/n1", 6.0)
    blackhole(world, "patroni:orders/n1", 6.0)
    (cause,) = causes(world)
    assert cause.next is not None
    assert "patronictl failover wares-main --candidate n2" in cause.next.message


def test_a_cluster_of_one_node_has_no_candidate_to_fail_over_to() -> None:
    one = {**RAW["databases"]["orders"], "nodes": {"n1": RAW["databases"]["orders"]["nodes"]["n1"]}}
    estate = parse_estate(Located({**RAW, "databases": {"orders": one}}, "estate.yaml"), kinds())
    world = healthy_world()
    for key in ("postgres:orders/n2", "postgres:orders/n3", "patroni:orders/n2", "patroni:orders/n3"):
        del world.observed[key]
    blackhole(world, "postgres:orders/n1", 6.0)
    blackhole(world, "patroni:orders/n1", 6.0)
    (cause,) = causes(world, estate)
    assert cause.next is not None
    assert "patronictl" not in cause.next.message
    assert "If that does not happen" not in cause.next.message
    assert "repair n1" in cause.next.message


@pytest.mark.parametrize(("rate", "says"), [(20.0, "; requests still arrive, 20/s"), (0.0, "; none arrive")])
def test_wrong_dns_says_only_what_was_measured(world: World, rate: float, says: str) -> None:
    put(world, DNS, dns("127.0.9.9"))
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", metrics(rate=rate))
    (cause,) = causes(world, name="checkout")
    assert cause.health is Health.FAIL
    assert cause.what == f"DNS checkout.shop.example answers 127.0.9.9, not 10.1.0.10, 10.2.0.10{says}"


def test_wrong_dns_without_figures_claims_nothing_about_requests(world: World) -> None:
    put(world, DNS, dns("127.0.9.9"))
    for monitor in ("prometheus", "apps"):
        blackhole(world, f"metrics:{monitor}", 60.0)
    cause = next(c for c in causes(world, name="checkout") if c.health is Health.FAIL)
    assert cause.what.endswith("not 10.1.0.10, 10.2.0.10")


@pytest.mark.parametrize(
    ("trouble", "message", "says"),
    [
        (Trouble.DENIED, "am:9093 answered 401 to /api/v2/alerts", "no data yet (denied: am:9093 answered 401 to"),
        (Trouble.ERROR, "am:9093: Connection refused", "no data yet (error: am:9093: Connection refused)"),
        (Trouble.ERROR, "db-1 belongs to other, not to wares", "no data yet (error: db-1 belongs to other"),
        (Trouble.TIMEOUT, "am:9093 did not answer within 0.9 s", "no data yet (timeout)"),
    ],
)
def test_a_row_says_why_its_source_gave_nothing(trouble: Trouble, message: str, says: str) -> None:
    seen: Observed[object] = Observed("alerts:am", 3.0, error=ReadError(trouble, message, 0.0))
    assert no_data_reason(seen).startswith(says)


def test_a_long_reason_is_cut_in_the_middle() -> None:
    seen: Observed[object] = Observed("alerts:am", 3.0, error=ReadError(Trouble.ERROR, "a" * 400 + " refused", 0.0))
    reason = no_data_reason(seen)
    assert len(reason) < SHOWN + 30
    assert reason.endswith("refused)")


@pytest.mark.parametrize(
    ("used", "health", "says"),
    [(97, Health.FAIL, "n1: no session is left: 97 of 97 used"), (90, Health.WARN, "n1: 90 of 97 sessions used")],
)
def test_a_primary_without_free_sessions_is_no_pass(world: World, used: int, health: Health, says: str) -> None:
    senders = (sender("n2"), sender("n3"))
    full = primary("n1", 100 * MB, senders=senders, sessions=used, sessions_limit=97)
    put(world, "postgres:orders/n1", full)
    (cause,) = causes(world)
    assert (cause.health, cause.what) == (health, says)
    assert overview(look(world)).recover["database/orders"].health is health


def test_a_primary_with_free_sessions_passes(world: World) -> None:
    senders = (sender("n2"), sender("n3"))
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, senders=senders, sessions=50, sessions_limit=97))
    assert causes(world) == []


def test_a_standby_cluster_is_not_told_to_fail_over(world: World) -> None:
    """Nobody writes in it by design, and a failover would end the only copy's following (patroni/patroni#657)."""
    roles = {"n1": "standby_leader", "n2": "replica", "n3": "replica"}
    rows = tuple(replace(m, role=roles[m.name]) for m in manager("n1", "n1").members)
    for node in NODES:
        put(world, f"postgres:orders/{node}", standby(node, 100 * MB))
        put(world, f"patroni:orders/{node}", manager(node, "n1", role=roles[node], members=rows))
    assert causes(world) == [], "its leader hears from the primary outside"
    (place,) = [p for p in overview(look(world)).recover.values() if p.name == "orders"]
    assert place.health is Health.PASS
    for quiet, health in ((20.0, Health.UNKNOWN), (90.0, Health.FAIL)):
        put(world, "postgres:orders/n1", standby("n1", 100 * MB, receiver_state=None, upstream_quiet=quiet))
        (cause,) = causes(world)
        assert cause.health is health
        assert "standby cluster, led by n1" in cause.what
        assert cause.next is not None
        assert "patronictl failover" not in cause.next.message


@pytest.mark.parametrize("paused", [False, True])
def test_a_server_that_is_kept_down_is_not_a_host_that_is_gone(world: World, paused: bool) -> None:
    blackhole(world, "postgres:orders/n3")
    put(world, "patroni:orders/n3", manager("n3", "n1", state="stopped", paused=paused))
    (cause,) = [c for c in causes(world) if c.key.endswith("n3/silent")]
    assert cause.what == "PostgreSQL n3 does not run, its Patroni says stopped"
    assert cause.next is not None
    assert "Start its Patroni" not in cause.next.message
    assert ("is paused and starts nothing" in cause.next.message) is paused
