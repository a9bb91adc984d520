"""Steps as a file has them: one of check, change, decide, wait, parallel, each and runbook says what a step is.

`when` asks before a step; `why`, `look_for` and `if_it_fails` are for people. Durations are seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from state.config_files.paths import Path
from state.estate.model import Entry, Name, Seconds
from state.estate.people import Role
from state.runbooks.params import placeholders_in

StepKind = Literal["check", "change", "decide", "wait", "parallel", "each", "runbook"]
STEP_KINDS: tuple[StepKind, ...] = ("check", "change", "decide", "wait", "parallel", "each", "runbook")
MOST_STEPS = 200
MOST_DEPTH = 5
"""The most runbooks and loops inside each other."""
CONTINUE, STOP, SKIP, PAUSE, NEXT, UNDO = "continue", "stop", "skip", "pause", "next", "undo"
"""What answers mean, besides the id of a later step: go on; end the run; leave the step out; wait for a person; the
next item of the loop; undo what the run did, and end it."""
RESERVED = frozenset({CONTINUE, STOP, SKIP, PAUSE, NEXT, UNDO})

_DEFAULT_LIMITS: Mapping[str, float] = {"check": 10.0, "change": 0.0, "decide": 1800.0}

Prose = Annotated[str, Field(max_length=1000)]


class Decision(Entry):
    """A question to people and what each answer means."""

    question: Annotated[str, Field(min_length=1, max_length=300)]
    options: Annotated[Mapping[str, Name], Field(min_length=1, max_length=6)]


class Condition(Entry):
    """A check that is asked before a step, and what each of its three answers means.

    `samples` is how many equal answers in a row count, each from younger readings; without them within `for` the
    answer is unknown.
    """

    check: Name
    args: Mapping[str, Any] = Field(default_factory=dict, alias="with")
    passed: Name = CONTINUE
    failed: Name = PAUSE
    unknown: Name = PAUSE
    every: Seconds = 1.0
    during: Seconds = Field(default=10.0, alias="for")
    samples: int = Field(default=1, ge=1, le=100)

    @property
    def meanings(self) -> Mapping[str, str]:
        """What each answer means."""
        return {"pass": self.passed, "fail": self.failed, "unknown": self.unknown}

    @model_validator(mode="after")
    def _unknown_is_no_answer(self) -> Condition:
        if self.unknown in (CONTINUE, UNDO):
            raise ValueError("unknown: pause, stop, skip or a later step; without an answer nothing goes on, or back")
        if len(set(self.meanings.values())) == 1:
            raise ValueError("answers that do not all mean the same")
        return self


class Step(Entry):
    """One step. `for` is how long a check is repeated, `samples` how many passes in a row it needs.

    A loop (`each`) carries out its `steps` once for each item, which is `${as}` in them; over nothing it is refused, or
    with `if_none: skip` left out; `without` names items that it does not go over. A `runbook` is carried out in place
    of the step, `with` its parameters. `capture` names figures of a check or change for the steps after it.
    """

    id: Name
    title: Annotated[str, Field(max_length=200)] = ""
    check: Name | None = None
    change: Name | None = None
    decide: Decision | None = None
    wait: Seconds | None = None
    parallel: Annotated[tuple[Step, ...], Field(max_length=50)] = ()
    each: str | Annotated[tuple[str | int, ...], Field(min_length=1, max_length=MOST_STEPS)] | None = None
    runbook: Name | None = None
    args: Mapping[str, Any] = Field(default_factory=dict, alias="with")
    item: Name = Field(default="item", alias="as")
    order: Literal["listed", "reversed", "standbys-first"] = "listed"
    pace: Seconds | None = None
    at_once: int = Field(default=1, ge=1, le=50)
    stop_after: int = Field(default=1, ge=1, le=MOST_STEPS)
    if_none: Literal["refuse", "skip"] = "refuse"
    without: Annotated[str, Field(max_length=200)] | None = None
    steps: Annotated[tuple[Step, ...], Field(max_length=MOST_STEPS)] = ()
    capture: Annotated[Mapping[Name, Name], Field(max_length=10)] = Field(default_factory=dict)
    when: Condition | None = None
    timeout: Seconds | None = None
    owner: Role | None = None
    on_failure: Literal["pause", "stop", "continue", "undo"] = "pause"
    every: Seconds = 1.0
    during: Seconds | None = Field(default=None, alias="for")
    samples: int = Field(default=1, ge=1, le=1000)
    why: Prose = ""
    look_for: Prose = ""
    if_it_fails: Prose = ""

    @property
    def kind(self) -> StepKind:
        """Which of them it is."""
        return next((kind for kind in STEP_KINDS if getattr(self, kind)), "check")

    @property
    def what(self) -> str:
        """The kind of check or change, empty for the others."""
        return self.check or self.change or ""

    @property
    def limit(self) -> float:
        """Seconds the step may take, its own or the default of its kind; 0 for a change: its kind has one."""
        if self.kind == "wait":
            return self.wait or 0.0
        return self.during or self.timeout or _DEFAULT_LIMITS.get(self.kind, 0.0)

    @property
    def inner(self) -> tuple[Step, ...]:
        """The steps inside it: the members of a group, the body of a loop."""
        return self.parallel or self.steps

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        present = [kind for kind in STEP_KINDS if getattr(self, kind)]
        if len(present) != 1:
            found = " and ".join(present) or "none of them"
            raise ValueError(f"exactly one of check, change, decide, wait, parallel, each and runbook, not {found}")
        given, kind = self.model_fields_set, present[0]
        only_checks = {"every", "during", "samples"} & given
        if only_checks and kind != "check":
            raise ValueError("every, for and samples on checks only")
        if "args" in given and not (self.what or self.runbook):
            raise ValueError("with: on checks, changes and runbooks only")
        if "timeout" in given and (kind not in {"check", "change", "decide"} or self.during):
            raise ValueError("no timeout here: a wait, a group and a check with for: already have a limit")
        if self.on_failure == "undo" and kind in {"decide", "wait"}:
            raise ValueError("undo on checks, changes and groups only")
        if self.capture and not self.what:
            raise ValueError("capture on checks and changes only")
        if kind == "runbook" and "on_failure" in given:
            raise ValueError("no on_failure here: the steps of the runbook have their own")
        return self

    @model_validator(mode="after")
    def _inside(self) -> Step:
        given = self.model_fields_set
        of_loops = {"item", "order", "pace", "at_once", "stop_after", "if_none", "without", "steps"}
        if of_loops & given and self.each is None:
            raise ValueError("as, order, pace, at_once, stop_after, if_none, without and steps on each only")
        named = placeholders_in(self.without, ())
        if self.without is not None and [f"${{{name}}}" for _, name in named] != [self.without]:
            raise ValueError("without: a parameter whose items are left out, such as ${gone}")
        if self.each is not None and not self.steps:
            raise ValueError("steps: what is done for each item")
        if any(step.kind in ("parallel", "each", "runbook") for step in self.parallel):
            raise ValueError("a group without groups, loops and runbooks inside it")
        if any(step.when for step in self.parallel):
            raise ValueError("a group without conditions inside it: when on the group itself")
        if self.at_once > 1 and (len(self.steps) > 1 or self.steps[0].inner or self.steps[0].runbook):
            raise ValueError("at_once above 1 for a loop of one check, change, wait or question only")
        if self.at_once > 1 and self.steps[0].when:
            raise ValueError("at_once above 1 without a condition inside: when on the loop itself")
        return self

    @property
    def prose(self) -> tuple[str, str, str]:
        """Why it is done, what to look for, and what to do if it fails."""
        return self.why, self.look_for, self.if_it_fails

    @property
    def texts(self) -> Iterator[tuple[Path, Any]]:
        """Every value of this step itself in which `${…}` is replaced, with its path below the step."""
        yield ("with",), self.args
        yield ("each",), self.each
        yield ("without",), self.without
        for name in ("title", "why", "look_for", "if_it_fails"):
            yield (name,), getattr(self, name)
        if self.decide is not None:
            yield ("decide", "question"), self.decide.question
        if self.when is not None:
            yield ("when", "with"), self.when.args


def placed(steps: tuple[Step, ...], under: Path = ("steps",)) -> Iterator[tuple[Path, Step]]:
    """Every step with its path in the file, those inside a step after it."""
    for index, step in enumerate(steps):
        path: Path = (*under, index)
        yield path, step
        yield from placed(step.inner, (*path, "parallel" if step.parallel else "steps"))


def named_in(step: Step, path: Path) -> list[tuple[Path, str]]:
    """Every `${name}` in a step itself, with its path in the file."""
    return [found for below, value in step.texts for found in placeholders_in(value, (*path, *below))]
