"""The history of runs as a fold over the journal.

Live progress and restart use the same reducers: the executor only appends events, and the state of a run follows
from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from state.api.requests import PlanUndo
from state.api.run_states import RunState, StepState
from state.changes.model import Finding
from state.config_files.suggestions import not_found
from state.journal.events import Body, Recorded
from state.journal.projection import FoldSetting, Projection
from state.runs.events import (
    ConditionAnswered,
    DecisionAsked,
    DecisionMade,
    EffectAmended,
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
    SwitchVerified,
)
from state.runs.model import Run, StepRun
from state.runs.names import number_of, second

Reducer = Callable[["RunHistory", Recorded, Any], None]


HELD = 200
"""Ended runs that are held in memory, the newest ones; the others are read from the journal when they are asked for."""
SLACK = 50
"""So many more are held before the oldest ones are let go."""


class RunHistory:
    """The runs of a journal, oldest first, with instants on this engine's monotonic clock: all that are open, the
    newest that have ended, and those that an undo or a card needs."""

    def __init__(self, setting: FoldSetting) -> None:
        self.mono = setting.mono
        self.runs: dict[str, Run] = {}
        self.epoch = 0
        self.unrecorded = 0
        """The number of changes of runs without an entry."""
        self._count = 0
        self._erased: set[str] = set()
        self._hidden: dict[tuple[str, str], int] = {}
        self._twice = ""
        self._leased = 0
        self._asked: set[str] = set()

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

    def let_go(self, name: str) -> bool:
        """Whether a run is one of this journal that is not in memory."""
        return name not in self.runs and 0 < number_of(name) <= self._count

    def hold(self, runs: Iterable[Run]) -> None:
        """Take runs into memory that were read from the journal; they stay until the engine ends."""
        found = {run.id: run for run in runs if run.id not in self.runs}
        self._asked |= set(found)
        self.runs = dict(sorted({**self.runs, **found}.items(), key=lambda each: number_of(each[0])))
        self.unrecorded += 1

    def _release(self) -> None:
        """Let the oldest go of those that have ended, but not what an undo or the card of a runbook still needs,
        nor what a later reading may amend."""
        if len(self.runs) <= HELD + SLACK:
            return
        proven: dict[tuple[str, str], str] = {}
        for run in self.runs.values():
            if run.state is RunState.DONE and not run.unmet():
                proven[run.runbook, run.hash] = run.id
        amendable = {run.id for run in self.runs.values() for step in run.all_steps() if step.unanswered}
        needed = {run.undone_by for run in self.runs.values()} | set(proven.values()) | self._asked | amendable
        needed.add(f"R-{self._count}")  # the next name follows from it
        free = [r.id for r in self.runs.values() if r.ended and not r.undoing and r.id not in needed]
        for name in free[: max(0, len(self.runs) - HELD)]:
            del self.runs[name]

    def needs(self) -> Iterator[int]:
        """The entries that this follows from."""
        if self._leased:
            yield self._leased
        for run in self.runs.values():
            yield from run.entries

    def took(self, deed: str) -> list[float]:
        """How long changes took that did the same (`PlannedStep.deed`), of the runs in memory."""
        steps = (step for run in self.runs.values() for step in run.all_steps())
        return [step.took for step in steps if step.step.deed == deed and step.took is not None]

    def instance(self, recorded: Recorded) -> StepRun:
        """The step instance that an entry is about. Raises LookupError or ValueError."""
        step, _, number = recorded.event.step.partition("#")
        return self.runs[recorded.event.run].instances[step][int(number) - 1]

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry. Raises LookupError, TypeError, ValueError or AttributeError for one that does not fit."""
        run, started = recorded.event.run, recorded.kind == RunStarted.kind
        if started:
            self._begin(run, recorded.seq)
        self._hide(recorded)
        if recorded.erased and started:
            self._erased.add(run)
        if run in self._erased or (not started and self.let_go(run)):
            if recorded.kind == LeaseTaken.kind and not recorded.erased:
                REDUCERS[LeaseTaken](self, recorded, recorded.body)
            return
        if not recorded.erased:
            REDUCERS[type(recorded.body)](self, recorded, recorded.body)
        elif recorded.kind == RunEnded.kind:
            self.runs[run].state = RunState.STOPPED
            self.runs[run].message = "its outcome was erased by retention"
        elif recorded.kind == EffectIntended.kind:
            step = self.instance(recorded)
            step.state, step.message = StepState.UNKNOWN, "its intent was erased: what was sent is not known"
        if run in self.runs:
            self.runs[run].entries.append(recorded.seq)
        if recorded.kind == RunEnded.kind:
            self._release()

    def _begin(self, run: str, seq: int) -> None:
        if 0 < number_of(run) <= self._count:
            self._twice = self._twice or second(run, seq)
        self._count = max(self._count + 1, number_of(run))

    def _hide(self, recorded: Recorded) -> None:
        """Follow, by their headers, the intents and runs whose payload is gone until their end."""
        run, step = recorded.event.run, recorded.event.step
        if recorded.kind == EffectEnded.kind:
            self._hidden.pop((run, step), None)
        elif recorded.kind == RunEnded.kind:
            self._hidden.pop((run, ""), None)
        elif recorded.erased and recorded.kind in (EffectIntended.kind, RunStarted.kind):
            self._hidden[run, "" if recorded.kind == RunStarted.kind else step] = recorded.seq

    @property
    def doubt(self) -> str:
        """Why these runs cannot be trusted: what may have been sent and nobody can tell any more, since its entry was
        erased, or two runs of one name; empty when nothing is wrong."""
        for (run, step), seq in self._hidden.items():
            what = f"an intent of {run} without an outcome" if step else f"the beginning of {run}, which has not ended"
            return f"entry {seq}, {what}, was erased: what was sent is not known"
        return self._twice


