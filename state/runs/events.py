"""What the journal records of runs, their steps and effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from state.api.run_states import RunState, StepState
from state.changes.model import ChangeSpec, Finding
from state.journal.events import WORDS, Body, Said, event
from state.ports.target import Setting
from state.runs.steps import PlannedStep
from state.units import utc


@event("run.started", starts=True)
@dataclass(frozen=True, slots=True)
class RunStarted(Body):
    """A confirmed plan became a run: everything needed to carry it out."""

    title: str
    runbook: str
    hash: str
    service: str
    budget: float | None
    targets: tuple[str, ...]
    request: Mapping[str, Any]
    steps: tuple[PlannedStep, ...]
    message: str = field(metadata=WORDS)


@event("run.paused")
class RunPaused(Said):
    """It starts no further step until it is resumed."""


@event("run.resumed")
class RunResumed(Said):
    """It continues."""


@event("run.stop-requested")
class RunStopRequested(Said):
    """It starts nothing new and ends at its next safe point."""


@event("run.ended")
@dataclass(frozen=True, slots=True)
class RunEnded(Body):
    """It is over; nothing more happens in it. `undo`: what it did is undone by a run of its own."""

    state: RunState
    message: str = field(metadata=WORDS)
    undo: bool = False

    @property
    def line(self) -> str:
        """How it ended."""
        return f"{self.state.value}: {self.message}"


@event("run.undo-refused")
class RunUndoRefused(Said):
    """A failed run should have been undone, as its runbook says, and was not."""


@event("lease.taken")
@dataclass(frozen=True, slots=True)
class LeaseTaken(Body):
    """A run has the lease on its targets, with an epoch that only grows."""

    epoch: int
    targets: tuple[str, ...]

    @property
    def line(self) -> str:
        """Epoch and targets."""
        return f"epoch {self.epoch} on {', '.join(self.targets) or 'nothing'}"


@event("step.started", starts=True)
class StepStarted(Said):
    """A step instance began."""


@event("step.ended")
@dataclass(frozen=True, slots=True)
class StepEnded(Body):
    """A step instance is over; `evidence` is what was read, `passes` a check's passes in a row. `found` are settings
    that were as the change wants them already, `figures` what a check read."""

    tells: ClassVar[tuple[str, ...]] = ("words", "evidence")
    state: StepState
    message: str = field(metadata=WORDS)
    evidence: tuple[str, ...] = ()
    passes: int = 0
    found: tuple[Setting, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """How it ended."""
        return f"{self.state.value}: {self.message}"


@event("step.skipped")
@dataclass(frozen=True, slots=True)
class StepSkipped(Body):
    """A step was left out, and why. `ruled`: by the answer of a condition that was read, as its runbook says."""

    reason: str
    ruled: bool = False

    @property
    def line(self) -> str:
        """The reason."""
        return f"skipped: {self.reason}"


@event("step.retried", starts=True)
@dataclass(frozen=True, slots=True)
class StepRetried(Body):
    """A new instance of a step that is proven not done, pinned to what was read now; `args` where they were confirmed
    anew."""

    identity: Mapping[str, str] | None
    facts: Mapping[str, Any] | None
    reason: str
    args: Mapping[str, Any] | None = None

    @property
    def line(self) -> str:
        """The reason."""
        return self.reason


@event("effect.intended", starts=True)
@dataclass(frozen=True, slots=True)
class EffectIntended(Body):
    """Durable before the first byte of an effect is sent: what, on which target, from which facts, and its undo."""

    effect: str
    epoch: int
    change: ChangeSpec
    targets: tuple[str, ...]
    identity: Mapping[str, str]
    facts: Mapping[str, Any]
    diffs: tuple[str, ...]
    undo: ChangeSpec | None
    message: str = field(metadata=WORDS)


@event("effect.answered")
@dataclass(frozen=True, slots=True)
class EffectAnswered(Body):
    """What the target answered; `unknown` when the answer proves nothing. `output` is what it said meanwhile, `sent` is
    false where it is certain that nothing reached it. `until` is when it can no longer be carried out, by the wall
    clock; None when it is over."""

    tells: ClassVar[tuple[str, ...]] = ("words", "output")
    code: str
    message: str = field(metadata=WORDS)
    unknown: bool = False
    output: tuple[str, ...] = ()
    sent: bool = True
    until: float | None = None

    @property
    def line(self) -> str:
        """Code and answer, and until when it may still be carried out."""
        said = f"{self.code}: {self.message}" if self.message else self.code
        return said if self.until is None else f"{said}; it may be carried out until {utc(self.until)}"


@event("effect.ended")
@dataclass(frozen=True, slots=True)
class EffectEnded(Body):
    """The outcome as read from the target, `figures` measured meanwhile, and the settings that the effect left.
    `unsaved`: what a reload of the target makes of them, where it should keep them; empty where it does."""

    tells: ClassVar[tuple[str, ...]] = ("words", "evidence", "unsaved")
    effect: str
    state: StepState
    finding: Finding
    evidence: tuple[str, ...]
    figures: Mapping[str, Any]
    seconds: float
    message: str = field(metadata=WORDS)
    leaves: tuple[Setting, ...] = ()
    unsaved: str = ""

    @property
    def line(self) -> str:
        """State, duration and evidence."""
        return f"{self.state.value} after {self.seconds:.1f} s: {'; '.join(self.evidence)}"


@event("effect.amended")
@dataclass(frozen=True, slots=True)
class EffectAmended(Body):
    """What is read of an effect after its outcome was recorded: it came late, or somebody else did the same since.
    `former` is the finding that was recorded."""

    tells: ClassVar[tuple[str, ...]] = ("words", "evidence")
    effect: str
    former: Finding
    state: StepState
    finding: Finding
    evidence: tuple[str, ...]
    message: str = field(metadata=WORDS)
    leaves: tuple[Setting, ...] = ()

    @property
    def line(self) -> str:
        """What it was and what is read now."""
        return f"{self.message}: {'; '.join(self.evidence)}"


@event("switch.verified")
@dataclass(frozen=True, slots=True)
class SwitchVerified(Body):
    """Whether a database was sound after its leader was switched by an effect: the worst verdict, and each finding as
    verdict, what was asked, where, what is so, what to do. It comes after the step, maybe after the run."""

    tells: ClassVar[tuple[str, ...]] = ("words", "lines")
    database: str
    effect: str
    verdict: str
    lines: tuple[tuple[str, ...], ...]
    message: str = field(metadata=WORDS)


@event("decision.asked")
@dataclass(frozen=True, slots=True)
class DecisionAsked(Body):
    """A run waits for a person's answer."""

    question: str
    options: tuple[str, ...]

    @property
    def line(self) -> str:
        """The question."""
        return self.question


@event("condition.answered")
@dataclass(frozen=True, slots=True)
class ConditionAnswered(Body):
    """A condition was asked: its answer (pass, fail or unknown), what that means here, and what was read."""

    answer: str
    meaning: str
    evidence: tuple[str, ...]

    @property
    def line(self) -> str:
        """The answer and what follows from it."""
        return f"{self.answer}: {self.meaning}"


@event("decision.made")
@dataclass(frozen=True, slots=True)
class DecisionMade(Body):
    """A person answered."""

    choice: str
    message: str = field(metadata=WORDS)
