"""A runbook file becomes a `Runbook`, or one ConfigError; less severe problems are returned as warnings."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from state.config_files.explain import explain
from state.config_files.located import Located
from state.config_files.paths import Path, at
from state.config_files.quantities import written_for
from state.config_files.suggestions import nearest, one_of
from state.errors import ConfigError, Problem
from state.estate.model import Estate
from state.estate.parse import first_of_each, secret_problems
from state.runbooks.books import Books
from state.runbooks.kinds import StepKinds
from state.runbooks.lint import Lint
from state.runbooks.model import Runbook
from state.runbooks.steps import MOST_DEPTH
from state.runbooks.warnings import lint_warnings


def lint_runbook(
    located: Located,
    estate: Estate,
    change_kinds: StepKinds,
    check_kinds: StepKinds,
    books: Books = MappingProxyType({}),
) -> tuple[Runbook, tuple[Problem, ...]]:
    """The runbook and warnings, without any connection. Raises ConfigError with every problem. `books` are the others
    of the library, which it may carry out."""
    if not isinstance(located.data, dict):
        raise ConfigError((located.problem((), "", "a mapping that begins with `runbook: <name>`"),))
    findings = list(secret_problems(located))
    hidden = [path for path, _ in findings]
    findings += _unknown_kinds(located, change_kinds, check_kinds)
    written = written_for(Runbook, located.data)
    runbook: Runbook | None = None
    try:
        runbook = Runbook.model_validate(written.data).placed(located)
    except (ValidationError, RecursionError) as error:
        findings += explain(located, error, written) if isinstance(error, ValidationError) else [_too_deep(located)]
    if runbook is not None:
        findings += Lint(runbook, estate, {**check_kinds, **change_kinds}, books).problems()
    problems = first_of_each(findings, hidden)
    if problems or runbook is None:
        raise ConfigError(problems)
    warnings = sorted(lint_warnings(runbook, estate, books), key=lambda p: (p.line, p.column))
    return runbook, tuple(warnings)


def structure_of(located: Located) -> Runbook | None:
    """The runbook when its structure is valid, whatever else is wrong: what others may carry out."""
    try:
        return Runbook.model_validate(written_for(Runbook, located.data).data).placed(located)
    except (ValidationError, RecursionError):
        return None


def _too_deep(located: Located) -> tuple[Path, Problem]:
    return ("steps",), located.problem(("steps",), "more", f"at most {MOST_DEPTH} loops inside each other")


def _unknown_kinds(located: Located, changes: StepKinds, checks: StepKinds) -> list[tuple[Path, Problem]]:
    findings = []
    for path, _ in _written_steps(located.data, ()):
        asked: list[tuple[Path, str, StepKinds]] = [((*path, "check"), "check", checks)]
        asked += [((*path, "change"), "change", changes), ((*path, "when", "check"), "check", checks)]
        for where, word, kinds in asked:
            kind = at(located.data, where)
            if isinstance(kind, str) and kind not in kinds:
                message = f"a {word}: {one_of(kinds)}"
                findings.append((where, located.problem(where, repr(kind[:60]), message, nearest(kind, kinds))))
    return findings


def _written_steps(node: Any, path: Path, depth: int = 0) -> Iterator[tuple[Path, Any]]:
    """Every step of a file, whatever else is wrong with it."""
    for name in ("steps", "parallel"):
        inner = node.get(name) if isinstance(node, dict) and depth < 2 * MOST_DEPTH else None
        for index, step in enumerate(inner if isinstance(inner, list) else ()):
            here = (*path, name, index)
            yield here, step
            yield from _written_steps(step, here, depth + 1)
