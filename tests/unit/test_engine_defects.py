"""A defect in judging ends neither the engine's clock nor its journal: it is logged once, and later readings count."""

from __future__ import annotations

import asyncio

import pytest

from adapters.balancers.memory import MemoryBalancer
from state.capabilities import added
from tests.support.defects import DEFECT, ODD, told_by
from tests.support.run_books import until
from tests.support.small_estate import change, small

pytestmark = pytest.mark.virtual_time


async def test_a_defect_in_judging_is_logged_once_and_the_engine_goes_on() -> None:
    told = told_by(asyncio.get_running_loop())
    with added(ODD):
        balancer = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})
        async with small(balancer=balancer) as lab:
            DEFECT.judging = "one"
            await until(lambda: any("judging failed: TypeError" in line for line in told))
            ticked = lab.engine._ticked
            await until(lambda: lab.engine._ticked > ticked + 1.0, 20)
            assert len([line for line in told if "judging failed" in line]) == 1, "four looks a second, one line"
            DEFECT.judging = ""
            await asyncio.sleep(0.6)
            assert lab.engine.view("traffic").servers
            run = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=9)))).run
            assert await lab.ended(run, 20) == "done"
            await balancer.set_weight("shop", "green", 0, deadline=1)
            await until(lambda: "drift.detected" in lab.kinds(), 20)
            assert (await lab.engine.journal_verify()).problem == ""
            DEFECT.judging = "two"
            await until(lambda: len([line for line in told if "judging failed" in line]) == 2, 20)
            DEFECT.judging = ""
