"""Runbooks as data: parameters and steps, checked when loaded, rendered to concrete steps when started.

A step is a check, a change, a decision, a wait or a group of steps at the same time; exactly one key says which.
Durations are seconds. `${name}` stands for a parameter, in arguments only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from state.config_files.located import Located
from state.config_files.paths import Path
from state.config_files.suggestions import nearest, one_of
from state.errors import BadArguments, ConfigError
from state.estate.model import Entry, Name, Role, Seconds
from state.runbooks.params import ParamSpec, convert, placeholders_in, substitute

StepKind = Literal["check", "change", "decide", "wait", "parallel"]
STEP_KINDS: tuple[StepKind, ...] = ("check", "change", "decide", "wait", "parallel")
MOST_STEPS = 200
CONTINUE, STOP = "continue", "stop"
"""The outcomes of a decision's option, besides the id of a later step to continue with."""

_DEFAULT_LIMITS: Mapping[str, float] = {"check": 10.0, "change": 0.0, "decide": 1800.0}


class Decision(Entry):
    """A question to people and what each answer means."""

    question: Annotated[str, Field(min_length=1, max_length=300)]
    options: Annotated[Mapping[str, Name], Field(min_length=1, max_length=6)]


class Step(Entry):
    """One step. `for` is how long a check is repeated, `samples` how many passes in a row it needs."""

    id: Name
    title: Annotated[str, Field(max_length=200)] = ""
    check: Name | None = None
    change: Name | None = None
    decide: Decision | None = None
    wait: Seconds | None = None
    parallel: Annotated[tuple[Step, ...], Field(max_length=50)] = ()
    args: Mapping[str, Any] = Field(default_factory=dict, alias="with")
    timeout: Seconds | None = None
    owner: Role | None = None
    on_failure: Literal["pause", "stop", "continue", "undo"] = "pause"
    every: Seconds = 1.0
    during: Seconds | None = Field(default=None, alias="for")
    samples: int = Field(default=1, ge=1, le=1000)

    @property
    def kind(self) -> StepKind:
        """Which of the five it is."""
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
        if self.kind == "parallel":
            return max((step.limit for step in self.parallel), default=0.0)
        return self.during or self.timeout or _DEFAULT_LIMITS[self.kind]

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        present = [kind for kind in STEP_KINDS if getattr(self, kind)]
        if len(present) != 1:
            found = " and ".join(present) or "none of them"
            raise ValueError(f"exactly one of check, change, decide, wait and parallel, not {found}")
        if any(step.parallel for step in self.parallel):
            raise ValueError("a group without groups inside it")
        only_checks = {"every", "during", "samples"} & self.model_fields_set
        if only_checks and self.kind != "check":
            raise ValueError("every, for and samples on checks only")
        if "args" in self.model_fields_set and not self.what:
            raise ValueError("with: on checks and changes only")
        if "timeout" in self.model_fields_set and (self.kind in {"wait", "parallel"} or self.during):
            raise ValueError("no timeout here: a wait, a group and a check with for: already have a limit")
        if self.on_failure == "undo" and self.kind in {"decide", "wait"}:
            raise ValueError("undo on checks, changes and groups only")
        return self


class Runbook(Entry):
    """One runbook. `service` is the service whose objectives the run is measured against, or a parameter `${…}`."""

    runbook: Name
    title: Annotated[str, Field(min_length=1, max_length=120)]
    description: Annotated[str, Field(max_length=4000)] = ""
    service: str | None = None
    params: Mapping[Name, ParamSpec] = Field(default_factory=dict)
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)]
    _located: Located | None = PrivateAttr(default=None)

    @property
    def hash(self) -> str:
        """SHA-256 (hex) over the canonical JSON of what is written; comments and layout do not count."""
        written = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        canonical = json.dumps(written, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def located(self) -> Located:
        """The file it came from; without a file, an empty one, so that findings can still be reported."""
        return self._located or Located({}, f"runbook {self.runbook}")

    def placed(self, located: Located) -> Runbook:
        """The same runbook with its file."""
        copy = self.model_copy()
        copy._located = located
        return copy


def flat(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """All steps in order, those of a group after their group."""
    return tuple(each for step in steps for each in (step, *step.parallel))


def values_of(runbook: Runbook, params: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every parameter, typed, defaults filled in: text, number, seconds or None.

    Raises ConfigError naming each unknown, missing or unsuitable parameter, placed where it is declared.
    """
    located, problems = runbook.located, []
    for name in params:
        if name not in runbook.params:
            message = f"a parameter of {runbook.runbook}: {one_of(runbook.params) or 'it has none'}"
            close = nearest(name, runbook.params)
            problems.append(located.problem(("params",), repr(name[:60]), message, close, key=True))
    values: dict[str, Any] = {}
    for name, spec in runbook.params.items():
        value = params.get(name, spec.default)
        if value is None and spec.required:
            message = f"a value for the parameter {name!r}: {spec.expected}"
            problems.append(located.problem(("params", name), "", message))
            continue
        try:
            values[name] = None if value is None else convert(spec, value)
        except ValueError as error:
            close = nearest(str(value), spec.choices)
            problem = located.problem(("params", name), repr(value)[:60], f"{name}: {error}", close)
            problems.append(problem if name not in params else replace(problem, file="argument", line=0, column=0))
    if problems:
        raise (BadArguments if params else ConfigError)(tuple(problems))
    return values


def render(runbook: Runbook, params: Mapping[str, Any]) -> tuple[Step, ...]:
    """The steps with every `${name}` in their arguments replaced. Raises ConfigError like `values_of`, and with the
    place of every `${name}` that is not a parameter."""
    values = values_of(runbook, params)
    missing = [found for found in placeholders(runbook) if found[1] not in values]
    if missing:
        message = f"a parameter: {one_of(runbook.params) or 'none is declared'}"
        raise ConfigError(
            tuple(
                runbook.located.problem(path, f"'${{{name}}}'", message, nearest(name, runbook.params))
                for path, name in missing
            )
        )
    return tuple(_rendered(step, values) for step in runbook.steps)


def service_of(runbook: Runbook, params: Mapping[str, Any]) -> str:
    """The service the run is about, empty when the runbook names none. Raises ConfigError like `render`."""
    return str(substitute(runbook.service, values_of(runbook, params)) or "") if runbook.service else ""


def placeholders(runbook: Runbook) -> list[tuple[Path, str]]:
    """Every `${name}` in the service and in arguments, with its path in the file."""
    found = placeholders_in(runbook.service, ("service",))
    for index, step in enumerate(runbook.steps):
        found += placeholders_in(step.args, ("steps", index, "with"))
        for inner, each in enumerate(step.parallel):
            found += placeholders_in(each.args, ("steps", index, "parallel", inner, "with"))
    return found


def _rendered(step: Step, values: Mapping[str, Any]) -> Step:
    return step.model_copy(
        update={
            "args": substitute(step.args, values),
            "parallel": tuple(_rendered(each, values) for each in step.parallel),
        }
    )
