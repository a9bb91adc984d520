"""What people may do to a run that exists: pause, resume, skip, stop, decide. Each is an event."""

from __future__ import annotations

from state.api.caller import Caller
from state.api.messages import Accepted
from state.api.requests import ControlRequest, Decide, Pause, Resume, Skip, Stop
from state.api.run_states import RunState, StepState
from state.config_files.suggestions import not_found
from state.errors import JournalUnavailable, Refused
from state.journal.events import Body, Event
from state.journal.writer import Journal
from state.policy.authority import ACTING, require_role
from state.runs.events import DecisionMade, RunPaused, RunResumed, RunStopRequested, StepSkipped
from state.runs.executor import Executor
from state.runs.fold import RunHistory
from state.runs.model import Run
from state.runs.steps import PlannedStep

SHORTEST_REASON = 3


class RunControls:
    """Checks that a control fits the run and the person, then records it."""

    def __init__(self, history: RunHistory, journal: Journal, executor: Executor) -> None:
        self._history, self._journal, self._executor = history, journal, executor

    async def apply(self, caller: Caller, name: str, request: ControlRequest) -> Accepted:
        """Carry out one control. Raises Refused or NotFound."""
        require_role(caller, ACTING, request.verb)
        run = self._history.run(name)
        if run.ended:
            raise Refused("run-open", f"{name} has ended ({run.state.value})", "Start a new run")
        match request:
            case Pause():
                await self._pause(caller, run)
            case Resume():
                await self._resume(caller, run)
            case Skip():
                await self._skip(caller, run, request)
            case Stop():
                await self.stop(caller, run, request.reason.strip())
            case Decide():
                await self._decide(caller, run, request)
        return Accepted(name, f"{name}: {request.verb}")

    async def stop(self, caller: Caller, run: Run, reason: str) -> None:
        """Start nothing new in a run. Works without a journal too; then only the record is missing."""
        self.halt(run)
        message = f"stopped by {caller.person or caller.account}" + (f": {reason}" if reason else "")
        try:
            await self._event(caller, run, RunStopRequested(message))
        except JournalUnavailable:
            run.message = f"{message} (not recorded: {self._journal.unavailable})"

    def halt(self, run: Run) -> None:
        """The run starts nothing new from now on; it is recorded later."""
        run.stopping = True
        self._executor.wake(run.id)

    async def _pause(self, caller: Caller, run: Run) -> None:
        if run.state is not RunState.RUNNING:
            raise Refused("run-running", f"{run.id} is {run.shown_state().value}", "Only a running run can be paused")
        await self._event(caller, run, RunPaused(f"paused by {caller.person} before the next step"))

    async def _resume(self, caller: Caller, run: Run) -> None:
        if run.state is not RunState.PAUSED:
            raise Refused("run-paused", f"{run.id} is {run.shown_state().value}", "Only a paused run can be resumed")
        step = self._current(run)
        state = run.latest(step.id).state
        if state in (StepState.FAILED, StepState.NOT_DONE, StepState.STOPPED):
            raise Refused("step-open", f"{step.id} is {state.value}", f"Retry or skip {step.id} first")
        if any(s.risk == "B3" for s in run.group(step)):
            require_role(caller, ("commander",), "resuming with a B3 change")
            self._executor.confirmed(run.id)
        await self._event(caller, run, RunResumed(f"resumed by {caller.person}"))

    async def _skip(self, caller: Caller, run: Run, request: Skip) -> None:
        reason = request.reason.strip()
        if len(reason) < SHORTEST_REASON:
            raise Refused(
                "reason",
                "a skip needs a reason",
                f"Give a reason of {SHORTEST_REASON} characters or more; the journal records it",
            )
        step = self._current(run)
        if request.step and request.step != step.id:
            raise Refused(
                "step-order", f"the current step of {run.id} is {step.id}, not {request.step}", f"Skip {step.id} first"
            )
        latest = run.latest(step.id)
        if latest.in_doubt or latest.state is StepState.RUNNING:
            raise Refused(
                "step-settled", f"{step.id} is {latest.state.value}", "Wait until a reading shows its outcome"
            )
        if run.state is not RunState.PAUSED:
            raise Refused("run-paused", f"{run.id} is {run.shown_state().value}", "Pause it first")
        await self._event(caller, run, StepSkipped(f"{reason} ({caller.person})"), latest.key)
        await self._event(caller, run, RunResumed(f"{caller.person} skipped {step.id}"))

    async def _decide(self, caller: Caller, run: Run, request: Decide) -> None:
        step = run.asking() if run.state is RunState.WAITING else None
        if step is None:
            raise Refused("question-open", f"{run.id} waits for no decision", "Nothing to do")
        if request.step and request.step != step.id:
            raise Refused("step-order", f"{run.id} asks at {step.id}, not at {request.step}", "Read its question again")
        if request.choice not in step.answers:
            raise not_found(f"answer at {step.id}", request.choice, step.answers)
        if step.owner:
            require_role(caller, (step.owner, "commander"), f"deciding {step.id}")
        latest = run.latest(step.id)
        body = DecisionMade(request.choice, f"{caller.person} chose {request.choice}")
        event = Event(body, caller.person, caller.session, run=run.id, step=latest.key)
        recorded = await self._journal.append(event)
        if latest.decided != recorded.seq:
            raise Refused(
                "question-open", f"{step.id} was answered a moment ago: {latest.message}", f"Look at {run.id}"
            )

    def _current(self, run: Run) -> PlannedStep:
        step = run.next()
        if step is None:
            raise Refused("step-open", f"{run.id} has no step left", "Wait, it ends by itself")
        return step

    async def _event(self, caller: Caller, run: Run, body: Body, step: str = "") -> None:
        actor = caller.person or caller.account
        await self._journal.append(Event(body, actor, caller.session, run=run.id, step=step))
