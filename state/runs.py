"""Runs: one execution of a runbook (or of a single change), as a fold over the journal.

Live progress and restart use the same reducers: the executor only appends events, and what a run is follows from
them. `RunBook` holds all runs; `fold` applies one recorded event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from state.events import EventKind, Recorded
from state.ports import Clock
from state.progress import RunState, StepState

ENDED = (RunState.DONE, RunState.FAILED, RunState.STOPPED)
UNMET = (StepState.FAILED, StepState.NOT_DONE)
SETTLED = (StepState.DONE, StepState.SKIPPED, StepState.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step as confirmed: everything needed to execute it, JSON-able, pinned in the journal.

    `do` is `check`, `change`, `decide` or `wait`; `what` its kind and `args` its arguments. `group` names the
    parallel group it belongs to. `identity` and `facts` are what the plan saw; `facts` is None when an earlier step
    of the same run is expected to change them.
    """

    id: str
    index: int
    do: str
    title: str
    timeout: float
    what: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    on_failure: str = "pause"
    group: str = ""
    every: float = 1.0
    samples: int = 1
    question: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    risk: str = "B0"
    identity: Mapping[str, str] | None = None
    facts: Mapping[str, Any] | None = None

    def pinned(self) -> dict[str, Any]:
        """As JSON values; options as pairs, since the journal sorts keys and people choose by order."""
        values = {name: _json(getattr(self, name)) for name in self.__dataclass_fields__}
        return {**values, "options": [list(pair) for pair in self.options.items()]}


