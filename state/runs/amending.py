"""Looks after effects that ended as not done, or half done, without an answer: what is seen later amends the record.

A request may lie somewhere longer than anybody promised. So the target is read for some time after the outcome, and
when it shows the effect after all, that is a new entry: the former one stays. It ends as soon as another effect of this
engine is meant for the same target, since the reading could not tell the two apart then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from state.changes.model import Change, ChangeSpec, Finding, OfEffect, ReadBack
from state.clock import Clock
from state.errors import JournalUnavailable, NotFound, ReadFailure
from state.journal.events import Event
from state.journal.writer import Journal
from state.runs.effects import READ_DEADLINE, STATES
from state.runs.events import EffectAmended
from state.runs.fold import RunHistory
from state.runs.model import Run, StepRun

LOOK = 5.0
"""Seconds between two readings of one target; two in a row must agree."""
LONG = 1800.0
"""Seconds after an outcome in which its target is read."""
MOST = 64
"""The most effects looked after, the newest ones."""
BETTER = {Finding.NOT_DONE: (Finding.DONE, Finding.PARTIAL), Finding.PARTIAL: (Finding.DONE,)}
"""What is more than what was recorded."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step whose recorded outcome may still be overtaken."""

    run: Run
    step: StepRun


class Amending:
    """Reads the targets of such effects until they are safe to forget."""

    def __init__(
        self,
        build: Callable[[ChangeSpec], Change],
        history: RunHistory,
        journal: Journal,
        clock: Clock,
        actor: str,
    ) -> None:
        self._build, self._history, self._journal, self._clock = build, history, journal, clock
        self._actor = actor
        self._seen: dict[str, Finding] = {}

    async def watch(self) -> None:
        """As long as the engine lives."""
        while True:
            await asyncio.sleep(LOOK)
            for each in self.waiting():
                await self._look(each)

    def waiting(self) -> list[Waiting]:
        """The effects that are looked after now, newest first."""
        found: list[Waiting] = []
        steps = [(run, step) for run in self._history.runs.values() for step in run.all_steps() if step.intent]
        newest: dict[str, float] = {}
        for _, step in steps:
            for target in step.intent.targets if step.intent and step.intended else ():
                newest[target] = max(newest.get(target, 0.0), step.intended.at if step.intended else 0.0)
        for run, step in reversed(steps):
            if len(found) < MOST and self._open(step) and self._alone(step, newest):
                found.append(Waiting(run, step))
        return found

    def _open(self, step: StepRun) -> bool:
        if step.outcome is None or not step.unanswered or step.finding not in BETTER:
            return False
        return 0 <= self._clock.wall() - step.outcome.at < LONG

    def _alone(self, step: StepRun, newest: dict[str, float]) -> bool:
        """No effect was meant for its targets since."""
        assert step.intent is not None
        assert step.intended is not None
        return all(newest[target] <= step.intended.at for target in step.intent.targets)

    async def _look(self, waiting: Waiting) -> None:
        run, step = waiting.run, waiting.step
        found = await self._read(run, step)
        key, before = f"{run.id}/{step.key}", step.finding
        if before is None or found is None or found.finding not in BETTER.get(before, ()):
            self._seen.pop(key, None)
        elif self._seen.get(key) is not found.finding:
            self._seen[key] = found.finding
        elif waiting in self.waiting():  # nothing else was begun there meanwhile
            del self._seen[key]
            await self._amend(run, step, before, found)

    async def _read(self, run: Run, step: StepRun) -> ReadBack | None:
        assert step.intent is not None
        try:
            change = self._build(step.intent.change)
            if isinstance(change, OfEffect):
                change.effect = run.reference(step)
            return await change.read_back(step.intent.facts, deadline=READ_DEADLINE)
        except (ReadFailure, NotFound):
            return None

    async def _amend(self, run: Run, step: StepRun, former: Finding, found: ReadBack) -> None:
        message = (
            f"recorded as {former.value}, now it reads {found.finding.value}: it came late, or somebody else did it"
        )
        body = EffectAmended(
            step.effect, former, STATES[found.finding], found.finding, found.evidence, message, found.leaves
        )
        try:
            await self._journal.append(Event(body, self._actor, run=run.id, step=step.key))
        except JournalUnavailable:
            return  # the next look tries again
