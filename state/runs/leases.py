"""Leases: one run at a time acts on a target, with an epoch that only grows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from state.clock import Clock
from state.errors import Refused
from state.journal.events import Event
from state.journal.writer import Journal
from state.runs.events import LeaseTaken
from state.runs.fold import RunHistory
from state.runs.model import Run


class Leases:
    """Which run has the lease on which target, from the history of runs."""

    def __init__(self, history: RunHistory, journal: Journal, clock: Clock) -> None:
        self._history, self._journal, self._clock = history, journal, clock

    def require_free(self, targets: Iterable[str], *, but: str = "") -> None:
        """Refuse targets that another open run has leased; `but` is the run that may already have them."""
        wanted = set(targets)
        for run in self._history.open():
            shared = wanted & set(run.targets)
            if shared and run.id != but:
                raise Refused("lease", self._held(run, min(shared)), f"Wait for {run.id}, or stop it")

    def next_lease(self, run: str, person: str, targets: Sequence[str]) -> Event:
        """The entry by which a run takes its targets under the next epoch."""
        return Event(LeaseTaken(self._history.epoch + 1, tuple(targets)), person, run=run)

    async def take(self, run: Run) -> None:
        """Take a run's targets under the next epoch. Raises JournalUnavailable."""
        await self._journal.append(self.next_lease(run.id, run.actor, run.targets))

    def _held(self, run: Run, target: str) -> str:
        age = max(0.0, self._clock.mono() - run.started_mono)
        return f"{run.actor} is running {run.id} ({run.title}) on {target}, started {age:.0f} s ago"
