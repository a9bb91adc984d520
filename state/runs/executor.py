"""Drives runs step by step. It only appends events; what a run is follows from them (`state.runs.fold`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from state.api.run_states import RunState, StepState
from state.checks.model import Answer
from state.clock import Clock
from state.errors import JournalUnavailable
from state.health import Health
from state.journal.events import Body, Event
from state.journal.writer import Journal
from state.runs.effects import Effects
from state.runs.events import (
    DecisionAsked,
    RunEnded,
    RunPaused,
    RunStopRequested,
    StepEnded,
    StepRetried,
    StepSkipped,
    StepStarted,
)
from state.runs.leases import Leases
from state.runs.model import Run, StepRun
from state.runs.steps import PlannedStep

LOOK = 0.25
"""Seconds between two evaluations of a check; it counts each reading once."""

AskCheck = Callable[[PlannedStep, float], Answer]
"""Evaluates a check step, with the monotonic instant before which readings do not count."""


class Undoer(Protocol):
    """Undoes what a failed run did, when its runbook says so."""

    async def undo(self, run: Run) -> None: ...


class NoUndo:
    """Used while there is no planner."""

    async def undo(self, run: Run) -> None:
        """Say that nothing was undone."""
        run.message = f"{run.message}; nothing was undone: this engine has no planner"


class Executor:
    """One task per open run; controls wake it. `undoer` plans the undo of failed runs."""

    def __init__(
        self,
        effects: Effects,
        journal: Journal,
        clock: Clock,
        ask: AskCheck,
        leases: Leases,
        actor: str,
    ) -> None:
        self._effects, self._journal, self._clock, self._ask = effects, journal, clock, ask
        self._leases, self._actor = leases, actor
        self.undoer: Undoer = NoUndo()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._restarted: set[str] = set()
        self._without_lease: set[str] = set()

    def start(self, run: Run, *, restarted: bool = False) -> None:
        """Start a run, or continue it after a restart."""
        if restarted:
            self._restarted.add(run.id)
            self._without_lease.add(run.id)
        self._wakes[run.id] = asyncio.Event()
        self._tasks[run.id] = asyncio.create_task(self._live(run), name=f"run {run.id}")

    def wake(self, run: str) -> None:
        """The run has changed: evaluate it again."""
        if run in self._wakes:
            self._wakes[run].set()

    def after_suspension(self) -> None:
        """This process was suspended for a while: what was confirmed before may no longer be wanted."""
        self._restarted |= set(self._tasks)

    def confirmed(self, run: str) -> None:
        """A person confirmed to continue after a restart."""
        self._restarted.discard(run)

    async def close(self) -> None:
        """Leave every run in its current state, which the journal has recorded."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _live(self, run: Run) -> None:
        """Drive the run; while the journal cannot be written nothing starts, and it retries."""
        while not run.ended:
            try:
                await self._drive(run)
            except JournalUnavailable as error:
                run.message = f"waiting for the journal: {error}"
                await asyncio.sleep(1.0)
            except Exception as error:  # noqa: BLE001 boundary: a defect pauses the run where it is
                await self._hold_after_error(run, f"an error in the engine: {type(error).__name__}: {error}")

    async def _hold_after_error(self, run: Run, message: str) -> None:
        """Pause the run. A step that had sent nothing has failed; an effect in doubt is read again by `_recover`."""
        run.message = message
        await asyncio.sleep(1.0)
        try:
            for step in run.all_steps():
                if step.state is StepState.RUNNING and step.intent is None:
                    await self._end(run, step, StepState.FAILED, message, ())
            if run.state is not RunState.PAUSED:
                await self._event(run, RunPaused(message))
        except JournalUnavailable as error:
            run.message = f"{message}; waiting for the journal: {error}"

    async def _drive(self, run: Run) -> None:
        if run.id in self._without_lease:
            await self._leases.take(run)
            self._without_lease.discard(run.id)
        await self._recover(run)
        while not run.ended:
            step = run.next()
            if run.stopping:
                await self._finish(run, RunState.STOPPED, "stopped; the completed steps are listed with their evidence")
            elif step is None:
                await self._finish(run, RunState.DONE, "every step is done and verified")
            elif run.state is RunState.PAUSED:
                await self._sleep(run)
            elif self._held(run, step):
                await self._after(run, [step])
            else:
                group = [s for s in run.group(step) if not (run.settled(s) or self._held(run, s))]
                if not await self._hold_after_restart(run, group):
                    await self._together(run, group)
                    await self._after(run, group)

    async def _together(self, run: Run, group: list[PlannedStep]) -> None:
        """Carry out the steps of a group; every one ends, whatever happens to another, before the run continues."""
        for met in await asyncio.gather(*(self._step(run, s) for s in group), return_exceptions=True):
            if met is not None:
                raise met

    async def _recover(self, run: Run) -> None:
        """After a crash: effects in doubt are classified by reading; a step that had sent nothing starts again."""
        settled: list[PlannedStep] = []
        for step in run.all_steps():
            if step.in_doubt:
                await self._effects.reconcile(run, step)
                settled.append(step.step)
            elif step.intent is not None and step.seconds is None:
                await self._end(run, step, step.state, step.message, step.evidence)
                settled.append(step.step)
            elif step.state is StepState.RUNNING and run.stopping:
                await self._end(run, step, StepState.STOPPED, "stopped before anything was sent", ())
            elif step.state is StepState.RUNNING:
                reason = "the engine ended before anything was sent"
                await self._record(run, step, StepRetried(step.step.identity, step.step.facts, reason))
        await self._after(run, settled)

    async def _hold_after_restart(self, run: Run, group: list[PlannedStep]) -> bool:
        """A risky change is not sent by an engine that restarted or was suspended after a person confirmed it."""
        risky = next((s for s in group if s.do == "change" and s.risk == "B3"), None)
        if run.id not in self._restarted or risky is None:
            return False
        message = f"the engine restarted or was suspended after this was confirmed; resume to continue: {risky.title}"
        await self._event(run, RunPaused(message))
        return True

    def _held(self, run: Run, step: PlannedStep) -> bool:
        return run.latest(step.id).state in (StepState.FAILED, StepState.NOT_DONE, StepState.STOPPED)

    async def _sleep(self, run: Run) -> None:
        wake = self._wakes[run.id]
        await wake.wait()
        wake.clear()

    async def _step(self, run: Run, planned: PlannedStep) -> None:
        step = run.latest(planned.id)
        if step.state not in (StepState.PENDING, StepState.WAITING):
            return  # one instance is carried out once
        if step.state is StepState.PENDING:
            await self._record(run, step, StepStarted(planned.title))
        match planned.do:
            case "change":
                await self._effects.perform(run, step)
            case "check":
                await self._check(run, step)
            case "wait":
                await self._wait(run, step)
            case _:
                await self._decide(run, step)

    async def _check(self, run: Run, step: StepRun) -> None:
        """Ask until enough passes in a row, each from younger readings, or the timeout. Unknown is never a pass."""
        planned, started = step.step, self._clock.mono()
        good, counted, answer = 0, started, Answer(Health.UNKNOWN, ("no reading yet",))
        while not run.stopping:
            answer = self._ask(planned, started)
            if answer.health is not Health.PASS:
                good, counted = 0, started
            elif self._ask(planned, counted).health is Health.PASS:
                good, counted = good + 1, self._clock.mono()
            step.message = f"{answer.health.value}: {'; '.join(answer.evidence)}"
            if good >= planned.samples:
                await self._end(
                    run, step, StepState.DONE, f"pass, {good} of {planned.samples} in a row", answer.evidence
                )
                return
            if self._clock.mono() - started >= planned.timeout:
                why = "no data is never a pass" if answer.health is Health.UNKNOWN else "did not pass in time"
                message = f"{answer.health.value}: {why} ({planned.timeout:.0f} s)"
                await self._end(run, step, StepState.FAILED, message, answer.evidence)
                return
            await self._pause_until_wake(run, min(planned.every, LOOK))
        await self._end(run, step, StepState.STOPPED, "stopped", answer.evidence)

    async def _wait(self, run: Run, step: StepRun) -> None:
        until = self._clock.mono() + step.step.timeout
        while not run.stopping and (left := until - self._clock.mono()) > 0:
            await self._pause_until_wake(run, left)
        await self._end(
            run, step, StepState.STOPPED if run.stopping else StepState.DONE, f"waited {step.step.timeout:.0f} s", ()
        )

    async def _pause_until_wake(self, run: Run, seconds: float) -> None:
        """Sleep; a control ends it early."""
        wake = self._wakes[run.id]
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
            wake.clear()
        except TimeoutError:
            return

    async def _decide(self, run: Run, step: StepRun) -> None:
        """Ask people and wait; the answer is an event made by `control`."""
        planned = step.step
        if step.state is not StepState.WAITING:
            await self._record(run, step, DecisionAsked(planned.question, tuple(planned.answers)))
        while not (run.stopping or step.choice):
            await self._sleep(run)
        if not step.choice:
            await self._end(run, step, StepState.STOPPED, "stopped without a decision", ())
            return
        meaning = planned.answers[
            step.choice
        ]  # applied before the step ends: after a crash in between it is applied again
        if meaning == "stop":
            await self._event(run, RunStopRequested(step.message))
        elif meaning != "continue":
            await self._skip_to(run, step, meaning)
        await self._end(run, step, StepState.DONE, step.message, ())

    async def _skip_to(self, run: Run, step: StepRun, target: str) -> None:
        end = next(s.index for s in run.steps if s.id == target)
        for planned in run.steps:
            if step.step.index < planned.index < end and not run.settled(planned):
                await self._record(run, run.latest(planned.id), StepSkipped(step.message))

    async def _after(self, run: Run, group: list[PlannedStep]) -> None:
        """Apply the failure policy of the steps that did not succeed."""
        for planned in group:
            step = run.latest(planned.id)
            if run.ended or run.stopping or step.state in (StepState.DONE, StepState.SKIPPED, StepState.PENDING):
                continue
            message = f"{planned.title}: {step.message}"
            policy = "pause" if step.state is StepState.STOPPED else planned.on_failure
            match policy:
                case "continue":
                    continue
                case "stop":
                    await self._finish(run, RunState.FAILED, message)
                case "undo":
                    message = f"{message}; the completed changes are being undone"
                    await self._finish(run, RunState.FAILED, message, undo=True)
                    await self.undoer.undo(run)
                case _:
                    await self._event(run, RunPaused(message))
            return

    async def _finish(self, run: Run, state: RunState, message: str, *, undo: bool = False) -> None:
        await self._event(run, RunEnded(state, message, undo))

    async def _end(self, run: Run, step: StepRun, state: StepState, message: str, evidence: tuple[str, ...]) -> None:
        await self._record(run, step, StepEnded(state, message, evidence))

    async def _record(self, run: Run, step: StepRun, body: Body) -> None:
        await self._journal.append(Event(body, self._actor, run=run.id, step=step.key))

    async def _event(self, run: Run, body: Body) -> None:
        await self._journal.append(Event(body, self._actor, run=run.id))
