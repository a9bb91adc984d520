"""Runs: one execution of a runbook (or of a single change), as a fold over the journal.

Live progress and restart use the same reducers: the executor only appends events, and what a run is follows from
them. `RunHistory` holds all runs; `fold` applies one recorded event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from state.api.run_states import RunState, StepState
from state.clock import Clock
from state.journal.events import EventKind, Recorded
from state.runs.model import PlannedStep, Run, StepRun


class RunHistory:
    """All runs of a journal, oldest first, with instants on this engine's monotonic clock."""

    def __init__(self, boot: str, clock: Clock) -> None:
        self._boot, self._clock = boot, clock
        self.runs: dict[str, Run] = {}
        self.durations: dict[str, list[float]] = {}
        self.epoch = 0
        self._count = 0
        self._erased: set[str] = set()

    def mono(self, recorded: Recorded) -> float:
        """The monotonic instant of an entry; of an earlier engine's by the wall clock, the best there is."""
        if recorded.boot == self._boot:
            return recorded.mono
        return recorded.at - (self._clock.wall() - self._clock.mono())

    def next_id(self) -> str:
        """The name of the next run."""
        return f"R-{self._count + 1}"

    def open(self) -> list[Run]:
        """Runs that have not ended."""
        return [r for r in self.runs.values() if not r.ended]

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry. Entries of other concerns have no reducer here and change nothing.

        Raises LookupError, TypeError, ValueError or AttributeError for a body that does not read as its kind.
        """
        kind, run = recorded.event.kind, recorded.event.run
        self._count += kind is EventKind.RUN_STARTED
        if recorded.erased and kind is EventKind.RUN_STARTED:
            self._erased.add(run)
        reducer = REDUCERS.get(kind)
        if reducer is None or run in self._erased:
            return
        if not recorded.erased:
            reducer(self, recorded)
        elif kind is EventKind.RUN_ENDED:
            self.runs[run].state = RunState.STOPPED
            self.runs[run].message = "how it ended was erased by retention"


def _started(book: RunHistory, recorded: Recorded) -> None:
    event, body = recorded.event, recorded.event.body
    steps = tuple(PlannedStep(**{**s, "options": dict(s["options"])}) for s in body["steps"])
    run = Run(
        id=event.run,
        title=body["title"],
        actor=event.actor,
        steps=steps,
        started_at=recorded.at,
        started_mono=book.mono(recorded),
        runbook=body["runbook"],
        hash=body["hash"],
        service=body["service"],
        budget=body["budget"],
        targets=tuple(body["targets"]),
    )
    run.instances = {s.id: [StepRun(s, 1)] for s in steps}
    book.runs[run.id] = run


def _lease(book: RunHistory, recorded: Recorded) -> None:
    book.epoch = max(book.epoch, int(recorded.event.body["epoch"]))
    run = book.runs.get(recorded.event.run)
    if run is not None:
        run.epoch = int(recorded.event.body["epoch"])


def _run_state(state: RunState) -> Callable[[RunHistory, Recorded], None]:
    def reduce(book: RunHistory, recorded: Recorded) -> None:
        run = book.runs[recorded.event.run]
        if run.ended:  # what people asked for while it was ending comes too late
            return
        run.state = state
        run.message = recorded.event.body.get("words", "")
        run.question, run.options = "", ()

    return reduce


def _run_ended(book: RunHistory, recorded: Recorded) -> None:
    run = book.runs[recorded.event.run]
    run.state = RunState(recorded.event.body["state"])
    run.message = recorded.event.body["words"]
    run.ended_at = recorded.at
    run.question, run.options = "", ()


def _stop_requested(book: RunHistory, recorded: Recorded) -> None:
    run = book.runs[recorded.event.run]
    run.stopping = True
    run.message = recorded.event.body.get("words", "")


def _instance(book: RunHistory, recorded: Recorded) -> StepRun:
    step, _, number = recorded.event.step.partition("#")
    return book.runs[recorded.event.run].instances[step][int(number) - 1]


def _step_started(book: RunHistory, recorded: Recorded) -> None:
    step = _instance(book, recorded)
    step.state = StepState.RUNNING
    step.started_at, step.started_mono = recorded.at, book.mono(recorded)
    step.message = recorded.event.body.get("words", "")


def _intended(book: RunHistory, recorded: Recorded) -> None:
    step = _instance(book, recorded)
    step.intent = recorded.event.body
    step.effect = recorded.event.body["effect"]


def _answered(book: RunHistory, recorded: Recorded) -> None:
    step = _instance(book, recorded)
    step.answered = recorded.event.body["code"]
    step.message = recorded.event.body["words"]
    if recorded.event.body["unknown"]:
        step.state = StepState.UNKNOWN


def _outcome(book: RunHistory, recorded: Recorded) -> None:
    step, body = _instance(book, recorded), recorded.event.body
    step.state = StepState(body["state"])
    step.evidence = tuple(body["evidence"])
    step.figures = body["figures"]
    step.message = body["words"]
    if step.state is StepState.DONE and step.intent is not None:
        book.durations.setdefault(step.step.what, []).append(float(body["seconds"]))


def _step_ended(book: RunHistory, recorded: Recorded) -> None:
    step, body = _instance(book, recorded), recorded.event.body
    step.state = StepState(body["state"])
    step.message = body["words"]
    step.evidence = tuple(body["evidence"]) or step.evidence
    if step.started_at is not None:
        step.seconds = max(0.0, recorded.at - step.started_at)


def _skipped(book: RunHistory, recorded: Recorded) -> None:
    step = _instance(book, recorded)
    step.state = StepState.SKIPPED
    step.message = f"skipped: {recorded.event.body['reason']}"


def _retried(book: RunHistory, recorded: Recorded) -> None:
    old, body = _instance(book, recorded), recorded.event.body
    run = book.runs[recorded.event.run]
    if run.ended:
        return
    if old.state is not StepState.DONE:
        old.state = StepState.SUPERSEDED if old.intent is None else old.state
    planned = replace(old.step, identity=body.get("identity"), facts=body.get("facts"))
    run.instances[old.step.id].append(StepRun(planned, len(run.instances[old.step.id]) + 1))


def _asked(book: RunHistory, recorded: Recorded) -> None:
    step = _instance(book, recorded)
    step.state = StepState.WAITING
    run = book.runs[recorded.event.run]
    run.state = RunState.WAITING
    run.question, run.options = recorded.event.body["question"], tuple(recorded.event.body["options"])


def _decided(book: RunHistory, recorded: Recorded) -> None:
    run, step = book.runs[recorded.event.run], _instance(book, recorded)
    if run.ended or step.choice:  # the first answer counts
        return
    step.choice, step.decided = recorded.event.body["choice"], recorded.seq
    step.message = f"{recorded.event.actor} chose: {step.choice}"
    asking = run.asking()
    run.state = RunState.RUNNING if asking is None else RunState.WAITING
    run.question = "" if asking is None else asking.question
    run.options = () if asking is None else tuple(asking.options)


REDUCERS: Mapping[EventKind, Callable[[RunHistory, Recorded], None]] = {
    EventKind.RUN_STARTED: _started,
    EventKind.LEASE_TAKEN: _lease,
    EventKind.RUN_PAUSED: _run_state(RunState.PAUSED),
    EventKind.RUN_RESUMED: _run_state(RunState.RUNNING),
    EventKind.RUN_STOP_REQUESTED: _stop_requested,
    EventKind.RUN_ENDED: _run_ended,
    EventKind.STEP_STARTED: _step_started,
    EventKind.INTENT_RECORDED: _intended,
    EventKind.RECEIPT_RECORDED: _answered,
    EventKind.OUTCOME_RECORDED: _outcome,
    EventKind.STEP_ENDED: _step_ended,
    EventKind.STEP_SKIPPED: _skipped,
    EventKind.STEP_RETRIED: _retried,
    EventKind.DECISION_ASKED: _asked,
    EventKind.DECISION_MADE: _decided,
}
