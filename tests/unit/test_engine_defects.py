"""A defect in judging ends neither the engine's clock nor its journal: it is logged once, and later readings count."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from state.world.readings import BalancerReading
from tests.support.run_books import until
from tests.support.small_estate import change, small


class OddBalancer(MemoryBalancer):
    """While it is `odd` its readings have a form that nothing can judge."""

    odd: Any = None

    async def read(self, *, deadline: float) -> BalancerReading:
        reading = await super().read(deadline=deadline)
        if self.odd is None:
            return reading
        return replace(reading, servers={key: replace(s, weight=self.odd) for key, s in reading.servers.items()})


def told_by(loop: asyncio.AbstractEventLoop) -> list[str]:
    """What the loop's exception handler gets from now on: the engine's log."""
    told: list[str] = []

    def handle(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        told.append(str(context["message"]))

    loop.set_exception_handler(handle)
    return told


async def test_a_reading_that_cannot_be_judged_is_logged_once_and_the_engine_goes_on() -> None:
    told = told_by(asyncio.get_running_loop())
    balancer = OddBalancer("edge", {"shop": {"blue": 100, "green": 0}})
    async with small(balancer=balancer) as lab:
        balancer.odd = "much"
        await until(lambda: any("judging failed: TypeError" in line for line in told))
        with pytest.raises(TypeError):
            lab.engine.view("traffic")
        ticked = lab.engine._ticked
        await until(lambda: lab.engine._ticked > ticked + 1.0, 20)
        assert len([line for line in told if "judging failed" in line]) == 1, "four looks a second, one line"
        balancer.odd = None
        await until(lambda: lab.engine.world.fresh("balancer:edge", BalancerReading, lab.engine.mono()) is not None)
        await asyncio.sleep(0.6)
        assert lab.engine.view("traffic").servers
        run = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=9)))).run
        assert await lab.ended(run, 20) == "done"
        await balancer.set_weight("shop", "green", 0, deadline=1)
        await until(lambda: "drift.detected" in lab.kinds(), 20)
        assert (await lab.engine.journal_verify()).problem == ""
        balancer.odd = {}
        await until(lambda: len([line for line in told if "judging failed" in line]) == 2, 20)
