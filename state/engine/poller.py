"""Reads every source until it is closed: one read at a time per source, jitter, deadline, back-off without end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from state.clock import Clock
from state.errors import ReadFailure, Trouble
from state.ports.source import Source, Steady
from state.world.observed import Observed, ReadError
from state.world.readings import Reading
from state.world.shapes import misfit
from state.world.world import World

SLOWEST = 5.0
"""Seconds between attempts to read a source that keeps failing, unless it is steady."""
LONGEST_PLACE = 200

OnObserved = Callable[[str, Observed[Reading], Observed[Reading]], None]
"""Called with the source key, the observation before and the one now."""


class Poller:
    """Keeps a world current. A source that hangs delays only itself."""

    def __init__(self, sources: Sequence[Source], world: World, clock: Clock, on_observed: OnObserved) -> None:
        self._world, self._clock, self._on_observed = world, clock, on_observed
        self._sources = {source.key: source for source in sources}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        for source in sources:
            world.observed[source.key] = Observed(source.key, source.limit)

    def start(self) -> None:
        """Begin reading."""
        for source in self._sources.values():
            self._start(source)

    def _start(self, source: Source) -> None:
        self._tasks[source.key] = asyncio.create_task(self._poll(source), name=f"poll {source.key}")

    def renew(self, sources: Sequence[Source]) -> Coroutine[Any, Any, None]:
        """Read these sources from now on; those that are the same objects go on undisturbed, of others nothing is known
        yet. Returns what closes those that are left out."""
        fresh = {source.key: source for source in sources}
        gone = [source for key, source in self._sources.items() if fresh.get(key) is not source]
        tasks = [self._tasks.pop(source.key) for source in gone if source.key in self._tasks]
        for task in tasks:
            task.cancel()
        for source in gone:
            del self._world.observed[source.key]
        new = [source for key, source in fresh.items() if self._sources.get(key) is not source]
        self._sources = fresh
        for source in new:
            self._world.observed[source.key] = Observed(source.key, source.limit)
            self._start(source)
        return self._end(tasks, gone)

    async def close(self) -> None:
        """Stop reading and close every connection."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await self._end(tasks, list(self._sources.values()))

    async def _end(self, tasks: Sequence[asyncio.Task[None]], sources: Sequence[Source]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(s.close() for s in sources), return_exceptions=True)

    async def _poll(self, source: Source) -> None:
        await asyncio.sleep(random.random() * min(source.every, 0.2))  # noqa: S311 jitter, not a secret
        failures = 0
        while True:
            started, at = self._clock.mono(), self._clock.wall()  # a value is no younger than the question for it
            before = self._world.observed[source.key]
            try:
                async with asyncio.timeout(source.deadline + 0.25):
                    value = await source.read()
                _require_fitting(source.key, value, before.value)
                now = before.succeeded(value, at, started)
                failures = 0
            except ReadFailure as error:
                now = before.failed(ReadError(error.trouble, error.message, self._clock.wall()))
                failures += 1
            except TimeoutError:
                message = f"no answer within {source.deadline:.1f} s"
                now = before.failed(ReadError(Trouble.TIMEOUT, message, self._clock.wall()))
                failures += 1
            except Exception as error:  # noqa: BLE001 boundary: an adapter's defect must not end the polling of its source
                message = f"{type(error).__name__} in the adapter of {source.key}"
                now = before.failed(ReadError(Trouble.ERROR, message, self._clock.wall()))
                failures += 1
            self._world.observed[source.key] = now
            self._on_observed(source.key, before, now)
            steady = failures <= 1 or (isinstance(source, Steady) and source.steady)
            pause = source.every if steady else min(source.every * 1.5 ** min(failures, 8), SLOWEST)
            took = self._clock.mono() - started
            await asyncio.sleep(max(0.05, pause - took) * random.uniform(0.95, 1.05))  # noqa: S311


def _require_fitting(key: str, value: Reading, before: Reading | None) -> None:
    """Raise ReadFailure for an answer with a value of another kind: behind this point every value is what it seems."""
    where = misfit(value, before)
    if where is not None:
        place = f" at {where.lstrip('.')[:LONGEST_PLACE]}" if where else ""
        raise ReadFailure(Trouble.ERROR, f"{key}: the answer has a value of another kind than it must{place}")