def _json(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


@dataclass(slots=True)
class StepRun:
    """One instance of a step. A retry makes a new instance; the old one keeps its proof."""

    step: PlannedStep
    instance: int
    state: StepState = StepState.PENDING
    started_at: float | None = None
    started_mono: float | None = None
    seconds: float | None = None
    words: str = ""
    evidence: tuple[str, ...] = ()
    effect: str = ""
    intent: Mapping[str, Any] | None = None
    answered: str = ""
    choice: str = ""
    decided: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`step#instance`, as the journal names it."""
        return f"{self.step.id}#{self.instance}"

    @property
    def in_doubt(self) -> bool:
        """An effect was intended and its outcome is not recorded."""
        return self.intent is not None and self.state in (StepState.RUNNING, StepState.UNKNOWN)


@dataclass(slots=True)
class Run:
    """One run: its pinned steps, their instances, and where it stands."""

    id: str
    title: str
    actor: str
    steps: tuple[PlannedStep, ...]
    started_at: float
    started_mono: float
    runbook: str = ""
    hash: str = ""
    service: str = ""
    budget: float | None = None
    targets: tuple[str, ...] = ()
    epoch: int = 0
    state: RunState = RunState.RUNNING
    words: str = ""
    question: str = ""
    options: tuple[str, ...] = ()
    stopping: bool = False
    ended_at: float | None = None
    instances: dict[str, list[StepRun]] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Nothing will happen in it any more."""
        return self.state in ENDED

    def latest(self, step: str) -> StepRun:
        """The newest instance of a step. Raises KeyError for an unknown step."""
        return self.instances[step][-1]

    def all_steps(self) -> list[StepRun]:
        """Every instance, in plan order."""
        return [run for step in self.steps for run in self.instances[step.id]]

    def next(self) -> PlannedStep | None:
        """The first step that is not settled, or None when the run is through."""
        return next((s for s in self.steps if not self.settled(s)), None)

    def group(self, step: PlannedStep) -> list[PlannedStep]:
        """The steps that go together with a step, itself included."""
        return [s for s in self.steps if s.group == step.group] if step.group else [step]

    def asking(self) -> PlannedStep | None:
        """The first step that waits for an answer, or None."""
        waiting = (s for s in self.steps if self.latest(s.id).state is StepState.WAITING)
        return next((s for s in waiting if not self.latest(s.id).choice), None)

    def settled(self, step: PlannedStep) -> bool:
        """Done, skipped, or failed where the runbook says to go on."""
        state = self.latest(step.id).state
        return state in SETTLED or (step.on_failure == "continue" and state in UNMET)

    def shown_state(self) -> RunState:
        """The state for people: a step in doubt makes the run unknown, a requested stop stopping."""
        if self.ended:
            return self.state
        if any(s.state is StepState.UNKNOWN for s in self.all_steps()):
            return RunState.UNKNOWN
        return RunState.STOPPING if self.stopping else self.state


class RunBook:
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
            self.runs[run].words = "how it ended was erased by retention"


def _started(book: RunBook, recorded: Recorded) -> None:
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


def _lease(book: RunBook, recorded: Recorded) -> None:
    book.epoch = max(book.epoch, int(recorded.event.body["epoch"]))
    run = book.runs.get(recorded.event.run)
    if run is not None:
        run.epoch = int(recorded.event.body["epoch"])


def _run_state(state: RunState) -> Callable[[RunBook, Recorded], None]:
    def reduce(book: RunBook, recorded: Recorded) -> None:
        run = book.runs[recorded.event.run]
        if run.ended:  # what people asked for while it was ending comes too late
            return
        run.state = state
        run.words = recorded.event.body.get("words", "")
        run.question, run.options = "", ()

    return reduce


def _run_ended(book: RunBook, recorded: Recorded) -> None:
    run = book.runs[recorded.event.run]
    run.state = RunState(recorded.event.body["state"])
    run.words = recorded.event.body["words"]
    run.ended_at = recorded.at
    run.question, run.options = "", ()


def _stop_requested(book: RunBook, recorded: Recorded) -> None:
    run = book.runs[recorded.event.run]
    run.stopping = True
    run.words = recorded.event.body.get("words", "")


def _instance(book: RunBook, recorded: Recorded) -> StepRun:
    step, _, number = recorded.event.step.partition("#")
    return book.runs[recorded.event.run].instances[step][int(number) - 1]


def _step_started(book: RunBook, recorded: Recorded) -> None:
    step = _instance(book, recorded)
    step.state = StepState.RUNNING
    step.started_at, step.started_mono = recorded.at, book.mono(recorded)
    step.words = recorded.event.body.get("words", "")


def _intended(book: RunBook, recorded: Recorded) -> None:
    step = _instance(book, recorded)
    step.intent = recorded.event.body
    step.effect = recorded.event.body["effect"]


def _answered(book: RunBook, recorded: Recorded) -> None:
    step = _instance(book, recorded)
    step.answered = recorded.event.body["code"]
    step.words = recorded.event.body["words"]
    if recorded.event.body["unknown"]:
        step.state = StepState.UNKNOWN


def _outcome(book: RunBook, recorded: Recorded) -> None:
    step, body = _instance(book, recorded), recorded.event.body
    step.state = StepState(body["state"])
    step.evidence = tuple(body["evidence"])
    step.figures = body["figures"]
    step.words = body["words"]
    if step.state is StepState.DONE and step.intent is not None:
        book.durations.setdefault(step.step.what, []).append(float(body["seconds"]))


def _step_ended(book: RunBook, recorded: Recorded) -> None:
    step, body = _instance(book, recorded), recorded.event.body
    step.state = StepState(body["state"])
    step.words = body["words"]
    step.evidence = tuple(body["evidence"]) or step.evidence
    if step.started_at is not None:
        step.seconds = max(0.0, recorded.at - step.started_at)


def _skipped(book: RunBook, recorded: Recorded) -> None:
    step = _instance(book, recorded)
    step.state = StepState.SKIPPED
    step.words = f"skipped: {recorded.event.body['reason']}"


def _retried(book: RunBook, recorded: Recorded) -> None:
    old, body = _instance(book, recorded), recorded.event.body
    run = book.runs[recorded.event.run]
    if run.ended:
        return
    if old.state is not StepState.DONE:
        old.state = StepState.SUPERSEDED if old.intent is None else old.state
    planned = replace(old.step, identity=body.get("identity"), facts=body.get("facts"))
    run.instances[old.step.id].append(StepRun(planned, len(run.instances[old.step.id]) + 1))


def _asked(book: RunBook, recorded: Recorded) -> None:
    step = _instance(book, recorded)
    step.state = StepState.WAITING
    run = book.runs[recorded.event.run]
    run.state = RunState.WAITING
    run.question, run.options = recorded.event.body["question"], tuple(recorded.event.body["options"])


def _decided(book: RunBook, recorded: Recorded) -> None:
    run, step = book.runs[recorded.event.run], _instance(book, recorded)
    if run.ended or step.choice:  # the first answer counts
        return
    step.choice, step.decided = recorded.event.body["choice"], recorded.seq
    step.words = f"{recorded.event.actor} chose: {step.choice}"
    asking = run.asking()
    run.state = RunState.RUNNING if asking is None else RunState.WAITING
    run.question = "" if asking is None else asking.question
    run.options = () if asking is None else tuple(asking.options)


REDUCERS: Mapping[EventKind, Callable[[RunBook, Recorded], None]] = {
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
