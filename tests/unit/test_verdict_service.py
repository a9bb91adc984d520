"""Service verdicts: the worst witness decides, and nothing passes without one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from state.api.views.header import RtoClock
from state.errors import Trouble
from state.health import Health
from state.verdicts.clocks import most_urgent, remaining, stage
from state.verdicts.priority import advice, recovery_order
from state.verdicts.service import ServiceVerdict, service_verdicts
from state.world.readings import MetricsReading, MissingTarget, ProbeReading
from state.world.world import World
from tests.unit.verdict_world import (
    ESTATE,
    NOW,
    balancer,
    blackhole,
    metrics,
    put,
    sampled,
    server,
)


def judge(world: World, database: Health = Health.PASS, now: float = NOW) -> dict[str, ServiceVerdict]:
    return service_verdicts(ESTATE, world, now, {"orders": database})


def test_healthy(world: World) -> None:
    verdict = judge(world)["checkout"]
    assert (verdict.health, verdict.message, verdict.source) == (
        Health.PASS,
        "within objectives",
        "metrics:prometheus",
    )
    assert not verdict.fallback


def test_errors_fail_and_slowness_warns(world: World) -> None:
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", metrics(0.182))
    assert judge(world)["checkout"].message == "5xx 18.2% > 1.0%"
    assert judge(world)["checkout"].health is Health.FAIL
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", metrics(p99=0.48))
    assert judge(world)["checkout"].health is Health.WARN
    assert judge(world)["checkout"].message == "p99 480 ms > 300 ms"


@pytest.mark.parametrize(
    "reading",
    [
        metrics(math.nan),
        metrics(None),
        metrics(0.0, 0.0),
        metrics(0.0, math.nan),
        metrics(p99=math.nan),
        MetricsReading({}),
        sampled(metrics(), 300.0),
        sampled(metrics(), math.nan),
    ],
)
def test_trap_12_no_data_is_unknown(world: World, reading: MetricsReading) -> None:
    for monitor in ("prometheus", "apps"):
        put(world, f"metrics:{monitor}", reading)
    assert judge(world)["checkout"].health is Health.UNKNOWN


def test_trap_12_stale_samples_are_unknown(world: World) -> None:
    for monitor in ("prometheus", "apps"):
        blackhole(world, f"metrics:{monitor}", 34.0)
    verdict = judge(world)["checkout"]
    assert verdict.health is Health.UNKNOWN
    assert "prometheus: no data since" in verdict.message
    assert verdict.traffic is None


def test_fallback_is_said(world: World) -> None:
    blackhole(world, "metrics:prometheus")
    verdict = judge(world)["checkout"]
    assert (verdict.health, verdict.fallback, verdict.source) == (Health.PASS, True, "metrics:apps")
    assert verdict.message.endswith("(timeout), scraped directly")


def partial(reading: MetricsReading) -> MetricsReading:
    """The same figures without those of one target."""
    lost = (MissingTarget("green", True, Trouble.ERROR, "refused"),)
    return replace(reading, services={n: replace(t, missing=lost) for n, t in reading.services.items()})


def test_11_figures_that_sum_environments_are_no_pass_and_say_what_to_set(world: World) -> None:
    reading = metrics()
    both = {"env": ("", "prod", "staging")}
    mixed = {n: replace(each, mixed=both) for n, each in reading.services.items()}
    put(world, "metrics:prometheus", replace(reading, services=mixed))
    verdict = judge(world)["checkout"]
    assert verdict.health is Health.WARN
    assert verdict.message.startswith(
        "figures of prometheus sum series that differ in env (none, prod, staging): set `labels` of the monitor"
    )


def test_figures_of_some_targets_are_no_pass_and_name_the_others(world: World) -> None:
    blackhole(world, "metrics:prometheus")
    put(world, "metrics:apps", partial(metrics()))
    verdict = judge(world)["checkout"]
    assert verdict.health is Health.WARN
    assert verdict.message.startswith("figures of apps without green (error: refused)")
    put(world, "metrics:apps", partial(metrics(0.2)))
    verdict = judge(world)["checkout"]
    assert verdict.health is Health.FAIL
    assert verdict.message.startswith("5xx 20.0% > 1.0%; figures of apps without green (error: refused)")
    put(world, "metrics:apps", partial(metrics(None)))
    assert judge(world)["checkout"].message.count("without green (error: refused)") == 1


def test_what_another_monitor_lacks_is_no_finding_while_the_first_has_all(world: World) -> None:
    put(world, "metrics:apps", partial(metrics()))
    verdict = judge(world)["checkout"]
    assert (verdict.health, verdict.message) == (Health.PASS, "within objectives")


def test_lying_source_does_not_hide_the_other(world: World) -> None:
    put(world, "metrics:apps", metrics(0.2))
    verdict = judge(world)["checkout"]
    assert verdict.health is Health.FAIL
    assert verdict.message == "CONFLICT: apps says 5xx 20.0% > 1.0%, prometheus says 5xx 0.0%"


def test_probes_count(world: World) -> None:
    put(world, "probe:probes/checkout-east", ProbeReading("checkout-east", 503, 0.01))
    assert judge(world)["checkout"].health is Health.WARN
    put(world, "probe:probes/checkout-west", ProbeReading("checkout-west", 500, 0.01))
    assert judge(world)["checkout"].health is Health.FAIL


def test_silent_probe_is_not_a_failed_one(world: World) -> None:
    for site in ("east", "west"):
        blackhole(world, f"probe:probes/checkout-{site}")
    assert judge(world)["checkout"].health is Health.WARN
    for monitor in ("prometheus", "apps"):
        blackhole(world, f"metrics:{monitor}")
    assert judge(world)["checkout"].health is Health.UNKNOWN


def test_site_without_serving_server_fails(world: World) -> None:
    put(world, "balancer:edge-west", balancer("edge-west", server("blue", 0), server("green", 0)))
    verdict = judge(world)["checkout"]
    assert verdict.health is Health.FAIL
    assert "edge-west: no server serves" in verdict.message


def test_dependency_cascades(world: World) -> None:
    verdicts = judge(world, Health.FAIL)
    assert (verdicts["checkout"].health, verdicts["checkout"].message) == (
        Health.WARN,
        "depends on orders, which fails",
    )


def test_service_without_witness_is_unknown(world: World) -> None:
    assert judge(world)["catalog"].health is Health.UNKNOWN
    assert judge(world)["catalog"].message == "neither metrics nor probes"


def test_trap_21_one_silent_source_leaves_the_others(world: World) -> None:
    blackhole(world, "balancer:edge-east")
    verdict = judge(world)["checkout"]
    assert verdict.health is Health.WARN
    assert verdict.traffic is not None
    assert verdict.message.startswith("edge-east: no data since")


def test_everything_turns_unknown_with_age(world: World) -> None:
    assert judge(world, now=NOW + 60)["checkout"].health is Health.UNKNOWN


def test_words_stand_still_while_a_source_is_silent(world: World) -> None:
    blackhole(world, "metrics:prometheus")
    assert judge(world)["checkout"].message == judge(world, now=NOW + 1)["checkout"].message


def test_recovery_order_says_why() -> None:
    clocks = {"checkout": RtoClock("checkout", NOW - 240, 900, None)}
    healths = {"checkout": Health.FAIL, "catalog": Health.WARN}
    order = recovery_order(ESTATE, healths, clocks, NOW)
    assert [p.name for p in order] == ["orders", "checkout", "catalog"]
    assert advice(order, healths) == "recover first: checkout (tier 1, 11 min left, unblocks 1)"


def test_what_others_need_comes_first() -> None:
    healths = {"checkout": Health.WARN, "catalog": Health.WARN, "orders": Health.FAIL}
    order = recovery_order(ESTATE, healths, {}, NOW)
    assert advice(order, healths) == "recover first: orders (tier 1, 15 min left, unblocks 2)"
    assert advice(order, {}) == ""


def test_rto_clock() -> None:
    clock = RtoClock("checkout", 0.0, 100.0, None)
    assert [stage(clock, t) for t in (74.9, 75.0, 99.9, 100.0)] == [
        Health.PASS,
        Health.WARN,
        Health.WARN,
        Health.FAIL,
    ]
    assert remaining(clock, 130.0) == -30.0
    ended = replace(clock, ended_mono=50.0)
    assert remaining(ended, 500.0) == 50.0
    assert most_urgent({"a": ended}, 500.0) is None
    assert most_urgent({"a": clock, "b": RtoClock("b", 0.0, 90.0, None)}, 1.0) == RtoClock("b", 0.0, 90.0, None)
