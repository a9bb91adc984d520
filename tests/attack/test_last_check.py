"""A server that the balancer still sends requests to, though its last check failed: nothing relies on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.balancers.memory import MemoryBalancer
from state.api.requests import PlanRunbook
from state.world.balancer_parts import BalancerReading
from tests.support.small_estate import Small, change, flip, small

pytestmark = pytest.mark.virtual_time


class Ailing(MemoryBalancer):
    """Each server of `ill` is on its way down: `UP 2/3`; each of `dead` is down."""

    ill: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()

    async def read(self, *, deadline: float) -> BalancerReading:
        found = await super().read(deadline=deadline)
        servers = dict(found.servers)
        for name in self.ill:
            servers[f"shop/{name}"] = replace(servers[f"shop/{name}"], status="UP 2/3", failing=True)
        for name in self.dead:
            servers[f"shop/{name}"] = replace(servers[f"shop/{name}"], status="DOWN", up=False)
        return replace(found, servers=servers)


def ailing(green: int = 0) -> Ailing:
    return Ailing("edge", {"shop": {"blue": 100, "green": green}})


async def refused(lab: Small, request: object) -> dict[str, str]:
    card = await lab.preview(request)  # type: ignore[arg-type]
    return {each.rule: each.fact for each in card.refusals}


async def test_no_flip_leads_from_a_server_that_is_well_to_one_that_fails() -> None:
    edge = ailing()
    async with small(balancer=edge) as lab:
        assert await refused(lab, flip("green")) == {}
        edge.ill = ("green",)
        found = await refused(lab, flip("green"))
        assert list(found) == ["floor"]
        said = "0 of 2 servers would serve, shop needs at least 1; the last check failed: green (UP 2/3)"
        assert said in found["floor"]


async def test_the_last_one_that_is_well_is_not_taken_away_in_trust_on_one_that_fails() -> None:
    edge = ailing(green=100)
    async with small(balancer=edge) as lab:
        assert await refused(lab, change("server.drain", server="blue")) == {}
        edge.ill = ("green",)
        assert "floor" in await refused(lab, change("server.drain", server="blue"))
        assert await refused(lab, change("server.drain", server="green")) == {}, "it counts for nothing"


async def test_what_is_down_is_left_also_for_what_only_fails() -> None:
    edge = ailing()
    edge.ill, edge.dead = ("green",), ("blue",)
    async with small(balancer=edge) as lab:
        card = await lab.preview(flip("green"))
        assert card.refusals == ()
        told = {each.rule: each.fact for each in card.rules}
        assert "the last check failed: green (UP 2/3)" not in told["floor"]
        assert "green is ready" in told["make-before-break"]


async def test_it_is_not_proven_to_serve() -> None:
    steps = [
        {
            "id": "there",
            "check": "server.serving",
            "with": {"balancer": "edge", "backend": "shop", "server": "blue"},
            "for": "5s",
            "on_failure": "stop",
        }
    ]
    edge = ailing()
    edge.ill = ("blue",)
    async with small({"runbook": "look", "title": "Look", "steps": steps}, balancer=edge) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("look", {})))).run
        assert await lab.ended(run, 30) == "failed"
        step = next(iter(lab.engine.history.runs[run].all_steps()))
        assert "its last check failed (UP 2/3)" in "; ".join(step.evidence)
