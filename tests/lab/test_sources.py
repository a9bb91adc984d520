"""One source hangs, one refuses, one lies: the others keep their pace, and nothing is green without evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.lab.client import LabClient
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("monitors")]

WATCHED = 5.0  # seconds the others are watched
TOUCHED = {
    "engine-prometheus": ("metrics:prometheus",),
    "engine-haproxy-west": ("balancer:edge-west",),
    "engine-patroni-n2": ("patroni:orders/n2",),
    "engine-alertmanager": ("alerts:alertmanager",),
}
"""The sources behind each link that is tampered with."""
TROUBLES = {"blackhole": {"timeout"}, "refuse": {"unreachable"}, "garbage": {"error", "unreachable"}}
"""What each mode must be called."""


@pytest.fixture(scope="module")
def engine(lab: LabClient) -> Iterator[RealEngine]:
    """On the whole lab, with one more service that has Prometheus as its only witness."""
    tree = lab_estate(lab)
    promise = {"tier": 3, "rto": "1h", "rpo": "1MB", "owners": ["you"]}
    tree["services"]["lonely"] = {**promise, "metrics": {"monitors": ["prometheus"], "service": "checkout"}}
    with engine_home(tree) as running:
        asyncio.run(running.start())
        yield running
        running.end()


async def ages(engine: RealEngine) -> dict[str, float | None]:
    """The age of every source now."""
    header, hello = await engine.client.view("header"), await engine.client.hello()
    return {k: None if s.mono is None else hello.mono - s.mono for k, s in header.sources.items()}


async def fresh(engine: RealEngine, *but: str) -> bool:
    sources = (await engine.client.view("header")).sources
    now = await ages(engine)
    return all(age is not None and age <= sources[key].limit for key, age in now.items() if key not in but)


async def services(engine: RealEngine) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = (await engine.client.view("overview")).services
    return found


async def watch(engine: RealEngine, broken: set[str]) -> None:
    """For a while: every other source stays young."""
    loop = asyncio.get_running_loop()
    end = loop.time() + WATCHED
    while loop.time() < end:
        limits = {key: row.limit for key, row in (await engine.client.view("header")).sources.items()}
        for key, age in (await ages(engine)).items():
            assert key in broken or (age is not None and age <= limits[key]), f"{key} is {age} s old"
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "modes",
    [
        ("blackhole", "refuse", "garbage", "blackhole"),
        ("refuse", "garbage", "blackhole", "garbage"),
        ("garbage", "blackhole", "refuse", "refuse"),
    ],
    ids=["prometheus-hangs", "prometheus-refuses", "prometheus-lies"],
)
async def test_trap_21_bad_sources_slow_nobody_and_nothing_is_green_without_evidence(
    lab: LabClient, engine: RealEngine, modes: tuple[str, ...]
) -> None:
    set_to = dict(zip(TOUCHED, modes, strict=True))
    broken = {key for keys in TOUCHED.values() for key in keys}
    await until(lambda: fresh(engine), 30, "not everything is fresh to begin with")
    assert (await services(engine))["lonely"].health in ("pass", "warn", "fail")
    try:
        for link, mode in set_to.items():
            await lab.set_link(link, mode)
        await asyncio.sleep(3.5)  # past the age limit of what was read before
        await watch(engine, broken)
        sources = (await engine.client.view("header")).sources
        now = await ages(engine)
        for link, mode in set_to.items():
            for key in TOUCHED[link]:
                assert (now[key] or 99.0) > sources[key].limit, f"{key} looks young behind a link that is {mode}"
                assert sources[key].trouble in TROUBLES[mode], (key, sources[key])
        await nothing_green(engine)
    finally:
        for link in set_to:
            await lab.set_link(link, "pass")
    await until(lambda: fresh(engine), 20, "the sources did not come back")


async def nothing_green(engine: RealEngine) -> None:
    """What hangs on the broken sources alone is unknown; what has another witness says which."""
    found = await services(engine)
    assert found["lonely"].health == "unknown"
    assert found["lonely"].rate is None
    checkout = found["checkout"]
    assert (checkout.source, checkout.fallback) == ("metrics:apps", True)
    assert "prometheus: no data since" in checkout.message
    assert "scraped directly" in checkout.message
    assert checkout.health != "pass", "one of its balancers is not read"
    overview = await engine.client.view("overview")
    assert overview.alerts_health == "unknown"
    assert overview.alerts_message
    traffic = await engine.client.view("traffic")
    west = [row for row in traffic.backends.values() if row.balancer == "edge-west"]
    east = [row for row in traffic.backends.values() if row.balancer == "edge-east"]
    assert {row.health for row in west} == {"unknown"}
    assert "pass" in {row.health for row in east}
    assert not [r for r in traffic.servers.values() if r.balancer == "edge-west" and r.health == "pass"]
