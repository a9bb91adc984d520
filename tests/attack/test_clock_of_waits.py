"""A wall clock that jumps neither lets a change through before its time nor holds something temporary longer."""

from __future__ import annotations

import asyncio

import pytest

from state.api.requests import PlanShare
from tests.support.small_estate import ESTATE, LoopClock, change, small

pytestmark = pytest.mark.virtual_time


class Jumping(LoopClock):
    """A wall clock that can be set."""

    off = 0.0

    def wall(self) -> float:
        return super().wall() + self.off


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
async def test_a_rule_about_time_goes_by_time_that_has_passed(jump: float) -> None:
    clock = Jumping()
    tree = {**ESTATE, "rules": {"calm": {"service": "shop", "wait": "10m"}}}
    async with small(every=5.0, estate=tree, clock=clock) as lab:
        weight = change("server.weight", server="green", weight=10)
        run = (await lab.submit(await lab.preview(weight))).run
        assert await lab.ended(run) == "done"
        clock.off = jump
        again = change("server.weight", server="green", weight=20)
        await asyncio.sleep(300)
        assert [r.own for r in (await lab.preview(again)).rules if not r.passed] == ["calm"]
        await asyncio.sleep(310)
        assert not (await lab.preview(again)).refusals


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
async def test_something_temporary_lasts_as_long_as_was_said(jump: float) -> None:
    clock = Jumping()
    async with small(every=5.0, clock=clock) as lab:
        share = PlanShare(service="shop", to="green", percent=50, lasts=600.0, comment="try it")
        await lab.submit(await lab.preview(share))
        await asyncio.sleep(60)
        clock.off = jump
        await asyncio.sleep(500)
        assert await lab.weights() == {"blue": 50, "green": 50}
        await asyncio.sleep(60)
        assert await lab.weights() == {"blue": 100, "green": 0}
