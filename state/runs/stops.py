"""Stops of runs: in force at once, also without a journal, and recorded as soon as it can be written."""

from __future__ import annotations

import asyncio

from state.api.caller import Caller
from state.errors import JournalUnavailable
from state.journal.events import Event, Recorded
from state.journal.writer import Journal
from state.runs.events import RunStopRequested
from state.runs.executor import Executor
from state.runs.fold import RunHistory
from state.runs.model import Run

AT_MOST = 0.7
"""Seconds for which whoever stops something waits for the disk."""


class Stops:
    """What nobody may refuse: a run starts nothing new. What could not be recorded is kept outside of the entries, so
    that the next engine does not go on with the run."""

    def __init__(self, history: RunHistory, journal: Journal, executor: Executor, actor: str) -> None:
        self._history, self._journal, self._executor, self._actor = history, journal, executor, actor
        self._waiting: dict[str, Event] = {}
        self._recording: set[asyncio.Future[Recorded]] = set()

    def halt(self, run: Run) -> None:
        """The run starts nothing new from now on; it is recorded later."""
        run.stopping = True
        self._executor.wake(run.id)

    async def stop(self, caller: Caller, run: Run, reason: str) -> str:
        """Start nothing new in a run; says what a restart makes of it where that could not be recorded."""
        self.halt(run)
        message = f"stopped by {caller.person or caller.account}" + (f": {reason}" if reason else "")
        event = Event(RunStopRequested(message), caller.person or caller.account, caller.session, run=run.id)
        recording = asyncio.ensure_future(self._journal.append(event))
        self._recording.add(recording)
        recording.add_done_callback(self._recording.discard)
        try:
            async with asyncio.timeout(AT_MOST):
                await asyncio.shield(recording)
        except TimeoutError:  # it is written when the disk answers again, or else as one that could not be
            recording.add_done_callback(lambda done: self._late(run, event, done))
            told = "not recorded yet: the disk of the journal does not answer"
            run.message = f"{message} ({told})"
            return told
        except JournalUnavailable:
            self._waiting[run.id] = event
            kept = self._journal.keep_stops([*self._waiting])
            lasts = "the next engine keeps to it" if kept else f"the next engine would go on with {run.id}"
            told = f"not recorded yet, {lasts}: {self._journal.unavailable}"
            run.message = f"{message} ({told})"
            return told
        return ""

    def _late(self, run: Run, event: Event, recording: asyncio.Future[Recorded]) -> None:
        if not recording.cancelled() and recording.exception() is not None:
            self._waiting[run.id] = event

    async def recall(self) -> None:
        """After a start: stops that an earlier engine could not record. Its runs start nothing."""
        for name in self._journal.kept_stops():
            run = self._history.runs.get(name)
            if run is not None and not run.ended and not run.stopping:
                run.stopping = True
                message = "stopped while the journal could not be written; recorded by the next engine"
                self._waiting[name] = Event(RunStopRequested(message), self._actor, run=name)
        await self.record(forget=True)

    async def record(self, *, forget: bool = False) -> None:
        """Record the stops that could not be recorded before, if that is possible now."""
        before = len(self._waiting)
        for name, event in list(self._waiting.items()):
            try:
                await self._journal.append(event)
            except JournalUnavailable:
                break
            del self._waiting[name]
        if forget or len(self._waiting) != before:
            self._journal.keep_stops([*self._waiting])
