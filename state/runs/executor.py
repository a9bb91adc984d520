"""Drives runs step by step. It only appends events; what a run is follows from them (`state.runs.fold`)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from state.api.run_states import RunState, StepState
from state.clock import Clock
from state.errors import JournalUnavailable
from state.journal.events import Body, Event
from state.journal.writer import Journal
from state.runs.asking import AskCheck, Asking, skip_to
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
from state.runs.model import HELD, Run, StepRun
from state.runs.temporary import stays
from state.units import clock

OVERRUN = 2.0
"""Seconds by which a wait may end late before that is told: no engine ran meanwhile."""


MOST_TRIALS = 5
"""So many times something temporary is taken back by itself where each time nothing arrived."""
STOPPED = "stopped; the completed steps are listed with their evidence"
STAYS = "stopped before its end: what was to be temporary stays as it is now, until its undo or another change"


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
        self._effects, self._journal, self._clock = effects, journal, clock
        self._asking = Asking(ask, clock, self._record, self._woken)
        self._leases, self._actor = leases, actor
        self.undoer: Undoer = NoUndo()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._restarted: set[str] = set()
        self._without_lease: set[str] = set()
        self._reading: set[str] = set()

    def start(self, run: Run, *, restarted: bool = False) -> None:
        """Start a run, or continue it after a restart."""
        if restarted:
            self._restarted.add(run.id)
            self._without_lease.add(run.id)
        self._wakes[run.id] = asyncio.Event()
        task = self._tasks[run.id] = asyncio.create_task(self._live(run), name=f"run {run.id}")
        task.add_done_callback(lambda done: self._forget(run.id, done))

    def _forget(self, run: str, done: asyncio.Task[None]) -> None:
        """Nothing of a run that has ended stays in memory here: an engine lives through very many."""
        if self._tasks.get(run) is done:
            del self._tasks[run], self._wakes[run]
            for names in (self._restarted, self._without_lease, self._reading):
                names.discard(run)

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
                before, run.message = run.message, f"waiting for the journal: {error}"
                await asyncio.sleep(1.0)
                run.message = before
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
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            while not run.ended:
                await self._advance(run, tasks)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _advance(self, run: Run, tasks: dict[str, asyncio.Task[None]]) -> None:
        """One look at a run: begin what can begin now, or wait for what is under way, or end the run.

        `tasks` are the step instances under way. After a crash no step begins before every effect in doubt is read.
        When one of them fails with an error, the others end before it is raised: none acts unseen.
        """
        standing = run.standing()
        holding = run.stopping or run.state is RunState.PAUSED
        free = [s for s in standing if s.key not in tasks]
        todo = [s for s in free if s.in_doubt] or [s for s in free if s.begun]
        if not (todo or holding or any(f"{run.id}/{key}" in self._reading for key in tasks)):
            pending = [s for s in free if s.state is StepState.PENDING]
            if await self._leave_item(run, pending) or await self._hold_after_restart(run, pending):
                return
            todo = self._apart(pending, [s for s in standing if s.key in tasks])
        if todo:
            self._begin(run, todo, tasks)
        elif tasks:
            await self._any_ended(run, tasks)
        elif run.stopping:
            await self._finish(run, RunState.STOPPED, STAYS if stays(run) else STOPPED)
        elif not standing:
            await self._finish(run, RunState.DONE, last_line(run))
        elif holding:
            await self._woken(run)
        else:
            await self._after(run, [s for s in standing if s.state in HELD])

    def _apart(self, pending: list[StepRun], under_way: list[StepRun]) -> list[StepRun]:
        """Those that can begin beside others: of the changes of one target one at a time, so that each is judged by
        what the one before has left."""
        busy = {target for s in under_way for target in self._effects.targets(s)}
        apart: list[StepRun] = []
        for step in pending:
            targets = self._effects.targets(step)
            if busy.isdisjoint(targets):
                apart.append(step)
                busy |= targets
        return apart

    def _begin(self, run: Run, steps: list[StepRun], tasks: dict[str, asyncio.Task[None]]) -> None:
        """Carry out steps, each in a task of its own."""
        for step in steps:
            if step.in_doubt:
                self._reading.add(f"{run.id}/{step.key}")
            tasks[step.key] = asyncio.create_task(self._step(run, step), name=f"{run.id}/{step.key}")

    async def _any_ended(self, run: Run, tasks: dict[str, asyncio.Task[None]]) -> None:
        """Wait until a step has ended or something was recorded of the run."""
        news = asyncio.create_task(self._woken(run))
        try:
            await asyncio.wait({news, *tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        ended = [key for key, task in tasks.items() if task.done()]
        if any(tasks[key].exception() is not None for key in ended):
            met = await asyncio.gather(*tasks.values(), return_exceptions=True)
            tasks.clear()
            self._reading = {key for key in self._reading if not key.startswith(f"{run.id}/")}
            raise next(each for each in met if each is not None)
        for key in ended:
            del tasks[key]
            self._reading.discard(f"{run.id}/{key}")
        if ended:
            await self._tell_held(run)

    async def _recover(self, run: Run) -> None:
        """After a crash: a step that had sent nothing starts again.

        Waits and questions continue: what has begun has its limit from its beginning. Effects in doubt are read.
        """
        for step in run.all_steps():
            if step.in_doubt or step.begun:
                continue
            if step.intent is not None and step.seconds is None:
                await self._end(run, step, step.state, step.message, step.evidence)
            elif step.state is not StepState.RUNNING:
                continue
            elif run.stopping:
                await self._end(run, step, StepState.STOPPED, "stopped before anything was sent", ())
            else:
                reason = "the engine ended before anything was sent"
                await self._record(run, step, StepRetried(step.step.identity, step.step.facts, reason))

    async def _leave_item(self, run: Run, pending: list[StepRun]) -> bool:
        """The rest of an item of a loop in which a step failed, and which goes on with the next one."""
        left = [s for s in pending if run.item_failed(s.step)]
        for step in left:
            await self._record(run, step, StepSkipped("a step of this item failed; the loop goes on"))
        return bool(left)

    async def _hold_after_restart(self, run: Run, group: list[StepRun]) -> bool:
        """A risky change is not sent by an engine that restarted or was suspended after a person confirmed it; one that
        ends something temporary is: its time was confirmed with it."""
        pending = (s.step for s in group if s.state is StepState.PENDING and not s.step.ends)
        risky = next((step for step in pending if step.risk in ("B3", "B4")), None)
        if run.id not in self._restarted or risky is None:
            return False
        message = f"the engine restarted or was suspended after this was confirmed; resume to continue: {risky.title}"
        await self._event(run, RunPaused(message))
        return True

    async def _woken(self, run: Run, seconds: float | None = None) -> None:
        """Sleep; whatever is recorded of the run ends it early. Callers look at the run again before they sleep."""
        wake = self._wakes[run.id]
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
            wake.clear()
        except TimeoutError:
            return

    async def _step(self, run: Run, step: StepRun) -> None:
        if step.in_doubt:
            return await self._effects.reconcile(run, step)
        if step.state is StepState.PENDING:
            if run.stopping or run.state is RunState.PAUSED:
                return
            await self._record(run, step, StepStarted(step.step.title))
        elif not step.begun:
            return  # one instance is carried out once
        if step.left_out:
            return
        match step.step.do:
            case "change":
                await self._effects.perform(run, step)
            case "check":
                await self._asking.check(run, step)
            case "when":
                await self._asking.condition(run, step)
            case "wait":
                await self._wait(run, step)
            case _:
                await self._decide(run, step)

    async def _wait(self, run: Run, step: StepRun) -> None:
        while not (run.stopping or step.left_out) and (left := self._left(step)) > 0:
            await self._woken(run, left)
        if not step.left_out:
            whole, left = step.step.timeout, max(0.0, self._left(step))
            late = -self._left(step)
            over = f"; it was over {clock(late)} before this engine saw it" if late > OVERRUN else ""
            state, message = StepState.DONE, f"waited {whole:.0f} s{over}"
            if run.stopping and left > 0:
                state, message = StepState.STOPPED, f"stopped after {whole - left:.0f} s of {whole:.0f} s"
            await self._end(run, step, state, message, ())

    def _left(self, step: StepRun) -> float:
        """Seconds until the limit of a step, which counts from its beginning, also across a restart."""
        return (step.started_mono or 0.0) + step.step.timeout - self._clock.mono()

    async def _decide(self, run: Run, step: StepRun) -> None:
        """Ask people and wait, at most as long as the author says; the answer is an event made by `control`."""
        planned = step.step
        if step.state is not StepState.WAITING:
            await self._record(run, step, DecisionAsked(planned.question, tuple(planned.answers)))
        while not (run.stopping or step.left_out or step.choice):
            if (left := self._left(step)) <= 0:
                await self._end(run, step, StepState.FAILED, f"nobody decided within {clock(planned.timeout)}", ())
                if not step.choice:  # else somebody answered at the last instant
                    return
            else:
                await self._woken(run, left)
        if step.left_out:
            return
        if not step.choice:
            await self._end(run, step, StepState.STOPPED, "stopped without a decision", ())
            return
        meaning = planned.answers[
            step.choice
        ]  # applied before the step ends: after a crash in between it is applied again
        if meaning == "stop":
            await self._event(run, RunStopRequested(step.message))
        elif meaning != "continue":
            await skip_to(self._record, run, step, meaning)
        await self._end(run, step, StepState.DONE, step.message, ())

    async def _tell_held(self, run: Run) -> None:
        """A step of a paused run that ended without success: the run stays paused, at this step."""
        held = [s for s in run.standing() if s.state in HELD]
        if held and run.state is RunState.PAUSED and not run.stopping:
            await self._event(run, RunPaused(f"{held[0].step.title}: {held[0].message}"))

    async def _after(self, run: Run, group: list[StepRun]) -> None:
        """Apply the failure policy of the first step that did not succeed."""
        step = group[0]
        message = f"{step.step.title}: {step.message}"
        if step.step.ends and step.unanswered and step.state is StepState.NOT_DONE and step.instance < MOST_TRIALS:
            reason = "no answer came, and it is proven not done: something temporary is taken back"
            return await self._record(run, step, StepRetried(step.step.identity, step.step.facts, reason))
        if step.step.part:
            message = f"{run.parts_done()} of {step.step.part} of the set are as wanted. {message}"
        policy = "undo" if step.reverts else step.step.on_failure
        match "pause" if step.state is StepState.STOPPED else policy:
            case "stop":
                await self._finish(run, RunState.FAILED, message)
            case "undo":
                message = f"{message}; the completed changes are being undone"
                await self._finish(run, RunState.FAILED, message, undo=True)
                await self.undoer.undo(run)
            case _:
                await self._event(run, RunPaused(message))

    async def _finish(self, run: Run, state: RunState, message: str, *, undo: bool = False) -> None:
        await self._event(run, RunEnded(state, message, undo))

    async def _end(self, run: Run, step: StepRun, state: StepState, message: str, evidence: tuple[str, ...]) -> None:
        await self._record(run, step, StepEnded(state, message, evidence))

    async def _record(self, run: Run, step: StepRun, body: Body) -> None:
        await self._journal.append(Event(body, self._actor, run=run.id, step=step.key))

    async def _event(self, run: Run, body: Body) -> None:
        await self._journal.append(Event(body, self._actor, run=run.id))


def last_line(run: Run) -> str:
    """How a run ended that went through all of its steps: verified only if every change and check succeeded."""
    unmet = run.unmet()
    ruled = sum(run.latest(step.id).ruled for step in run.steps)
    if not unmet:
        unsaved = [run.latest(s.id).step.title for s in run.steps if run.latest(s.id).unsaved]
        behind = f"; a reload does not keep it: {', '.join(unsaved)}" if unsaved else ""
        behind += f"; not taken back: {', '.join(run.leaves_behind)}" if run.leaves_behind else ""
        return "every step is done and verified" + (f"; {ruled} left out, as conditions say" if ruled else "") + behind
    return f"not verified: {', '.join(f'{s.step.title} ({s.state.value})' for s in unmet)}"
