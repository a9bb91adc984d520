"""What people may do to a run that exists: pause, resume, skip, stop, decide. Each is an event."""

from __future__ import annotations

from state.api.caller import Caller
from state.api.messages import Accepted
from state.api.requests import ControlRequest, Decide, Pause, Resume, Skip, Stop
from state.api.run_states import RunState, StepState
from state.config_files.suggestions import not_found
from state.errors import Refused
from state.journal.events import Body, Event
from state.journal.writer import Journal
from state.policy.authority import ACTING, require_role
from state.runs.events import DecisionMade, RunPaused, RunResumed, StepSkipped
from state.runs.executor import Executor
from state.runs.fold import RunHistory
from state.runs.model import Run, StepRun
from state.runs.offers import held_steps, named, offers, skippable_steps
from state.runs.stops import Stops
from state.text import reason_in

SHORTEST_REASON = 3
PLACES = {Pause.verb: "running", Resume.verb: "paused"}
"""The state that a verb asks for, as the name of the rule that refuses it."""


class RunControls:
    """Checks that a control fits the run and the person, then records it."""

    def __init__(self, history: RunHistory, journal: Journal, executor: Executor, stops: Stops) -> None:
        self._history, self._journal, self._executor, self._stops = history, journal, executor, stops

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
                await self._resume(caller, run, request)
            case Skip():
                await self._skip(caller, run, request)
            case Stop():
                if told := await self._stops.stop(caller, run, request.reason.strip()):
                    return Accepted(name, f"{name}: {request.verb}; {told}")
            case Decide():
                await self._decide(caller, run, request)
        return Accepted(name, f"{name}: {request.verb}")

    async def _pause(self, caller: Caller, run: Run) -> None:
        self._require_offered(run, Pause.verb)
        await self._event(caller, run, RunPaused(f"paused by {caller.person} before the next step"))

    async def _resume(self, caller: Caller, run: Run, request: Resume) -> None:
        held = held_steps(run)
        if run.state is RunState.PAUSED and held:
            step = held[0]
            raise Refused("step-open", f"{step.key} is {step.state.value}", f"Retry or skip {step.step.id} first")
        self._require_offered(run, Resume.verb)
        standing = run.standing()
        if request.step and named(standing, request.step) is None:
            now = ", ".join(s.key for s in standing)
            raise Refused("step-order", f"{run.id} stands at {now}, not at {request.step}", f"Look at {run.id} again")
        if any(s.step.risk in ("B3", "B4") for s in standing):
            require_role(caller, ("commander",), "resuming with a B3 change")
            self._executor.confirmed(run.id)
        await self._event(caller, run, RunResumed(f"resumed by {caller.person}"))

    async def _skip(self, caller: Caller, run: Run, request: Skip) -> None:
        reason = reason_in(request.reason, SHORTEST_REASON)
        if not reason:
            raise Refused(
                "reason",
                "a skip needs a reason",
                f"Give a reason of {SHORTEST_REASON} characters or more; the journal records it",
            )
        possible = skippable_steps(run)
        step = named(possible, request.step)
        if run.stopping or step is None:
            raise self._not_skipped(run, request.step, possible)
        if step.asks and step.step.owner:
            require_role(caller, (step.step.owner, "commander"), f"skipping {step.step.id}")
        skipped = StepSkipped(f"{reason} ({caller.person})")
        events = [self._about(caller, run, skipped, step.key)]
        if run.state is RunState.PAUSED:
            events.append(self._about(caller, run, RunResumed(f"{caller.person} skipped {step.step.id}")))
        recorded = await self._journal.append_all(events)
        if step.decided != recorded[0].seq:
            raise Refused("question-open", f"{step.key} was over a moment ago: {step.message}", f"Look at {run.id}")

    def _not_skipped(self, run: Run, wanted: str, possible: list[StepRun]) -> Refused:
        """Why a skip is not possible, with the way out that exists."""
        if run.stopping:
            return Refused("run-open", f"{run.id} is being stopped", "Wait, it ends by itself")
        if possible:
            names = ", ".join(s.key for s in possible)
            fact = f"{wanted} of {run.id} cannot be skipped now" if wanted else f"{run.id} has several steps to skip"
            return Refused("step-order", fact, f"These can be: {names}")
        if any(s.in_doubt or s.state is StepState.RUNNING for s in run.standing()) and run.state is RunState.PAUSED:
            return Refused("step-settled", f"{run.id} waits for an outcome", "Wait until a reading shows it")
        return Refused("run-paused", f"{run.id} is {run.shown_state().value}", "Pause it first, then skip")

    async def _decide(self, caller: Caller, run: Run, request: Decide) -> None:
        asked = run.asking()
        if not asked or run.stopping:
            raise Refused("question-open", f"{run.id} waits for no decision", "Nothing to do")
        ever = [s for s in run.all_steps() if s.step.do == "decide" and s.started is not None]
        step = named(asked, request.step) if request.step or len(ever) == 1 else None
        if step is None:
            names = ", ".join(s.key for s in asked)
            fact = f"{request.step} asks nothing now" if request.step else "the answer does not say to which question"
            raise Refused("step-order", f"{fact}; {run.id} asks at {names}", "Read its question again")
        answers = step.step.answers
        if request.choice not in answers:
            raise not_found(f"answer at {step.step.id}", request.choice, answers)
        if step.step.owner:
            require_role(caller, (step.step.owner, "commander"), f"deciding {step.step.id}")
        body = DecisionMade(request.choice, f"{caller.person} chose {request.choice}")
        recorded = await self._journal.append(self._about(caller, run, body, step.key))
        if step.decided != recorded.seq:
            raise Refused("question-open", f"{step.key} was over a moment ago: {step.message}", f"Look at {run.id}")

    def _require_offered(self, run: Run, verb: str) -> None:
        if verb not in offers(run):
            possible = ", ".join(offers(run)) or "nothing"
            fact = f"{run.id} is {run.shown_state().value}"
            raise Refused(f"run-{PLACES[verb]}", fact, f"{verb} is not possible now; possible: {possible}")

    async def _event(self, caller: Caller, run: Run, body: Body) -> None:
        await self._journal.append(self._about(caller, run, body))

    def _about(self, caller: Caller, run: Run, body: Body, step: str = "") -> Event:
        return Event(body, caller.person or caller.account, caller.session, run=run.id, step=step)
