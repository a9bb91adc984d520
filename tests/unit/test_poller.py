"""How old a value is: the poller's word, on which every age and every verdict stands."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest

from state.engine.poller import Poller
from state.errors import ReadFailure, Trouble
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


@dataclass
class GoneSource(SlowSource):
    """Fails for an hour, then answers."""

    every: float = 1.0
    steady: bool = True
    back_at: float = 3600.0

    async def read(self) -> ProbeReading:
        if asyncio.get_running_loop().time() < self.back_at:
            raise ReadFailure(Trouble.UNREACHABLE, "refused")
        return ProbeReading("slow", 200, 0.0)


@pytest.mark.virtual_time
async def test_trap_28_what_may_come_back_and_write_is_seen_within_two_polls_an_hour_later_too() -> None:
    loop = asyncio.get_running_loop()
    late = {}
    for steady in (True, False):
        world, heard = World(), asyncio.Event()
        source = GoneSource(steady=steady, back_at=loop.time() + 3600)
        poller = Poller(
            [source], world, LoopClock(), lambda key, before, now, heard=heard: heard.set() if now.value else None
        )
        poller.start()
        await heard.wait()
        late[steady] = loop.time() - source.back_at
        await poller.close()
    assert late[True] <= 2.0
    assert late[False] <= 5.5
