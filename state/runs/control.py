"""What people may do to a run that exists: pause, resume, skip, stop, decide. Each is an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from state.api.caller import Caller
from state.api.messages import Accepted
from state.api.run_states import RunState, StepState
from state.errors import JournalUnavailable, NotFound, Refused
from state.journal.events import Event, EventKind
from state.journal.writer import Journal
from state.planning.planner import Planner
from state.policy.authority import require_role
from state.runs.executor import Executor
from state.runs.model import PlannedStep, Run

ACTING = ("responder", "commander")
SHORTEST_REASON = 3


class RunControls:
    """Checks that a control fits the run and the person, then records it."""

    def __init__(self, planner: Planner, journal: Journal, executor: Executor) -> None:
        self._planner, self._journal, self._executor = planner, journal, executor

    async def apply(self, caller: Caller, name: str, request: Mapping[str, Any]) -> Accepted:
        """Carry one control out. Raises Refused or NotFound."""
        verb = str(request.get("verb", ""))
        require_role(caller, ACTING, verb or "a control")
        run = self._planner.run(name)
        if run.ended:
            raise Refused("run-open", f"{name} has ended ({run.state.value})", "Start a new run")
        wanted = str(request.get("step") or "")
        match verb:
            case "pause":
                await self._pause(caller, run)
            case "resume":
                await self._resume(caller, run)
            case "skip":
                await self._skip(caller, run, wanted, str(request.get("reason", "")).strip())
            case "stop":
                await self.stop(caller, run, str(request.get("reason", "")).strip())
            case "decide":
                await self._decide(caller, run, wanted, str(request.get("choice", "")))
            case _:
                raise NotFound(f"no control {verb!r}; there are pause, resume, skip, stop and decide")
        return Accepted(name, f"{name}: {verb}")

    async def stop(self, caller: Caller, run: Run, reason: str) -> None:
        """Start nothing new in a run. Works without a journal too; then only the record is missing."""
        self.halt(run)
        message = f"stopped by {caller.person or caller.account}" + (f": {reason}" if reason else "")
        try:
            await self._event(caller, run, EventKind.RUN_STOP_REQUESTED, {"words": message})
        except JournalUnavailable:
            run.message = f"{message} (not recorded: {self._journal.unavailable})"

    def halt(self, run: Run) -> None:
        """From this instant the run starts nothing new; recording it comes after."""
        run.stopping = True
        self._executor.wake(run.id)

    async def _pause(self, caller: Caller, run: Run) -> None:
        if run.state is not RunState.RUNNING:
            raise Refused("run-running", f"{run.id} is {run.shown_state().value}", "Only a running run is paused")
        message = f"paused by {caller.person} before the next step"
        await self._event(caller, run, EventKind.RUN_PAUSED, {"words": message})

    async def _resume(self, caller: Caller, run: Run) -> None:
        if run.state is not RunState.PAUSED:
            raise Refused("run-paused", f"{run.id} is {run.shown_state().value}", "Only a paused run is resumed")
        step = self._current(run)
        state = run.latest(step.id).state
        if state in (StepState.FAILED, StepState.NOT_DONE, StepState.STOPPED):
            raise Refused("step-open", f"{step.id} is {state.value}", f"Retry or skip {step.id} first")
        if any(s.risk == "B3" for s in run.group(step)):
            require_role(caller, ("commander",), "going on with a B3 change")
            self._executor.confirmed(run.id)
        await self._event(caller, run, EventKind.RUN_RESUMED, {"words": f"resumed by {caller.person}"})

    async def _skip(self, caller: Caller, run: Run, wanted: str, reason: str) -> None:
        if len(reason) < SHORTEST_REASON:
            raise Refused("reason", "a skip needs a reason", "Say why in a few words; it goes into the journal")
        step = self._current(run)
        if wanted and wanted != step.id:
            raise Refused("step-order", f"{run.id} stands at {step.id}, not at {wanted}", f"Skip {step.id} first")
        latest = run.latest(step.id)
        if latest.in_doubt or latest.state is StepState.RUNNING:
            raise Refused("step-settled", f"{step.id} is {latest.state.value}", "Wait until reading has settled it")
        if run.state is not RunState.PAUSED:
            raise Refused("run-paused", f"{run.id} is {run.shown_state().value}", "Pause it first")
        body = {"reason": f"{reason} ({caller.person})"}
        event = Event(EventKind.STEP_SKIPPED, caller.person, caller.session, run=run.id, step=latest.key, body=body)
        await self._journal.append(event)
        await self._event(caller, run, EventKind.RUN_RESUMED, {"words": f"{caller.person} skipped {step.id}"})

    async def _decide(self, caller: Caller, run: Run, wanted: str, choice: str) -> None:
        step = run.asking() if run.state is RunState.WAITING else None
        if step is None:
            raise Refused("question-open", f"{run.id} asks nothing", "There is nothing to decide")
        if wanted and wanted != step.id:
            raise Refused("step-order", f"{run.id} asks at {step.id}, not at {wanted}", "Read the question again")
        if choice not in step.options:
            raise NotFound(f"no answer {choice!r}; there are {', '.join(step.options)}")
        if step.owner:
            require_role(caller, (step.owner, "commander"), f"deciding {step.id}")
        latest, message = run.latest(step.id), f"{caller.person} chose {choice}"
        body = {"choice": choice, "words": message}
        event = Event(EventKind.DECISION_MADE, caller.person, caller.session, run=run.id, step=latest.key, body=body)
        recorded = await self._journal.append(event)
        if latest.decided != recorded.seq:
            raise Refused("question-open", f"{step.id} was answered just before: {latest.message}", "Look at the run")

    def _current(self, run: Run) -> PlannedStep:
        step = run.next()
        if step is None:
            raise Refused("step-open", f"{run.id} has no step left", "It is ending by itself")
        return step

    async def _event(self, caller: Caller, run: Run, kind: EventKind, body: Mapping[str, Any]) -> None:
        actor = caller.person or caller.account
        await self._journal.append(Event(kind, actor, caller.session, run=run.id, body=body))
