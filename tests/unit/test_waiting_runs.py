"""Which runs need a person, on the whole engine in memory: a question with its clock, until it is answered."""

from __future__ import annotations

import pytest

from state.api.requests import Decide
from state.api.run_states import RunState
from tests.support.small_estate import COMMANDER, small
from tests.unit.test_engine_safety import asking, started, until

pytestmark = pytest.mark.virtual_time


async def test_a_question_is_in_the_header_with_whom_it_asks_and_its_clock_until_it_is_answered() -> None:
    async with small(asking({"go": "continue", "no": "stop"})) as lab:
        assert lab.engine.view("header").waiting == {}
        run = await started(lab)
        assert await lab.ended(run) == "waiting"
        [row] = lab.engine.view("header").waiting.values()
        assert (row.run, row.state, row.step, row.instance) == (run, RunState.WAITING, "q", 1)
        assert row.question == "Go on?"
        assert row.asks
        assert row.limit is not None
        assert row.started_mono is not None
        assert row.started_mono <= lab.engine.mono()
        await lab.engine.control(COMMANDER, run, Decide("go", "q"))
        await until(lambda: not lab.engine.view("header").waiting)
