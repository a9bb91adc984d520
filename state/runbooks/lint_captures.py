"""Errors of captured values: figures that a step has not, names that mean other things, places where none can stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from state.config_files.located import Located
from state.config_files.paths import Path
from state.config_files.suggestions import nearest, one_of
from state.estate.model import Estate
from state.runbooks.jumps import LintFinding
from state.runbooks.kinds import StepKinds
from state.runbooks.names import names_for
from state.runbooks.scope import Captured, Scope
from state.runbooks.steps import Step

_SAMPLES: Mapping[str, Any] = {"number": 1, "duration": 1.0, "size": "1MB"}


def captured_by(step: Step, scope: Scope, kinds: StepKinds, estate: Estate) -> Scope:
    """The scope of the steps after this one: what it and the members of its group capture, as samples."""
    for each in (step, *step.parallel):
        figures = kinds[each.what].figures if each.what in kinds else {}
        values = {}
        for name, figure in each.capture.items():
            kind = figures.get(figure, "text")
            known = sorted(names_for(estate, kind, {}) or ())
            values[name] = Captured(kind, each.id, _SAMPLES.get(kind) or next(iter(known), "x"))
        scope = scope.with_captured(each.id, values)
    return scope


def capture_findings(located: Located, step: Step, path: Path, scope: Scope, kinds: StepKinds) -> Iterator[LintFinding]:
    """Names of figures that the kind of the step has not, and an id that is a parameter or an item."""
    figures = kinds[step.what].figures if step.what in kinds else {}
    for name, figure in step.capture.items():
        where = (*path, "capture", name)
        if figure not in figures:
            message = f"what {step.what} reads: {one_of(figures) or 'nothing that can be captured'}"
            yield where, located.problem(where, repr(figure), message, nearest(figure, figures))
    if step.capture and (step.id in scope.given or "." in step.id):
        where = (*path, "id")
        message = "an id without a dot that is no parameter and no item, since it captures"
        yield where, located.problem(where, repr(step.id), message)


def late_findings(
    located: Located, step: Step, path: Path, where: Path, name: str, scope: Scope
) -> Iterator[LintFinding]:
    """A captured value stands alone, as one argument of a check or change."""
    if scope.head(name) not in scope.captured:
        return
    alone = f"${{{name}}}"
    size = len(path)
    asked = step.when.args if step.when is not None else {}
    if where[size : size + 1] == ("with",) and step.what and _stands_at(step.args, where[size + 1 :], alone):
        return
    if where[size : size + 2] == ("when", "with") and _stands_at(asked, where[size + 2 :], alone):
        return
    message = "a captured value as an argument of a check or change, and alone there"
    yield where, located.problem(where, repr(alone), message)


def _stands_at(args: Any, place: Path, alone: str) -> bool:
    """Whether it is all of one argument, also of one inside a mapping; not in a list."""
    for name in place:
        args = args.get(name) if isinstance(args, Mapping) else None
    return bool(args == alone)
