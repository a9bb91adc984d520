"""What the projections detect by themselves, recorded with the instant at which it was."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from state.clock import Clock
from state.errors import JournalUnavailable
from state.journal.events import Event
from state.journal.projection import Folds
from state.journal.writer import Journal


class Noticing:
    """Asks the projections at every tick. What cannot be recorded now is kept, with its age, for the next one."""

    def __init__(self, folds: Folds, journal: Journal, clock: Clock) -> None:
        self._folds, self._journal, self._clock = folds, journal, clock
        self._waiting: list[tuple[float, Event]] = []
        self._defect = ""

    async def tick(self, now: float) -> None:
        """Record what is detected at this instant of the monotonic clock, after what waited."""
        self._waiting += [(now, event) for event in self._notice(now)]
        while self._waiting:
            noticed, event = self._waiting[0]
            try:
                await self._journal.append(replace(event, body=event.body.later(self._clock.mono() - noticed)))
            except JournalUnavailable:
                return
            self._waiting.pop(0)

    def _notice(self, now: float) -> list[Event]:
        """What was detected. A defect there ends neither the clock of the engine nor its journal: it is logged."""
        try:
            return self._folds.notice(now)
        except Exception as error:  # noqa: BLE001 boundary: the next reading may be one that it can judge
            if self._defect != (message := f"judging failed: {type(error).__name__}: {error}"):
                asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
            self._defect = message
            return []
