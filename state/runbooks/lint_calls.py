"""Errors where a runbook carries out another one: its name, its parameters, and ways that lead back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from state.config_files.literal_secrets import shown
from state.config_files.paths import Path
from state.config_files.suggestions import nearest, one_of
from state.errors import ConfigError
from state.estate.model import Estate
from state.runbooks.books import Books, calls
from state.runbooks.expand import unknown_runbook
from state.runbooks.jumps import LintFinding
from state.runbooks.model import Runbook, values_of
from state.runbooks.names import names_for
from state.runbooks.params import NAMES, placeholders_in, substitute
from state.runbooks.related import any_node, followed
from state.runbooks.scope import Scope
from state.runbooks.steps import MOST_DEPTH, Step


def call_findings(
    runbook: Runbook, books: Books, estate: Estate, path: Path, step: Step, scope: Scope
) -> Iterator[LintFinding]:
    """Every error of one step that carries out a runbook."""
    located, name, at_name = runbook.located, step.runbook or "", (*path, "runbook")
    called = books.get(name)
    if called is None:
        others = {other: book for other, book in books.items() if other != runbook.runbook}
        yield at_name, unknown_runbook(runbook, at_name, name, others).problems[0]
        return
    way = _way_back(called, runbook.runbook, books)
    if way:
        message = f"a runbook that does not lead back: {' → '.join([runbook.runbook, *way])}"
        yield at_name, located.problem(at_name, repr(name), message)
        return
    given = list(_argument_findings(runbook, called, estate, path, step, scope))
    yield from given
    if not given:
        yield from _value_findings(runbook, called, estate, path, step, scope)


def _argument_findings(
    runbook: Runbook, called: Runbook, estate: Estate, path: Path, step: Step, scope: Scope
) -> Iterator[LintFinding]:
    """Arguments that are no parameters there, or of another kind; names that the estate does not have."""
    located = runbook.located
    for given, written in step.args.items():
        where = (*path, "with", given)
        spec = called.params.get(given)
        if spec is None:
            message = f"a parameter of {called.runbook}: {one_of(called.params) or 'it has none'}"
            yield where, located.problem(where, repr(given), message, nearest(given, called.params), key=True)
            continue
        for _, used in placeholders_in(written, ()):
            meaning = scope.meaning(used)
            wrong = meaning.kind in NAMES and spec.kind in NAMES and meaning.kind != spec.kind
            if meaning.many or (wrong and {meaning.kind, spec.kind} != {"server", "colour"}):
                found = "many values" if meaning.many else meaning.kind
                yield where, located.problem(where, shown(where, written), f"a {spec.kind}, not {found}")
                break
        names = names_for(estate, spec.kind, {}) if spec.kind in NAMES and isinstance(written, str) else None
        value = substitute(written, scope)
        if names is not None and value is not None and str(value) not in names and not placeholders_in(written, ()):
            message = f"a {spec.kind} of the estate: {one_of(names) or 'it has none'}"
            yield where, located.problem(where, shown(where, written), message, nearest(str(value), names))


def _value_findings(
    runbook: Runbook, called: Runbook, estate: Estate, path: Path, step: Step, scope: Scope
) -> Iterator[LintFinding]:
    """What the called runbook says of the values, where all of them are known."""
    located = runbook.located
    opened = {each for each, value in step.args.items() if any(scope.is_open(n) for _, n in placeholders_in(value, ()))}
    args = {key: value for key, value in substitute(step.args, scope).items() if value is not None}
    try:
        values_of(called, followed(called, args, estate, any_node(estate)))
    except ConfigError as error:
        if not opened:
            where = (*path, "with") if "args" in step.model_fields_set else (*path, "runbook")
            line, column = located.where(where)
            for problem in error.problems:
                yield where, replace(problem, file=located.file, line=line, column=column)


def _way_back(called: Runbook, to: str, books: Books, depth: int = 0) -> list[str]:
    """The names from a runbook back to another one, or into a circle; empty when there is no such way."""
    if called.runbook == to or depth > MOST_DEPTH:
        return [called.runbook]
    for name in calls(called):
        if name in books and (rest := _way_back(books[name], to, books, depth + 1)):
            return [called.runbook, *rest]
    return []
