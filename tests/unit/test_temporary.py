"""A temporary share ends by itself, at its time, whatever ended meanwhile; a set is all or nothing, or a named part."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import Pause, PlanEvacuate, PlanSet, PlanShare, Skip
from state.api.run_states import RunState, StepState
from state.errors import EffectRefused, Refused
from state.ports.target import Receipt
from state.runs.offers import offers
from tests.support.small_estate import COMMANDER, ESTATE, small

pytestmark = pytest.mark.virtual_time


def weight(server: str, value: int) -> dict[str, Any]:
    return {"kind": "server.weight", "args": {"balancer": "edge", "backend": "shop", "server": server, "weight": value}}


def share(percent: int, **more: Any) -> PlanShare:
    return PlanShare(service="shop", to="green", percent=percent, **more)


async def test_a_temporary_share_needs_a_comment_and_says_until_when() -> None:
    async with small() as lab:
        with pytest.raises(Refused, match="comment"):
            await lab.preview(share(25, lasts=600.0))
        card = await lab.preview(share(25, lasts=600.0, comment="try v42"))
        assert card.title == "Give green 25% of shop for 10:00: try v42"
        assert str(card.diffs[0]) == "edge/shop share of green: 0.0% → 25.0%"


async def test_it_ends_at_its_time() -> None:
    async with small(every=1.0) as lab:
        accepted = await lab.submit(await lab.preview(share(50, lasts=600.0, comment="try v42")))
        await asyncio.sleep(590)
        assert await lab.weights() == {"blue": 50, "green": 50}
        await asyncio.sleep(20)
        assert await lab.ended(accepted.run) == "done"
        assert await lab.weights() == {"blue": 100, "green": 0}
        assert not lab.engine.history.runs[accepted.run].undos(), "it has taken back what it did"


@pytest.mark.parametrize(("down", "told"), [(60.0, False), (3600.0, True)])
async def test_it_ends_though_the_engine_was_killed_and_an_overrun_is_told(down: float, told: bool) -> None:
    balancer, store = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}}), MemoryJournal()
    async with small(every=1.0, balancer=balancer, store=store) as lab:
        accepted = await lab.submit(await lab.preview(share(50, lasts=600.0, comment="try v42")))
        await asyncio.sleep(30)
    await asyncio.sleep(down)
    assert {s.name: s.weight for s in await balancer.read_backend("shop", deadline=1)} == {"blue": 50, "green": 50}
    async with small(every=1.0, balancer=balancer, store=store) as lab:
        if not told:
            await asyncio.sleep(540)
        assert await lab.ended(accepted.run, 60) == "done"
        assert await lab.weights() == {"blue": 100, "green": 0}
        message = lab.engine.history.runs[accepted.run].latest("over").message
        assert ("it was over" in message) is told, message
        if told:
            assert "it was over 50:2" in message


async def test_a_person_ends_it_early() -> None:
    async with small(every=1.0) as lab:
        accepted = await lab.submit(await lab.preview(share(50, lasts=600.0, comment="try v42")))
        await asyncio.sleep(30)
        await lab.engine.control(COMMANDER, accepted.run, Pause())
        await lab.engine.control(COMMANDER, accepted.run, Skip("over#1", "it works"))
        await asyncio.sleep(10)
        assert lab.engine.history.runs[accepted.run].ended
        assert await lab.weights() == {"blue": 100, "green": 0}


class Stubborn(MemoryBalancer):
    """Takes no weight for one server."""

    def __init__(self, *servers: str) -> None:
        super().__init__("edge", {"shop": {"blue": 100, "green": 0}, "blog": {"blue": 100, "green": 100}})
        self.refuses = set(servers)

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt:
        if f"{backend}/{server}" in self.refuses:
            raise EffectRefused(f"{server} takes no weight", "refused")
        return await super().set_weight(backend, server, weight, deadline=deadline)


BLOG = {"kind": "server.weight", "args": {"balancer": "edge", "backend": "blog", "server": "green", "weight": 1}}


async def test_a_set_of_which_one_fails_is_undone() -> None:
    async with small(balancer=Stubborn("blog/green")) as lab:
        accepted = await lab.submit(await lab.preview(PlanSet(title="both", changes=(weight("green", 50), BLOG))))
        assert await lab.ended(accepted.run) == "failed"
        run = lab.engine.history.runs[accepted.run]
        assert run.message.startswith("1 of 2 of the set are as wanted. Set weight of edge/blog/green to 1: not done")
        while not run.undone:
            await asyncio.sleep(0.05)
        assert await lab.weights() == {"blue": 100, "green": 0}


async def test_a_set_that_keeps_its_part_is_a_named_state_with_next_actions() -> None:
    balancer = Stubborn("blog/green")
    async with small(balancer=balancer) as lab:
        request = PlanSet(title="both", changes=(weight("green", 50), BLOG), keep=True)
        accepted = await lab.submit(await lab.preview(request))
        assert await lab.ended(accepted.run) == "paused"
        run = lab.engine.history.runs[accepted.run]
        assert run.state is RunState.PAUSED
        assert run.message.startswith("1 of 2 of the set are as wanted. ")
        assert list(offers(run)) == ["retry", "skip", "stop"]
        assert await lab.weights() == {"blue": 100, "green": 50}


async def test_what_adds_servers_comes_before_what_takes_them_away() -> None:
    async with small() as lab:
        card = await lab.preview(PlanSet(title="swap", changes=(weight("blue", 0), weight("green", 100))))
        assert not card.refusals
        accepted = await lab.submit(card)
        assert await lab.ended(accepted.run) == "done"
        kinds = [s.title for s in lab.engine.history.runs[accepted.run].steps]
        assert kinds == ["Set weight of edge/shop/green to 100", "Set weight of edge/shop/blue to 0"]
        assert lab.engine.history.runs[accepted.run].latest("change-2").state is StepState.DONE


def sited() -> dict[str, Any]:
    made = deepcopy(dict(ESTATE))
    made["sites"]["west"] = {}
    made["services"]["shop"]["traffic"]["colours"] = {"blue": {"release": "v41"}, "green": {"site": "west"}}
    return made


async def test_a_site_is_evacuated_and_comes_back() -> None:
    balancer = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 100}})
    async with small(balancer=balancer, estate=sited()) as lab:
        accepted = await lab.submit(await lab.preview(PlanEvacuate(site="east")))
        assert await lab.ended(accepted.run) == "done"
        assert await lab.weights() == {"blue": 0, "green": 100}
        with pytest.raises(Refused, match="no backend has servers at east with a weight"):
            await lab.preview(PlanEvacuate(site="east"))
        refused = await lab.preview(PlanEvacuate(site="west"))
        assert [r.rule for r in refused.refusals] == ["floor"], "nothing would be left"
