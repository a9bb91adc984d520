"""Screen 3: the library, runs and their steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.api.run_states import RunState, StepState, UndoState
from state.health import Health


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a runbook or change, for forms and completion. `title` is its meaning, as its author says it.

    `of` is the parameter it follows; for each value of that one, `follows` is its default and `belongs` are its names.
    """

    name: str
    kind: str
    default: str
    choices: tuple[str, ...]
    required: bool
    title: str = ""
    of: str = ""
    follows: Mapping[str, str] = field(default_factory=dict)
    belongs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def names(self, leader: str) -> tuple[str, ...]:
        """The values it may have while the parameter it follows has a value."""
        return self.belongs.get(leader, self.choices)


def value_of(params: Mapping[str, Param], given: Mapping[str, str], name: str) -> str:
    """The value of a parameter: as given, else what follows from the others; empty for one that does not exist."""
    param = params.get(name)
    if param is None or name in given:
        return given.get(name, "")
    return param.follows.get(value_of(params, given, param.of), "") if param.of in params else param.default


@dataclass(frozen=True, slots=True)
class RunbookRow:
    """One runbook of the library with its pinned hash. `lint` not empty = why it cannot be started.

    `acts` are the kinds of its changes, also in the runbooks inside it. `applies` not empty = why this estate has
    nothing for it: that is no mistake in the file. `words` are the author's words to each line of `outline`.
    """

    name: str
    title: str
    hash: str
    steps: int
    changes: int
    params: tuple[Param, ...]
    lint: str
    last: str
    outline: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    applies: str = ""
    words: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution: progress, timings (monotonic of this engine, None when from before it), by whom, why paused.

    `next_actions` are the verbs that work now, most useful first; `steps_of` names for each the step instances
    (`step#2`) it is about, which a request for it repeats. `unmet` are the titles of checks that did not pass and
    changes that were not done: a run that is done with any is not verified. `undo_run` is the run that undoes it,
    `targets` what it may change.
    """

    id: str
    runbook: str
    title: str
    hash: str
    state: RunState
    actor: str
    service: str
    started_at: float
    elapsed: float | None
    started_mono: float | None
    budget: float | None
    done: int
    total: int
    message: str
    question: str
    options: tuple[str, ...]
    next_actions: tuple[str, ...]
    steps_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unmet: tuple[str, ...] = ()
    undo: UndoState = UndoState.NONE
    undo_run: str = ""
    targets: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Done, with every change done and every check passed."""
        return self.state is RunState.DONE and not self.unmet

    @property
    def word(self) -> str:
        """The state as shown to people: `unproven` for a run that is done without all of its proofs."""
        return "unproven" if self.state is RunState.DONE and self.unmet else self.state.value


@dataclass(frozen=True, slots=True)
class IntegrityRow:
    """One finding after a switch: verdict, what was asked, where, what is so, and what a person does."""

    health: Health
    asked: str
    where: str
    fact: str
    way_out: str


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step instance of a run: `evidence` is what was read, as text; `figures` what was measured (bytes).

    `timeout` is its limit in seconds; of a check, `passes` were in a row and `samples` are needed. `question` and
    `options` are of a decision that waits. `why`, `look_for` and `if_it_fails` are its author's words, one text a
    paragraph, of runs that have not ended. `output` is what the target of a change said, the newest last.
    `integrity` are the findings after a switch of a leader, the worst first, `integrity_said` sums them up; both are
    empty until it was looked at.
    """

    key: str
    run: str
    step: str
    instance: int
    index: int
    depth: int
    kind: str
    title: str
    owner: str
    state: StepState
    started_at: float | None
    seconds: float | None
    started_mono: float | None
    timeout: float
    message: str
    evidence: tuple[str, ...]
    effect: str
    figures: Mapping[str, float] = field(default_factory=dict)
    passes: int = 0
    samples: int = 0
    question: str = ""
    options: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    look_for: tuple[str, ...] = ()
    if_it_fails: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    integrity: tuple[IntegrityRow, ...] = ()
    integrity_said: str = ""

    @property
    def name(self) -> str:
        """`step#instance`, as requests and the journal name it."""
        return f"{self.step}#{self.instance}"


@dataclass(frozen=True, slots=True)
class RunbooksView:
    """Screen 3; steps are keyed `run/step#instance`; in `order` open runs come first, then newest first."""

    order: tuple[str, ...]
    library: Mapping[str, RunbookRow]
    runs: Mapping[str, RunRow]
    steps: Mapping[str, StepRow]
