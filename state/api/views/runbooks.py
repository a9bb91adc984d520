"""Screen 3: the library, runs and their steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.api.run_states import RunState, StepState


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a runbook or change, for forms and completion. `title` is its meaning, as its author says it."""

    name: str
    kind: str
    default: str
    choices: tuple[str, ...]
    required: bool
    title: str = ""


@dataclass(frozen=True, slots=True)
class RunbookRow:
    """One runbook of the library with its pinned hash. `lint` not empty = why it cannot be started.

    `acts` are the kinds of its changes.
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


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution: progress, timings (monotonic of this engine, None when from before it), by whom, why paused.

    `next_actions` are the verbs that are safe now, most useful first.
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


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step instance of a run: `evidence` is what was read, as text; `figures` what was measured (bytes)."""

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


@dataclass(frozen=True, slots=True)
class RunbooksView:
    """Screen 3; steps are keyed `run/step#instance`, newest runs first in `order`."""

    order: tuple[str, ...]
    library: Mapping[str, RunbookRow]
    runs: Mapping[str, RunRow]
    steps: Mapping[str, StepRow]
