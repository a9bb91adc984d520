"""Runbooks as data: parameters and steps, checked when loaded, expanded to concrete steps when a run is planned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, PrivateAttr

from state.config_files.located import Located
from state.config_files.paths import Path
from state.config_files.suggestions import nearest, one_of
from state.errors import BadArguments, ConfigError
from state.estate.model import Entry, Name
from state.runbooks.params import ParamSpec, convert, placeholders_in
from state.runbooks.steps import MOST_STEPS, Step, named_in, placed


class Runbook(Entry):
    """One runbook. `service` is the service whose objectives the run is measured against, or a parameter `${…}`."""

    runbook: Name
    title: Annotated[str, Field(min_length=1, max_length=120)]
    description: Annotated[str, Field(max_length=4000)] = ""
    service: str | None = None
    params: Mapping[Name, ParamSpec] = Field(default_factory=dict)
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)]
    _located: Located | None = PrivateAttr(default=None)
    _asked: frozenset[str] | None = PrivateAttr(default=None)

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

    @property
    def asked(self) -> frozenset[str]:
        """Every `${name}` without which it cannot be carried out, of parameters that are required or used: all but what
        loops go over that are left out where there is nothing, and what they leave out."""
        if self._asked is None:
            self._asked = self._named()
        return self._asked

    def _named(self) -> frozenset[str]:
        found = {
            name
            for path, step in placed(self.steps)
            for where, name in named_in(step, path)
            if where != (*path, "without") and (where != (*path, "each") or step.if_none == "refuse")
        }
        while True:
            heads = {name.partition(".")[0] for name in found} | {n for n, spec in self.params.items() if spec.required}
            specs = [spec for name, spec in self.params.items() if name in heads]
            more = {name for spec in specs for name in (*spec.derived, spec.of) if name} - found
            if not more:
                return frozenset(found | heads)
            found |= more

    def placed(self, located: Located) -> Runbook:
        """The same runbook with its file."""
        copy = self.model_copy()
        copy._located = located
        return copy


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
        value = params.get(name, None if spec.derived else spec.default)
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


def placeholders(runbook: Runbook) -> list[tuple[Path, str]]:
    """Every `${name}` of a runbook, with its path in the file."""
    found = placeholders_in(runbook.service, ("service",))
    for name, spec in runbook.params.items():
        found += placeholders_in(spec.default, ("params", name, "default"))
    for path, step in placed(runbook.steps):
        found += named_in(step, path)
    return found
