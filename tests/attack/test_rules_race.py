"""Changes that begin at one instant on different balancers: a rule over both is never broken by the two together."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import PlanRunbook
from state.errors import EffectUnknown, ReadFailure, Trouble
from state.ports.balancer import ServerState
from state.ports.target import Receipt
from state.world.balancer_parts import Server
from tests.support.small_estate import ESTATE, Small, small

pytestmark = pytest.mark.virtual_time
SITES = {"east": "edge", "west": "edge2"}


def two_sites(**rule: Any) -> dict[str, Any]:
    made = deepcopy(dict(ESTATE))
    made["sites"] = {"east": {}, "west": {}}
    made["balancers"]["edge2"] = {"kind": "memory", "site": "west"}
    traffic = made["services"]["shop"]["traffic"]
    traffic |= {"balancers": ["edge", "edge2"], "floor": 0}
    made["rules"] = {"one-site": {"service": "shop", **rule}}
    return made


async def serving(*balancers: MemoryBalancer) -> list[bool]:
    def takes(server: Server) -> bool:
        return not (server.drained or server.maintenance) and server.weight > 0

    return [any(map(takes, await each.read_backend("shop", deadline=1))) for each in balancers]


class Far(MemoryBalancer):
    """One whose answers take a while, as over a network."""

    async def read_backend(self, backend: str, *, deadline: float) -> tuple[Server, ...]:
        found = await super().read_backend(backend, deadline=deadline)
        await asyncio.sleep(0.2)
        return found


def one(name: str) -> MemoryBalancer:
    return Far(name, {"shop": {"blue": 100}})


def leave(site: str, rest: float) -> dict[str, Any]:
    args = {"balancer": SITES[site], "backend": "shop", "server": "blue"}
    steps = [{"id": "rest", "wait": f"{rest:g}s"}, {"id": "out", "change": "server.drain", "with": args}]
    return {"runbook": f"leave-{site}", "title": f"Leave {site}", "steps": steps}


@pytest.mark.parametrize("behind", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
async def test_two_consoles_that_empty_two_sites_at_once(behind: float) -> None:
    """Each card is right for itself; one acts some time behind the other, also while that one reads."""
    west, books = one("edge2"), (leave("east", 5.4), leave("west", 5 + behind))
    async with small(*books, estate=two_sites(sites_on=1), balancer=one("edge"), more=[west]) as lab:
        cards = [await lab.preview(PlanRunbook(f"leave-{site}", {})) for site in SITES]
        assert [card.refusals for card in cards] == [(), ()]
        runs = [(await lab.submit(card)).run for card in cards]
        assert sorted([await lab.ended(run, 30) for run in runs]) == ["done", "paused"]
        assert sorted(await serving(lab.balancer, west)) == [False, True]


async def test_two_steps_of_one_run_at_once() -> None:
    west = one("edge2")
    args = {"balancer": "${edge}", "backend": "shop", "server": "blue"}
    out = {"id": "out", "change": "server.drain", "with": args, "on_failure": "continue"}
    loop = {"id": "all", "each": ["edge", "edge2"], "as": "edge", "at_once": 2, "steps": [out]}
    book = {"runbook": "all-out", "title": "All out", "steps": [{"id": "rest", "wait": "1s"}, loop]}
    async with small(book, estate=two_sites(sites_on=1), balancer=one("edge"), more=[west]) as lab:
        card = await lab.preview(PlanRunbook("all-out", {}))
        assert [refused.rule for refused in card.refusals] == ["safety"], "the card of both sees it already"
        assert await serving(lab.balancer, west) == [True, True]


class Lost(Far):
    """One that takes a command, answers nothing, and is not heard of any more."""

    lost = False

    async def set_state(self, backend: str, server: str, state: ServerState, *, deadline: float) -> Receipt:
        self.lost = True
        raise EffectUnknown("the connection was lost", "lost")

    async def read_backend(self, backend: str, *, deadline: float) -> tuple[Server, ...]:
        if self.lost:
            raise ReadFailure(Trouble.ERROR, "no answer")
        return await super().read_backend(backend, deadline=deadline)


async def test_what_is_judged_by_an_effect_in_doubt_is_not_sent() -> None:
    """Also where it could be judged: the effect may still arrive."""
    west, books = one("edge2"), (leave("east", 5.0), leave("west", 6.0))
    lost = Lost("edge", {"shop": {"blue": 100}})
    async with small(*books, estate=two_sites(sites_on=1), balancer=lost, more=[west]) as lab:
        east, after = [(await lab.submit(await lab.preview(PlanRunbook(f"leave-{site}", {})))).run for site in SITES]
        assert await lab.ended(after, 60) == "paused"
        assert f"what became of {east}/out#1" in lab.engine.history.runs[after].message
        assert await serving(west) == [True]
        lost.lost = False
        assert await lab.ended(east, 120) == "paused", "nothing was done there, as its readings say now"


class Silent(Far):
    """One behind a way on which a command may still be: it answers nothing, and all that is read is as before."""

    direct = False

    async def set_state(self, backend: str, server: str, state: ServerState, *, deadline: float) -> Receipt:
        raise EffectUnknown("the connection was lost", "lost")


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_may_still_arrive_is_waited_for_also_after_a_restart(restarted: bool) -> None:
    rules = two_sites(sites_on=1)
    rules["policies"] = {**rules["policies"], "delivery": "60s"}
    east, west, store = Silent("edge", {"shop": {"blue": 100}}), one("edge2"), MemoryJournal()
    books, both = (leave("east", 1.0), leave("west", 0.1)), {"balancer": east, "more": [west], "store": store}
    async with small(*books, estate=rules, **both) as lab:
        sent = (await lab.submit(await lab.preview(PlanRunbook("leave-east", {})))).run
        while (step := lab.engine.history.runs[sent].latest("out")).answered == "":
            await asyncio.sleep(0.05)
        if not restarted:
            return await held_back(lab, sent)
    async with small(*books, estate=rules, **both) as lab:
        await held_back(lab, sent)
    assert step.intent is not None


async def held_back(lab: Small, sent: str) -> None:
    after = (await lab.submit(await lab.preview(PlanRunbook("leave-west", {})))).run
    assert await lab.ended(after, 30) == "paused"
    assert f"what became of {sent}/out#1" in lab.engine.history.runs[after].message