def _started(history: RunHistory, recorded: Recorded, body: RunStarted) -> None:
    run = Run(
        id=recorded.event.run,
        title=body.title,
        actor=recorded.event.actor,
        steps=body.steps,
        started=recorded.instant,
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
    if body.request.get("do") == PlanUndo.do:
        run.undo_of = str(body.request.get("run"))
    if undone is not None:
        undone.undone_by = run.id
        run.leaves_behind = tuple(undone.lasting())
        undone.undoing = undone.undo_refused = False


def _lease(history: RunHistory, recorded: Recorded, body: LeaseTaken) -> None:
    if body.epoch > history.epoch:
        history.epoch, history._leased = body.epoch, recorded.seq
    run = history.runs.get(recorded.event.run)
    if run is not None:
        run.epoch = body.epoch
        run.targets = body.targets


def _moved(state: RunState) -> Reducer:
    def reduce(history: RunHistory, recorded: Recorded, body: RunPaused | RunResumed) -> None:
        run = history.runs[recorded.event.run]
        if not run.ended:  # a request while it was ending comes too late
            run.state = state
            run.message = body.message

    return reduce


def _run_ended(history: RunHistory, recorded: Recorded, body: RunEnded) -> None:
    run = history.runs[recorded.event.run]
    run.state = body.state
    run.message = body.message
    run.ended_at = recorded.at
    run.elapsed = recorded.instant.since(run.started)
    run.undoing = body.undo
    undone = history.runs.get(run.undo_of)
    if undone is not None and undone.undone_by == run.id:
        undone.undone = body.state is RunState.DONE and not run.unmet()
        undone.undone_by = run.id if undone.undone else ""


def _undo_refused(history: RunHistory, recorded: Recorded, body: RunUndoRefused) -> None:
    run = history.runs[recorded.event.run]
    run.undoing, run.undo_refused = False, True
    run.message = f"{run.message}; {body.message}"


def _stop_requested(history: RunHistory, recorded: Recorded, body: RunStopRequested) -> None:
    run = history.runs[recorded.event.run]
    if not run.ended:
        run.stopping = True
        run.message = body.message


def _step_started(history: RunHistory, recorded: Recorded, body: StepStarted) -> None:
    step = history.instance(recorded)
    if step.state is StepState.PENDING:  # unless it was skipped meanwhile
        step.state = StepState.RUNNING
        step.started, step.started_mono = recorded.instant, history.mono(recorded)
        step.message = body.message


def _intended(history: RunHistory, recorded: Recorded, body: EffectIntended) -> None:
    step = history.instance(recorded)
    step.intent, step.intended = body, recorded.instant
    step.effect = body.effect


def _answered(history: RunHistory, recorded: Recorded, body: EffectAnswered) -> None:
    step = history.instance(recorded)
    step.answered, step.sent, step.unanswered = body.code, body.sent, body.unknown
    step.until = step.until if body.until is None else body.until
    step.output = body.output or step.output
    if step.state is not StepState.SKIPPED:
        step.message = body.message
        step.state = StepState.UNKNOWN if body.unknown else step.state


def _outcome(history: RunHistory, recorded: Recorded, body: EffectEnded) -> None:
    step = history.instance(recorded)
    step.finding, step.outcome = body.finding, recorded.instant
    step.evidence = body.evidence
    step.figures, step.leaves, step.unsaved = body.figures, body.leaves, body.unsaved
    if step.state is not StepState.SKIPPED:
        step.state = body.state
        step.message = body.message
    if body.state is StepState.DONE:
        step.took = body.seconds


def _amended(history: RunHistory, recorded: Recorded, body: EffectAmended) -> None:
    run, step = history.runs[recorded.event.run], history.instance(recorded)
    step.amended, step.finding, step.evidence = body.former, body.finding, body.evidence
    step.leaves = body.leaves or step.leaves
    step.message = body.message
    if step.state is not StepState.SKIPPED:
        step.state = body.state
    if run.undone and body.finding is Finding.DONE:  # what came late was not undone with the rest
        run.undone, run.undone_by = False, ""
    if run.ended:
        run.message = f"{run.message}; amended: {step.step.title}: {body.message}"


def _verified(history: RunHistory, recorded: Recorded, body: SwitchVerified) -> None:
    step = history.instance(recorded)
    step.integrity, step.integrity_said = body.lines, body.message


def _step_ended(history: RunHistory, recorded: Recorded, body: StepEnded) -> None:
    step = history.instance(recorded)
    if step.step.do == "decide" and step.choice and body.state is StepState.FAILED:
        return  # it was answered in time: the answer counts
    if body.state is StepState.DONE and step.step.do == "change" and step.intent is None:
        history.runs[recorded.event.run].found_done(step, body.found)
    step.evidence, step.figures = body.evidence or step.evidence, body.figures or step.figures
    if step.started is not None:
        step.seconds = recorded.instant.since(step.started)
    if step.state is not StepState.SKIPPED:
        step.state, step.message, step.passes = body.state, body.message, body.passes


def _skipped(history: RunHistory, recorded: Recorded, body: StepSkipped) -> None:
    step = history.instance(recorded)
    if step.left_out or (step.choice and step.state in (StepState.WAITING, StepState.RUNNING)):
        return  # the first one counts
    step.left_out, step.decided = True, recorded.seq
    if not step.in_doubt and step.state is not StepState.DONE:
        step.state, step.message, step.passes, step.ruled = StepState.SKIPPED, body.line, 0, body.ruled


def _retried(history: RunHistory, recorded: Recorded, body: StepRetried) -> None:
    old, run = history.instance(recorded), history.runs[recorded.event.run]
    if run.ended or old.left_out:
        return
    if old.state is not StepState.DONE and old.intent is None:
        old.state, old.passes = StepState.SUPERSEDED, 0
    planned = replace(old.step, identity=body.identity, facts=body.facts)
    if body.args is not None:
        planned = replace(planned, args=body.args, late=())
    run.instances[old.step.id].append(StepRun(planned, len(run.instances[old.step.id]) + 1))


def _asked(history: RunHistory, recorded: Recorded, body: DecisionAsked) -> None:
    step = history.instance(recorded)
    if step.state is StepState.RUNNING:
        step.state = StepState.WAITING


def _decided(history: RunHistory, recorded: Recorded, body: DecisionMade) -> None:
    run, step = history.runs[recorded.event.run], history.instance(recorded)
    if run.ended or not step.asks:  # the first answer counts, while the question is open
        return
    step.choice, step.decided = body.choice, recorded.seq
    step.message = f"{recorded.event.actor} chose: {step.choice}"


def _condition(history: RunHistory, recorded: Recorded, body: ConditionAnswered) -> None:
    run, step = history.runs[recorded.event.run], history.instance(recorded)
    if run.ended or step.left_out or step.state is not StepState.RUNNING:
        return
    step.choice, step.decided, step.evidence, step.message = body.answer, recorded.seq, body.evidence, body.line


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
    EffectAmended: _amended,
    SwitchVerified: _verified,
    StepEnded: _step_ended,
    StepSkipped: _skipped,
    StepRetried: _retried,
    DecisionAsked: _asked,
    DecisionMade: _decided,
    ConditionAnswered: _condition,
}

RUNS = Projection(RunHistory, RunHistory, tuple(REDUCERS), RunHistory.fold, needs=RunHistory.needs)
