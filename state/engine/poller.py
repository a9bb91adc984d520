"""Reads every source until it is closed: one read at a time per source, jitter, deadline, back-off without end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from state.clock import Clock
from state.errors import ReadFailure, Trouble
from state.ports.source import Source
from state.world.observed import Observed, ReadError
from state.world.readings import Reading
from state.world.world import World

SLOWEST = 5.0
"""Seconds between attempts to read a source that keeps failing."""

OnObserved = Callable[[str, Observed[Reading], Observed[Reading]], None]
"""Called with the source key, the observation before and the one now."""


class Poller:
    """Keeps a world current. A source that hangs delays only itself."""

    def __init__(self, sources: Sequence[Source], world: World, clock: Clock, on_observed: OnObserved) -> None:
        self._sources, self._world, self._clock, self._on_observed = sources, world, clock, on_observed
        self._tasks: list[asyncio.Task[None]] = []
        for source in sources:
            world.observed[source.key] = Observed(source.key, source.limit)

    def start(self) -> None:
        """Begin reading."""
        self._tasks = [asyncio.create_task(self._poll(s), name=f"poll {s.key}") for s in self._sources]

    async def close(self) -> None:
        """Stop reading and close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(s.close() for s in self._sources), return_exceptions=True)

    async def _poll(self, source: Source) -> None:
        await asyncio.sleep(random.random() * min(source.every, 0.2))  # noqa: S311 jitter, not a secret
        failures = 0
        while True:
            started, at = self._clock.mono(), self._clock.wall()  # a value is no younger than the question for it
            before = self._world.observed[source.key]
            try:
                async with asyncio.timeout(source.deadline + 0.25):
                    value = await source.read()
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
            pause = min(source.every * 1.5 ** min(failures, 8), SLOWEST) if failures > 1 else source.every
            took = self._clock.mono() - started
            await asyncio.sleep(max(0.05, pause - took) * random.uniform(0.95, 1.05))  # noqa: S311
