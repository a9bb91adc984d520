"""The history of runs as a fold over the journal.

Live progress and restart use the same reducers: the executor only appends events, and the state of a run follows
from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from state.api.requests import PlanUndo
from state.api.run_states import RunState, StepState
from state.config_files.suggestions import not_found
from state.journal.events import Body, Recorded
from state.journal.projection import FoldSetting, Projection
from state.runs.events import (
    DecisionAsked,
    DecisionMade,
    EffectAnswered,
    EffectEnded,
    EffectIntended,
    LeaseTaken,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    RunStopRequested,
    RunUndoRefused,
    StepEnded,
    StepRetried,
    StepSkipped,
    StepStarted,
)
from state.runs.model import Run, StepRun

Reducer = Callable[["RunHistory", Recorded, Any], None]


class RunHistory:
    """All runs of a journal, oldest first, with instants on this engine's monotonic clock."""

    def __init__(self, setting: FoldSetting) -> None:
        self.mono = setting.mono
        self.runs: dict[str, Run] = {}
        self.durations: dict[str, list[float]] = {}
        self.epoch = 0
        self.unrecorded = 0
        """The number of changes of runs without an entry."""
        self._count = 0
        self._erased: set[str] = set()

    def next_id(self) -> str:
        """The name of the next run."""
        return f"R-{self._count + 1}"

    @property
    def moving(self) -> bool:
        """Whether its state may change without an entry, as the progress of steps does."""
        return bool(self.open())

    def open(self) -> list[Run]:
        """Runs that have not ended."""
        return [r for r in self.runs.values() if not r.ended]

    def undoing(self) -> list[Run]:
        """Ended runs whose undo has neither started nor been refused."""
        return [r for r in self.runs.values() if r.undoing]

    def say(self, run: Run, message: str) -> None:
        """Set the message of a run that has ended, when it cannot be recorded."""
        run.message = message
        self.unrecorded += 1

    def run(self, name: str) -> Run:
        """A run by id. Raises NotFound."""
        found = self.runs.get(name)
        if found is None:
            raise not_found("run", name, list(reversed(self.runs)))
        return found

    def instance(self, recorded: Recorded) -> StepRun:
        """The step instance that an entry is about. Raises LookupError or ValueError."""
        step, _, number = recorded.event.step.partition("#")
        return self.runs[recorded.event.run].instances[step][int(number) - 1]

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry. Raises LookupError, TypeError, ValueError or AttributeError for one that does not fit."""
        run, started = recorded.event.run, recorded.kind == RunStarted.kind
        self._count += started
        if recorded.erased and started:
            self._erased.add(run)
        if run in self._erased:
            return
        if not recorded.erased:
            REDUCERS[type(recorded.body)](self, recorded, recorded.body)
        elif recorded.kind == RunEnded.kind:
            self.runs[run].state = RunState.STOPPED
            self.runs[run].message = "its outcome was erased by retention"


def _started(history: RunHistory, recorded: Recorded, body: RunStarted) -> None:
    run = Run(
        id=recorded.event.run,
        title=body.title,
        actor=recorded.event.actor,
        steps=body.steps,
        started_at=recorded.at,
        started_mono=history.mono(recorded),
        runbook=body.runbook,
        hash=body.hash,
        service=body.service,
        budget=body.budget,
        targets=body.targets,
    )
    run.instances = {s.id: [StepRun(s, 1)] for s in body.steps}
    history.runs[run.id] = run
    undone = history.runs.get(str(body.request.get("run"))) if body.request.get("do") == PlanUndo.do else None
    if undone is not None:
        undone.undoing = False


def _lease(history: RunHistory, recorded: Recorded, body: LeaseTaken) -> None:
    history.epoch = max(history.epoch, body.epoch)
    run = history.runs.get(recorded.event.run)
    if run is not None:
        run.epoch = body.epoch


def _moved(state: RunState) -> Reducer:
    def reduce(history: RunHistory, recorded: Recorded, body: RunPaused | RunResumed) -> None:
        run = history.runs[recorded.event.run]
        if run.ended:  # a request while it was ending comes too late
            return
        run.state = state
        run.message = body.message
        run.question, run.options = "", ()

    return reduce


def _run_ended(history: RunHistory, recorded: Recorded, body: RunEnded) -> None:
    run = history.runs[recorded.event.run]
    run.state = body.state
    run.message = body.message
    run.ended_at = recorded.at
    run.undoing = body.undo
    run.question, run.options = "", ()


def _undo_refused(history: RunHistory, recorded: Recorded, body: RunUndoRefused) -> None:
    run = history.runs[recorded.event.run]
    run.undoing = False
    run.message = f"{run.message}; {body.message}"


def _stop_requested(history: RunHistory, recorded: Recorded, body: RunStopRequested) -> None:
    run = history.runs[recorded.event.run]
    run.stopping = True
    run.message = body.message


def _step_started(history: RunHistory, recorded: Recorded, body: StepStarted) -> None:
    step = history.instance(recorded)
    step.state = StepState.RUNNING
    step.started_at, step.started_mono = recorded.at, history.mono(recorded)
    step.message = body.message


def _intended(history: RunHistory, recorded: Recorded, body: EffectIntended) -> None:
    step = history.instance(recorded)
    step.intent = body
    step.effect = body.effect


def _answered(history: RunHistory, recorded: Recorded, body: EffectAnswered) -> None:
    step = history.instance(recorded)
    step.answered = body.code
    step.message = body.message
    if body.unknown:
        step.state = StepState.UNKNOWN


def _outcome(history: RunHistory, recorded: Recorded, body: EffectEnded) -> None:
    step = history.instance(recorded)
    step.state = body.state
    step.evidence = body.evidence
    step.figures = body.figures
    step.message = body.message
    if step.state is StepState.DONE and step.intent is not None:
        history.durations.setdefault(step.step.what, []).append(body.seconds)


def _step_ended(history: RunHistory, recorded: Recorded, body: StepEnded) -> None:
    step = history.instance(recorded)
    step.state = body.state
    step.message = body.message
    step.evidence = body.evidence or step.evidence
    if step.started_at is not None:
        step.seconds = max(0.0, recorded.at - step.started_at)


def _skipped(history: RunHistory, recorded: Recorded, body: StepSkipped) -> None:
    step = history.instance(recorded)
    step.state = StepState.SKIPPED
    step.message = body.line


def _retried(history: RunHistory, recorded: Recorded, body: StepRetried) -> None:
    old, run = history.instance(recorded), history.runs[recorded.event.run]
    if run.ended:
        return
    if old.state is not StepState.DONE:
        old.state = StepState.SUPERSEDED if old.intent is None else old.state
    planned = replace(old.step, identity=body.identity, facts=body.facts)
    run.instances[old.step.id].append(StepRun(planned, len(run.instances[old.step.id]) + 1))


def _asked(history: RunHistory, recorded: Recorded, body: DecisionAsked) -> None:
    step, run = history.instance(recorded), history.runs[recorded.event.run]
    step.state = StepState.WAITING
    run.state = RunState.WAITING
    run.question, run.options = body.question, body.options


def _decided(history: RunHistory, recorded: Recorded, body: DecisionMade) -> None:
    run, step = history.runs[recorded.event.run], history.instance(recorded)
    if run.ended or step.choice:  # the first answer counts
        return
    step.choice, step.decided = body.choice, recorded.seq
    step.message = f"{recorded.event.actor} chose: {step.choice}"
    asking = run.asking()
    run.state = RunState.RUNNING if asking is None else RunState.WAITING
    run.question = "" if asking is None else asking.question
    run.options = () if asking is None else tuple(asking.answers)


REDUCERS: Mapping[type[Body], Reducer] = {
    RunStarted: _started,
    LeaseTaken: _lease,
    RunPaused: _moved(RunState.PAUSED),
    RunResumed: _moved(RunState.RUNNING),
    RunStopRequested: _stop_requested,
    RunEnded: _run_ended,
    RunUndoRefused: _undo_refused,
    StepStarted: _step_started,
    EffectIntended: _intended,
    EffectAnswered: _answered,
    EffectEnded: _outcome,
    StepEnded: _step_ended,
    StepSkipped: _skipped,
    StepRetried: _retried,
    DecisionAsked: _asked,
    DecisionMade: _decided,
}

RUNS = Projection(RunHistory, RunHistory, tuple(REDUCERS), RunHistory.fold)
