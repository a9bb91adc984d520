"""Waiting for something to become true, with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from adapters.lab.errors import LabError


async def until(what: str, condition: Callable[[], Awaitable[bool]], limit: float, every: float = 0.1) -> float:
    """Call `condition` until it returns true. Returns the seconds it took; raises LabError after `limit` seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not await condition():
        if loop.time() - began > limit:
            raise LabError(f"{what}: not within {limit:.0f} s")
        await asyncio.sleep(every)
    return loop.time() - began
