"""How long one step holds the event loop, in units of work: the same on a fast and on a slow machine."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MOST = 20.0
"""Units that one step may take: about 100 ms of this program's own work where the figures were taken, of which the
promise is the half. What the tests guard against took 100 units and more."""


def unit() -> float:
    """The processor time of a fixed piece of work, about 5 ms."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        total = 0
        for number in range(100_000):
            total += number & 7
        best = min(best, time.process_time() - began)
    return best


class Heartbeat:
    """The longest step so far: `seconds` of processor time between two turns of the loop, and `units` of work."""

    def __init__(self) -> None:
        self.unit, self.seconds, self.beats = unit(), 0.0, 0

    @property
    def units(self) -> float:
        return self.seconds / self.unit

    async def beat(self) -> None:
        before = time.process_time()
        while True:
            await asyncio.sleep(0)
            now = time.process_time()
            self.seconds = max(self.seconds, now - before)
            before, self.beats = now, self.beats + 1


@asynccontextmanager
async def heartbeat() -> AsyncIterator[Heartbeat]:
    """While it is open, every step of the loop is measured."""
    gc.collect()
    gc.freeze()  # as the engine does: what was there before is not looked through again
    made = Heartbeat()
    task = asyncio.create_task(made.beat())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gc.unfreeze()
