"""What is down, what must still work, what must be refused or marked: the matrix of dependencies, on the real lab.

One cell is one test; what needs no lab is proven elsewhere (docs/reliability.md has the whole table).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.lab.client import LabClient
from state.api.requests import PlanChange
from state.errors import RecoveryError, Refused
from tests.crash.targets import Truth
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("monitors")]

MONITORS = ("engine-prometheus", "engine-alertmanager")
NODES = ("n1", "n2", "n3")
WEIGHT = {"balancer": "edge-east", "backend": "catalog", "server": "b"}


@asynccontextmanager
async def down(lab: LabClient, *links: str, mode: str = "blackhole") -> AsyncIterator[None]:
    """While it lasts these links carry nothing."""
    try:
        for link in links:
            await lab.set_link(link, mode)
        yield
    finally:
        for link in links:
            await lab.set_link(link, "pass")


async def acts(engine: RealEngine, lab: LabClient, weight: int) -> None:
    """A change is previewed, confirmed, sent and proven; then taken back past the engine."""
    run = await engine.act("server.weight", **WEIGHT, weight=weight)
    try:
        assert (await engine.settled(run, 60)).state == "done"
        assert (await Truth(lab).servers("east", "catalog"))["b"][0] == weight
    finally:
        await Truth(lab).haproxy("east", "set server catalog/b weight 100")


async def well(engine: RealEngine) -> bool:
    sources = (await engine.client.view("header")).sources
    hello = await engine.client.hello()
    return all(s.mono is not None and hello.mono - s.mono <= s.limit for s in sources.values())


async def cut(engine: RealEngine, *begins: str) -> None:
    """Wait until what is down is old; what is not stays young."""

    async def old() -> bool:
        sources = (await engine.client.view("header")).sources
        mono = (await engine.client.hello()).mono
        aged = {k for k, s in sources.items() if s.mono is None or mono - s.mono > s.limit}
        return bool(aged) and all(any(k.startswith(b) for k in aged) for b in begins)

    await until(old, 60, f"{begins} are not seen to be down")


async def refusals(engine: RealEngine, to: str) -> list[str]:
    """The rules that refuse a switchover; the message where there is not even a card."""
    try:
        card = await engine.plan(PlanChange("database.switchover", {"database": "orders", "to": to}))
    except RecoveryError as error:
        return [str(error)]
    return [refusal.rule for refusal in card.refusals]


async def test_name_server_down(lab: LabClient, engine: RealEngine) -> None:
    await until(lambda: well(engine), 120, "not everything is fresh to begin with")
    async with down(lab, "engine-dns"):
        await cut(engine, "dns:")
        await acts(engine, lab, 41)
        records = (await engine.client.view("traffic")).dns.values()
        assert records
        assert {row.health for row in records} == {"unknown"}


async def test_prometheus_and_alertmanager_down(lab: LabClient, engine: RealEngine) -> None:
    await until(lambda: well(engine), 120, "not everything is fresh to begin with")
    async with down(lab, *MONITORS):
        await cut(engine, "metrics:prometheus", "alerts:")
        await acts(engine, lab, 42)
        overview: Any = await engine.client.view("overview")
        assert overview.alerts_health == "unknown"
        assert overview.services["checkout"].fallback, "figures come from the instances themselves"


async def test_one_patroni_api_down(lab: LabClient, engine: RealEngine) -> None:
    await until(lambda: well(engine), 120, "not everything is fresh to begin with")
    leader, _ = await Truth(lab).writer()
    other = next(name for name in sorted(await Truth(lab).postgres()) if name != leader)
    async with down(lab, f"engine-patroni-{leader}"):
        await cut(engine, f"patroni:orders/{leader}")
        await acts(engine, lab, 43)
        assert await refusals(engine, other), "a switchover goes to the leader's own API"
        nodes = (await engine.client.view("replication")).nodes
        assert nodes[f"orders/{leader}"].health != "pass"
        assert nodes[f"orders/{leader}"].role, "the server itself is still read"


async def test_every_patroni_api_down(lab: LabClient, engine: RealEngine) -> None:
    await until(lambda: well(engine), 120, "not everything is fresh to begin with")
    leader, _ = await Truth(lab).writer()
    other = next(name for name in sorted(await Truth(lab).postgres()) if name != leader)
    async with down(lab, *(f"engine-patroni-{n}" for n in NODES)):
        await cut(engine, *(f"patroni:orders/{n}" for n in NODES))
        await acts(engine, lab, 44)
        assert await refusals(engine, other)
        clusters = (await engine.client.view("replication")).clusters
        assert clusters["orders"].health != "pass"


async def test_one_balancer_down(lab: LabClient, engine: RealEngine) -> None:
    await until(lambda: well(engine), 120, "not everything is fresh to begin with")
    async with down(lab, "engine-haproxy-west"):
        await cut(engine, "balancer:edge-west")
        await acts(engine, lab, 45)
        with pytest.raises(Refused, match="fresh-readings: edge-west"):
            await engine.plan(PlanChange("server.weight", {**WEIGHT, "balancer": "edge-west", "weight": 46}))


async def test_an_engine_starts_and_acts_with_everything_down_but_its_target(lab: LabClient) -> None:
    links = [*MONITORS, "engine-dns", "engine-haproxy-west", *(f"engine-patroni-{n}" for n in NODES)]
    links += [f"engine-postgres-{n}" for n in NODES]
    async with down(lab, *links):
        with engine_home(lab_estate(lab)) as alone:
            await alone.start()
            await acts(alone, lab, 47)
            overview = await alone.client.view("overview")
            assert overview.alerts_health == "unknown"
            assert {row.health for row in (await alone.client.view("replication")).nodes.values()} <= {
                "unknown",
                "fail",
            }
            alone.end()
