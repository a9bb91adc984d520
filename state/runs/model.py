"""Runs: one execution of a runbook, or of a single change, with its pinned steps and their instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from state.api.run_states import RunState, StepState
from state.runs.events import EffectIntended
from state.runs.steps import PlannedStep

ENDED = (RunState.DONE, RunState.FAILED, RunState.STOPPED)


UNMET = (StepState.FAILED, StepState.NOT_DONE)


SETTLED = (StepState.DONE, StepState.SKIPPED, StepState.SUPERSEDED)


@dataclass(slots=True)
class StepRun:
    """One instance of a step. A retry makes a new instance; the old one keeps its evidence."""

    step: PlannedStep
    instance: int
    state: StepState = StepState.PENDING
    started_at: float | None = None
    started_mono: float | None = None
    seconds: float | None = None
    message: str = ""
    evidence: tuple[str, ...] = ()
    effect: str = ""
    intent: EffectIntended | None = None
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
    """One run: its pinned steps, their instances, and its state."""

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
    message: str = ""
    question: str = ""
    options: tuple[str, ...] = ()
    stopping: bool = False
    undoing: bool = False
    ended_at: float | None = None
    instances: dict[str, list[StepRun]] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state in ENDED

    def latest(self, step: str) -> StepRun:
        """The newest instance of a step. Raises KeyError for an unknown step."""
        return self.instances[step][-1]

    def all_steps(self) -> list[StepRun]:
        """Every instance, in plan order."""
        return [run for step in self.steps for run in self.instances[step.id]]

    def next(self) -> PlannedStep | None:
        """The first step that is not settled, or None when all are."""
        return next((s for s in self.steps if not self.settled(s)), None)

    def group(self, step: PlannedStep) -> list[PlannedStep]:
        """The steps of a step's parallel group, itself included."""
        return [s for s in self.steps if s.group == step.group] if step.group else [step]

    def asking(self) -> PlannedStep | None:
        """The first step that waits for an answer, or None."""
        waiting = (s for s in self.steps if self.latest(s.id).state is StepState.WAITING)
        return next((s for s in waiting if not self.latest(s.id).choice), None)

    def settled(self, step: PlannedStep) -> bool:
        """Done, skipped, or failed where the runbook says continue."""
        state = self.latest(step.id).state
        return state in SETTLED or (step.on_failure == "continue" and state in UNMET)

    def shown_state(self) -> RunState:
        """The state for people: a step in doubt makes the run unknown, a requested stop stopping."""
        if self.ended:
            return self.state
        if any(s.state is StepState.UNKNOWN for s in self.all_steps()):
            return RunState.UNKNOWN
        return RunState.STOPPING if self.stopping else self.state
