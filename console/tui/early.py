"""The stream of the engine, requested before Textual is imported: the answer is there for the first frame."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from console.client.engine_client import Connected, EngineClient, Line, Lost
from state.capabilities import topics

HELLO_WAIT = 0.03
"""Seconds the engine has to answer hello before the rest of the program is loaded; it usually needs a tenth."""
MOST_WAITING = 64

StreamItem = Connected | Line | Lost


class EarlyStream:
    """The items of `EngineClient.follow`, from before the app exists."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._told: asyncio.Queue[StreamItem] = asyncio.Queue(MOST_WAITING)
        self._first = asyncio.Event()
        self._task = asyncio.create_task(self._pump(), name="early-stream")

    async def begin(self) -> None:
        """Run until the engine has answered hello and its views are requested, or the time is over."""
        try:
            async with asyncio.timeout(HELLO_WAIT):
                await self._first.wait()
        except TimeoutError:
            return
        for _ in range(5):  # connect, write, drain: what the loop does by itself before it waits for the answer
            await asyncio.sleep(0)

    async def follow(self) -> AsyncIterator[StreamItem]:
        """All items so far and from now on."""
        while True:
            if self._task.done() and self._told.empty():
                await self._task
                return
            yield await self._told.get()

    async def close(self) -> None:
        """Stop following."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _pump(self) -> None:
        async for told in self._client.follow(tuple(topics())):
            self._first.set()
            await self._told.put(told)
