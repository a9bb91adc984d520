"""A runbook file becomes a `Runbook`, or one ConfigError; less severe problems are returned as warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pydantic import BaseModel, ValidationError

from state.config_files.explain import explain
from state.config_files.located import Located
from state.config_files.paths import Path, select
from state.config_files.quantities import written_for
from state.config_files.suggestions import nearest, one_of
from state.errors import ConfigError, Problem
from state.estate.model import Estate
from state.estate.parse import first_of_each, secret_problems
from state.runbooks.lint import Lint, lint_warnings
from state.runbooks.model import Runbook


class StepKind(Protocol):
    """A kind of change or check, as a file needs it."""

    @property
    def args(self) -> type[BaseModel]: ...


StepKinds = Mapping[str, StepKind]
"""Kinds by name."""


def lint_runbook(
    located: Located, estate: Estate, change_kinds: StepKinds, check_kinds: StepKinds
) -> tuple[Runbook, tuple[Problem, ...]]:
    """The runbook and warnings, without any connection. Raises ConfigError with every problem."""
    if not isinstance(located.data, dict):
        raise ConfigError((located.problem((), "", "a mapping that begins with `runbook: <name>`"),))
    findings = list(secret_problems(located))
    hidden = [path for path, _ in findings]
    findings += _unknown_kinds(located, "check", check_kinds)
    findings += _unknown_kinds(located, "change", change_kinds)
    written = written_for(Runbook, located.data)
    runbook: Runbook | None = None
    try:
        runbook = Runbook.model_validate(written.data).placed(located)
    except ValidationError as error:
        findings += explain(located, error, written)
    if runbook is not None:
        models: dict[str, type[BaseModel]] = {name: check.args for name, check in check_kinds.items()}
        models |= {name: change.args for name, change in change_kinds.items()}
        findings += Lint(runbook, estate, models).problems()
    problems = first_of_each(findings, hidden)
    if problems or runbook is None:
        raise ConfigError(problems)
    warnings = sorted(lint_warnings(runbook, estate), key=lambda p: (p.line, p.column))
    return runbook, tuple(warnings)


def _unknown_kinds(located: Located, step_kind: str, kinds: StepKinds) -> list[tuple[Path, Problem]]:
    found = [*select(located.data, ("steps", "*", step_kind))]
    found += select(located.data, ("steps", "*", "parallel", "*", step_kind))
    message = f"a {step_kind}: {one_of(kinds)}"
    return [
        (path, located.problem(path, repr(kind[:60]), message, nearest(kind, kinds)))
        for path, kind in found
        if isinstance(kind, str) and kind not in kinds
    ]
