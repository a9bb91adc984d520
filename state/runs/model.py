"""Runs: one execution of a runbook, or of a single change, with its pinned steps and their instances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from state.api.run_states import RunState, StepState, UndoState
from state.changes.model import ChangeSpec, Finding
from state.journal.events import Instant
from state.ports.target import Setting
from state.runs.events import EffectIntended
from state.runs.steps import PlannedStep
from state.units import rfc3339

UNDO = "undo"
"""The meaning of an answer: the run ends as failed, and what it did is undone."""
ENDED = (RunState.DONE, RunState.FAILED, RunState.STOPPED)


UNMET = (StepState.FAILED, StepState.NOT_DONE)


HELD = (*UNMET, StepState.STOPPED)
"""States of a step that ended without success: it is retried, skipped, or its policy applies."""


SETTLED = (StepState.DONE, StepState.NOT_VERIFIED, StepState.SKIPPED, StepState.SUPERSEDED)


OPEN = (StepState.PENDING, StepState.RUNNING, StepState.WAITING, StepState.UNKNOWN)


@dataclass(slots=True)
class StepRun:
    """One instance of a step. A retry makes a new instance; the old one keeps its evidence.

    `passes` are a check's passes in a row. `finding` is the outcome of its effect as it was last read, None before: by
    this instance, or by a retry that found it done and sent nothing. `sent` is false where it is certain that nothing
    reached the target. `leaves` are the settings that its effect left. `output` is what its target said, as recorded;
    `heard` says it while the effect is under way.
    `intended` is when its intent was recorded, `outcome` when its outcome was; `unanswered`: no answer told what became
    of it, and until the wall time `until` it may be carried out. `amended` is the finding that a later one corrected.
    `left_out`: a person skipped it or jumped over it; an effect in flight is still settled by reading. `decided` is
    the entry that answered it or left it out: the first one counts. `choice` is that answer, of a condition pass, fail
    or unknown. `ruled`: a condition left it out, by an answer that was read. `took` are the seconds of an effect that
    is done. `unsaved`: a reload of its target does not keep what it set, and why.
    """

    step: PlannedStep
    instance: int
    state: StepState = StepState.PENDING
    started: Instant | None = None
    started_mono: float | None = None
    seconds: float | None = None
    took: float | None = None
    message: str = ""
    evidence: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    heard: Callable[[], tuple[str, ...]] | None = None
    leaves: tuple[Setting, ...] = ()
    effect: str = ""
    intent: EffectIntended | None = None
    sent: bool = True
    intended: Instant | None = None
    until: float | None = None
    unanswered: bool = False
    outcome: Instant | None = None
    amended: Finding | None = None
    finding: Finding | None = None
    answered: str = ""
    choice: str = ""
    decided: int = 0
    passes: int = 0
    left_out: bool = False
    ruled: bool = False
    figures: Mapping[str, Any] = field(default_factory=dict)
    integrity: tuple[tuple[str, ...], ...] = ()
    integrity_said: str = ""
    unsaved: str = ""

    @property
    def key(self) -> str:
        """`step#instance`, as the journal names it."""
        return f"{self.step.id}#{self.instance}"

    @property
    def said(self) -> tuple[str, ...]:
        """What the target of its effect said, or has said so far."""
        return self.output if self.output or self.heard is None else self.heard()

    @property
    def in_doubt(self) -> bool:
        """An effect was intended and its outcome is not recorded."""
        return self.intent is not None and self.finding is None

    @property
    def asks(self) -> bool:
        """It is a question that waits for an answer."""
        return self.state is StepState.WAITING and not self.choice

    @property
    def unsure(self) -> bool:
        """A condition that got no answer, and led on without one."""
        return self.step.do == "when" and self.choice == "unknown"

    @property
    def reverts(self) -> bool:
        """A condition whose answer says that what was done is undone."""
        return self.step.do == "when" and self.step.answers.get(self.choice) == UNDO

    @property
    def begun(self) -> bool:
        """A question or a wait that has begun, or a condition that was answered: it continues while its run is paused
        and across a restart."""
        waits = self.state is StepState.RUNNING and (self.step.do == "wait" or bool(self.choice))
        return waits or self.state is StepState.WAITING

    @property
    def acted(self) -> bool:
        """It changed something, or may have."""
        return self.finding in (Finding.DONE, Finding.PARTIAL, Finding.NOT_VERIFIED)

    @property
    def undo(self) -> ChangeSpec | None:
        """The change that undoes its effect: when it is done, not verified, or partly done unless that needs another
        way."""
        half = self.finding is Finding.PARTIAL and self.step.risk not in ("B3", "B4")
        perhaps = half or self.finding in (Finding.DONE, Finding.NOT_VERIFIED)
        return self.intent.undo if self.intent is not None and perhaps else None


@dataclass(slots=True)
class Run:
    """One run: its pinned steps, their instances, and its state. What waits for people follows from its steps.

    `leaves_behind`: of an undo, the steps of the undone run that no change undoes. `entries` are the numbers of the
    entries that it follows from.
    """

    id: str
    title: str
    actor: str
    steps: tuple[PlannedStep, ...]
    started: Instant
    started_mono: float
    runbook: str = ""
    hash: str = ""
    service: str = ""
    budget: float | None = None
    targets: tuple[str, ...] = ()
    epoch: int = 0
    state: RunState = RunState.RUNNING
    message: str = ""
    stopping: bool = False
    undoing: bool = False
    undo_refused: bool = False
    undo_of: str = ""
    leaves_behind: tuple[str, ...] = ()
    undone_by: str = ""
    undone: bool = False
    ended_at: float | None = None
    elapsed: float | None = None
    instances: dict[str, list[StepRun]] = field(default_factory=dict)
    entries: list[int] = field(default_factory=list)

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

    def standing(self) -> list[StepRun]:
        """What the run stands at: its first step that is not settled, with the others of its group."""
        step = self.next()
        return [self.latest(s.id) for s in self.group(step) if not self.settled(s)] if step is not None else []

    def asking(self) -> list[StepRun]:
        """The questions that wait for an answer."""
        return [] if self.ended else [s for s in (self.latest(p.id) for p in self.steps) if s.asks]

    def settled(self, step: PlannedStep) -> bool:
        """Done, skipped, left out, or failed where the runbook says continue."""
        latest = self.latest(step.id)
        if latest.in_doubt:
            return False
        if latest.left_out and latest.state not in OPEN:
            return True
        if latest.state in SETTLED:
            return True
        return latest.state in UNMET and (step.on_failure == "continue" or self.tolerated(step))

    def tolerated(self, step: PlannedStep) -> bool:
        """It failed in a loop that goes on: not so many of its items have failed, up to this one."""
        if step.stop_after < 2:
            return False
        failed = {s.item for s in self.steps if s.loop == step.loop and s.item <= step.item and self._fails_item(s)}
        return len(failed) < step.stop_after

    def item_failed(self, step: PlannedStep) -> bool:
        """Another step of its item of a loop failed, and the loop goes on without the rest of the item."""
        if step.stop_after < 2:
            return False
        same = (s for s in self.steps if (s.loop, s.item) == (step.loop, step.item) and s is not step)
        return any(self._fails_item(s) and self.tolerated(s) for s in same)

    def _fails_item(self, step: PlannedStep) -> bool:
        latest = self.latest(step.id)
        return step.on_failure != "continue" and latest.state in UNMET and not (latest.in_doubt or latest.left_out)

    def unmet(self) -> list[StepRun]:
        """The checks that did not pass, the changes that were not done and the questions that nobody answered, in the
        run's order. What a condition left out is none of them, but a check after a change that nothing else proves."""
        asked = [self.latest(s.id) for s in self.steps if s.do != "wait"]
        done = [s.step.index for s in asked if s.step.do == "change" and s.state is StepState.DONE]
        proofs = [s.step.index for s in asked if s.step.do == "check" and s.state is StepState.DONE]

        def excused(s: StepRun) -> bool:
            before = [index for index in done if index < s.step.index]
            bare = s.step.do == "check" and bool(before) and max(proofs, default=-1) < before[-1]
            return s.ruled and not bare

        return [s for s in asked if s.unsure or not (s.state is StepState.DONE or excused(s))]

    def reference(self, step: StepRun) -> str:
        """The name of its effect for targets, which keep it longer than a journal lasts: no other run has it."""
        return f"{self.id}/{step.key}@{rfc3339(self.started.at) or self.started.at}"

    def lasting(self) -> list[str]:
        """The titles of the steps that changed something and that no change undoes."""
        kept = dict.fromkeys(s.step.id for s in self.all_steps() if s.acted and s.undo is None)
        undone = {s.step.id for s in self.all_steps() if s.undo is not None}
        return [self.latest(step).step.title for step in kept if step not in undone]

    def half_done(self) -> frozenset[str]:
        """Those of them that a change would undo were they whole: what it would find is to be looked at first."""
        half = {s.step.id for s in self.all_steps() if s.acted and s.intent is not None and s.intent.undo is not None}
        return frozenset(self.latest(step).step.title for step in half)

    def found_done(self, step: StepRun, found: tuple[Setting, ...]) -> None:
        """What an earlier instance sent reads done at its retry: it may be the run's own doing, which its undo takes
        back. A reading of "not done" proves nothing for ever: what was sent may have been at work still."""
        before = reversed(self.instances[step.step.id][: step.instance - 1])
        earlier = next((each for each in before if each.intent is not None and each.sent), None)
        if earlier is not None:
            earlier.finding, earlier.leaves = Finding.DONE, found

    def undos(self) -> list[ChangeSpec]:
        """What undoes everything the run did, last effect first."""
        return [s.undo for s in self.undoable() if s.undo is not None]

    def undoable(self) -> list[StepRun]:
        """The steps that their undo takes back, the last one first; none that the run has taken back itself."""
        back = {s.step.id.removeprefix("back-") for s in self.all_steps() if s.step.ends and s.acted}
        mine = (s for s in reversed(self.all_steps()) if s.undo is not None)
        return [s for s in mine if s.step.id.removeprefix("back-") not in back]

    def parts_done(self) -> int:
        """How many changes of a set are done."""
        return sum(self.latest(s.id).state is StepState.DONE for s in self.steps if s.part)

    @property
    def undo_state(self) -> UndoState:
        """What is known about its undo; decided here, for screens, verbs and plans."""
        if self.undone:
            return UndoState.DONE
        if self.undone_by:
            return UndoState.RUNNING
        if self.undoing:
            return UndoState.ANNOUNCED
        if not self.ended or not self.undos():
            return UndoState.NONE
        return UndoState.REFUSED if self.undo_refused else UndoState.POSSIBLE

    def shown_state(self) -> RunState:
        """The state for people: a step in doubt makes it unknown, a requested stop stopping, a question waiting."""
        if self.ended:
            return self.state
        if any(s.state is StepState.UNKNOWN for s in self.all_steps()):
            return RunState.UNKNOWN
        if self.stopping:
            return RunState.STOPPING
        return RunState.WAITING if self.state is RunState.RUNNING and self.asking() else self.state
