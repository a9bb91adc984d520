"""Rules across several keys of a runbook: names of the estate, arguments, parameters, what is inside."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from state.config_files.explain import explain
from state.config_files.literal_secrets import shown
from state.config_files.paths import Path
from state.config_files.quantities import written_for
from state.config_files.suggestions import nearest, one_of
from state.errors import ConfigError
from state.estate.arguments import unfit_values
from state.estate.model import Estate
from state.runbooks.books import Books
from state.runbooks.expand import TooMuch, expand, items_of
from state.runbooks.jumps import LintFinding, id_findings, jump_findings
from state.runbooks.kinds import StepKinds
from state.runbooks.lint_calls import call_findings
from state.runbooks.lint_captures import capture_findings, captured_by, late_findings
from state.runbooks.lint_params import IN_QUOTES, LintParams
from state.runbooks.model import Runbook
from state.runbooks.names import argument_kind, declared_values, names_for
from state.runbooks.params import NAMES, placeholders_in, substitute
from state.runbooks.related import any_node, unfit
from state.runbooks.scope import Scope, Unresolved
from state.runbooks.steps import Step, named_in, placed


class Lint:
    """The errors of one runbook that has a valid structure. `kinds` are all of checks and changes, `books` the
    other runbooks of the library."""

    def __init__(self, runbook: Runbook, estate: Estate, kinds: StepKinds, books: Books) -> None:
        self._runbook, self._estate, self._kinds = runbook, estate, kinds
        self._books = {**books, runbook.runbook: runbook}
        self._located = runbook.located

    def problems(self) -> list[LintFinding]:
        """Every error with its path."""
        params = LintParams(self._runbook, self._estate)
        found = [finding for name in self._runbook.params for finding in params.problems(name)]
        scope = params.scope(any_node(self._estate))
        found += id_findings(self._located, self._runbook.steps)
        found += jump_findings(self._located, self._runbook.steps)
        found += self._limits()
        unresolved = [*self._unresolved(("service",), self._runbook.service, scope)]
        unresolved += self._names(self._runbook.steps, ("steps",), scope)
        found += unresolved
        if not unresolved and not unfit(self._runbook, self._estate, self._books):
            found += self._service(scope)
            found += self._first(self._steps(self._runbook.steps, ("steps",), scope))
            found += self._whole(scope) if not found else []
        return found

    def _first(self, findings: Iterator[LintFinding]) -> Iterator[LintFinding]:
        """Each once: the steps of a loop are looked at for each item."""
        seen: set[tuple[Path, str]] = set()
        for path, problem in findings:
            if (path, str(problem)) not in seen:
                seen.add((path, str(problem)))
                yield path, problem

    def _whole(self, scope: Scope) -> Iterator[LintFinding]:
        """It can be laid out: loops over something, at most so many steps, each id once."""
        given = {name: scope.given[name] for name in scope.open if scope.given[name] is not None}
        try:
            expand(self._runbook, given, self._estate, self._books, any_node(self._estate))
        except ConfigError as error:
            if isinstance(error, TooMuch) or not scope.open:
                line, column = self._located.where_key(("steps",))
                for each in error.problems:  # those inside another runbook are told where this one has its steps
                    here = each.file == self._located.file and each.line > 0
                    place = each if here else replace(each, file=self._located.file, line=line, column=column)
                    yield ("steps",), place

    def _unresolved(self, path: Path, value: Any, scope: Scope) -> Iterator[LintFinding]:
        for where, name in placeholders_in(value, path):
            yield from self._meant(where, name, scope)

    def _meant(self, path: Path, name: str, scope: Scope) -> Iterator[LintFinding]:
        try:
            scope.meaning(name)
        except Unresolved as error:
            yield path, self._located.problem(path, repr(f"${{{name[:60]}}}"), error.expected, error.close)

    def _names(
        self, steps: tuple[Step, ...], under: Path, scope: Scope, *, together: bool = False
    ) -> Iterator[LintFinding]:
        """Every `${…}` stands for something; loops have an item of their own."""
        for index, step in enumerate(steps):
            path = (*under, index)
            outer = [*named_in(step, path)]
            for where, name in outer:
                yield from self._meant(where, name, scope)
                yield from late_findings(self._located, step, path, where, name, scope)
            yield from self._names(step.parallel, (*path, "parallel"), scope, together=True)
            yield from capture_findings(self._located, step, path, scope, self._kinds)
            if not together:
                scope = captured_by(step, scope, self._kinds, self._estate)
            if step.each is None:
                continue
            if step.item in scope.given or "." in step.item:
                where = (*path, "as")
                message = "a name of its own without a dot, no parameter and no item around it"
                yield where, self._located.problem(where, repr(step.item), message)
            try:
                kind = items_of(step, scope).kind
            except Unresolved as error:
                where = (*path, "each")
                if not any(placed_at == where for placed_at, _ in outer) or "." not in str(step.each):
                    yield where, self._located.problem(where, repr(step.each), error.expected, error.close)
                kind = ""
            inside = scope.with_item(step.item, kind, "x", unknown=True)
            yield from self._names(step.steps, (*path, "steps"), inside)

    def _service(self, scope: Scope) -> Iterator[LintFinding]:
        service = self._runbook.service
        if service is not None and not self._open(service, scope):
            value, names = substitute(service, scope), self._estate.services
            if value not in (None, *names):  # a database may have no service that needs it
                yield self._unknown(("service",), str(value), "service", names)

    def _limits(self) -> Iterator[LintFinding]:
        """The passes in a row that a check needs fit into the time it has."""
        for path, step in placed(self._runbook.steps):
            asked = [(path, step.samples, step.every, step.limit)] if step.kind == "check" else []
            if step.when is not None:
                asked.append(((*path, "when"), step.when.samples, step.when.every, step.when.during))
            for where, samples, every, limit in asked:
                if (samples - 1) * every > limit:
                    least = (samples - 1) * every
                    message = f"passes that fit into {limit:g} s: {samples} take {least:g} s or more"
                    yield (*where, "samples"), self._located.problem((*where, "samples"), str(samples), message)

    def _steps(self, steps: tuple[Step, ...], under: Path, scope: Scope) -> Iterator[LintFinding]:
        """Arguments, also of what is inside, those of a loop with each of its items."""
        for index, step in enumerate(steps):
            path = (*under, index)
            if step.what:
                yield from self._arguments((*path, "with"), step.what, step.args, scope)
            if step.when is not None:
                yield from self._arguments((*path, "when", "with"), step.when.check, step.when.args, scope)
            if step.runbook is not None:
                yield from call_findings(self._runbook, self._books, self._estate, path, step, scope)
            yield from self._steps(step.parallel, (*path, "parallel"), scope)
            if step.each is not None:
                opened = self._open(step.each, scope)
                found = items_of(step, scope)
                yield from self._items((*path, "each"), step, opened=opened, items=found.items)
                for item in found.items:
                    bound = scope.with_item(step.item, found.kind, item, unknown=opened)
                    yield from self._steps(step.steps, (*path, "steps"), bound)
            scope = captured_by(step, scope, self._kinds, self._estate)

    def _items(self, path: Path, step: Step, *, opened: bool, items: tuple[Any, ...]) -> Iterator[LintFinding]:
        if not items and not opened and step.if_none == "refuse":
            message = "something to go over, but there is none in this estate"
            yield path, self._located.problem(path, repr(step.each), message)
        for index, item in enumerate(items if isinstance(step.each, tuple) else ()):
            if item in items[:index]:
                yield (*path, index), self._located.problem((*path, index), repr(item), "each item once")

    def _arguments(self, base: Path, kind: str, written_args: Mapping[str, Any], scope: Scope) -> Iterator[LintFinding]:
        if kind not in self._kinds:
            return
        model = self._kinds[kind].args
        args = substitute(written_args, scope)
        written = written_for(model, args, bare_numbers=True)
        invalid: set[Path] = set()
        try:
            model.model_validate(written.data)
        except ValidationError as error:
            for where, problem in explain(self._located, error, written, base):
                invalid.add(where)
                # The sample is not the value of the run, which is checked when it is given.
                name = str(where[len(base)]) if len(where) > len(base) else ""
                used = placeholders_in(written_args.get(name), ())
                if not self._open(written_args.get(name), scope):
                    yield where, problem
                elif any(scope.meaning(each).many for _, each in used):
                    many = f"one {name}, not many: a loop goes over them"
                    yield where, self._located.problem(where, shown(where, written_args[name]), many)
        if not invalid:
            yield from self._own_values(base, written_args, args, scope)
        for name in written_args:
            if (*base, name) not in invalid:
                yield from self._argument((*base, name), name, written_args, args, scope)

    def _own_values(
        self, base: Path, written: Mapping[str, Any], args: Mapping[str, Any], scope: Scope
    ) -> Iterator[LintFinding]:
        """The values of an own command, call or statement, as far as they are known."""
        specs = declared_values(self._estate, args)
        if specs is None:
            return
        given = written.get("args", {})
        for name, value in given.items():
            if name in specs and specs[name].kind != "number" and isinstance(value, int | float):
                where = (*base, "args", name)
                yield where, self._located.problem(where, shown(where, value), f"{specs[name].expected}, {IN_QUOTES}")
        for problem in unfit_values(specs, args.get("args", {})):
            path = (*base, "args", problem.place) if problem.place in given else (*base, "args")
            if not self._open(given.get(problem.place), scope):
                found = shown(path, args["args"][problem.place]) if problem.place in given else ""
                expected = problem.expected if problem.place in given else f"{problem.place}: {problem.expected}"
                yield path, self._located.problem(path, found, expected, problem.nearest)

    def _argument(
        self, path: Path, name: str, all_written: Mapping[str, Any], args: Mapping[str, Any], scope: Scope
    ) -> Iterator[LintFinding]:
        """A name of the estate in an argument, or the kind of the parameter used there."""
        kind = argument_kind(name, args)
        if kind is None or args[name] is None:
            return
        for _, used in placeholders_in(all_written[name], path):
            declared = scope.meaning(used).kind
            if declared in NAMES and declared != kind and {declared, kind} != {"server", "colour"}:
                message = f"a parameter of kind {kind}, not {declared}"
                yield path, self._located.problem(path, shown(path, all_written[name]), message)
                return
        known = {key: value for key, value in args.items() if not self._open(all_written[key], scope)}
        names = names_for(self._estate, kind, known)
        given = str(args[name]).lower() if kind == "severity" else args[name]  # severities are the same in any case
        if name in known and names is not None and given not in names:
            yield self._unknown(path, str(args[name]), kind, names)

    def _open(self, written: Any, scope: Scope) -> bool:
        """Whether the value is known only when the run starts."""
        return any(scope.is_open(name) for _, name in placeholders_in(written, ()))

    def _unknown(self, path: Path, value: str, kind: str, names: Collection[str]) -> LintFinding:
        message = f"a {kind} of the estate: {one_of(names)}" if names else f"a {kind}, but the estate has none"
        if kind == "severity":
            message = "a usual severity, or one that `severities` of a monitor lists"
        return path, self._located.problem(path, shown(path, value), message, nearest(value, names))
