"""How old a value is: the poller's word, on which every age and every verdict stands."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from state.engine.poller import Poller
from state.world.readings import ProbeReading
from state.world.world import World
from tests.support.small_estate import LoopClock


@dataclass
class SlowSource:
    """Answers what it knew when it was asked, some time later."""

    key: str = "probe:slow"
    every: float = 5.0
    deadline: float = 5.0
    limit: float = 15.0

    async def read(self) -> ProbeReading:
        await asyncio.sleep(0.6)
        return ProbeReading("slow", 200, 0.6)

    async def close(self) -> None:
        return


async def test_a_value_is_no_younger_than_the_question_for_it() -> None:
    world, heard = World(), asyncio.Event()
    poller = Poller([SlowSource()], world, LoopClock(), lambda key, before, now: heard.set())
    poller.start()
    try:
        await asyncio.wait_for(heard.wait(), 10)
        now, seen = time.monotonic(), world.observed["probe:slow"]
        age = seen.age(now)
        assert age is not None
        assert age >= 0.55
        assert seen.at is not None
        assert time.time() - seen.at >= 0.55
    finally:
        await poller.close()
