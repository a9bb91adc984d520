"""Rules across several keys of a runbook: names of the estate, arguments, parameters, order of steps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from state.config_files.explain import explain
from state.config_files.literal_secrets import shown
from state.config_files.paths import Path
from state.config_files.quantities import written_for
from state.config_files.suggestions import nearest, one_of
from state.errors import Problem
from state.estate.model import Estate
from state.runbooks.model import CONTINUE, STOP, Runbook, Step, placeholders
from state.runbooks.names import argument_kind, names_for
from state.runbooks.params import FOLLOWERS, NAMES, ParamSpec, convert, placeholders_in, substitute
from state.runbooks.related import initial, leads_to, related

LintFinding = tuple[Path, Problem]
_SAMPLES: Mapping[str, Any] = {"number": 1, "duration": 1.0, "size": "1MB"}


def placed_steps(runbook: Runbook) -> Iterator[tuple[Path, Step]]:
    """Every step with its path in the file, those of a group after their group."""
    for index, step in enumerate(runbook.steps):
        path: Path = ("steps", index)
        yield path, step
        for inner, each in enumerate(step.parallel):
            yield (*path, "parallel", inner), each


class Lint:
    """The errors of one runbook that has a valid structure. `models` are the argument models of all step kinds."""

    def __init__(self, runbook: Runbook, estate: Estate, models: Mapping[str, type[BaseModel]]) -> None:
        self._runbook, self._estate, self._models = runbook, estate, models
        self._located = runbook.located
        self._values: dict[str, Any] = {}
        self._sampled: set[str] = set()  # parameters whose value is not known before a run

    def problems(self) -> list[LintFinding]:
        """Every error with its path."""
        found = [finding for name, spec in self._runbook.params.items() for finding in self._param(name, spec)]
        undeclared = list(self._undeclared())
        found += undeclared
        found += self._order()
        found += self._limits()
        if not undeclared:
            found += self._service()
            for path, step in placed_steps(self._runbook):
                found += self._arguments(path, step)
        return found

    def _param(self, name: str, spec: ParamSpec) -> Iterator[LintFinding]:
        """The parameter's own default and choices; sets the value with which its uses are checked."""
        base: Path = ("params", name)
        names = names_for(self._estate, spec.kind, {}) if spec.kind in NAMES else None
        for index, choice in enumerate(spec.choices):
            if names is not None and choice not in names:
                yield self._unknown((*base, "choices", index), choice, spec.kind, names)
        if spec.kind == "choice" and not spec.choices:
            yield base, self._located.problem(base, "", "choices: the values it may have")
        yield from self._follows(base, spec)
        of = spec.of in self._runbook.params
        if spec.default is None and of and (default := initial(self._runbook, name, self._estate)) is not None:
            self._values[name] = default
            return
        if spec.default is None:
            self._sampled.add(name)
            self._values[name] = self._sample(spec, names)
            return
        path = (*base, "default")
        if spec.kind not in ("number", "size", "duration") and not isinstance(spec.default, str):
            message = f"{spec.expected}, in quotes: unquoted, YAML reads a number and may change how it is written"
            yield path, self._located.problem(path, shown(path, spec.default), message)
        try:
            self._values[name] = value = convert(spec, spec.default)
        except ValueError as error:
            self._sampled.add(name)
            self._values[name] = self._sample(spec, names)
            yield path, self._located.problem(path, shown(path, spec.default), str(error))
        else:
            if names is not None and value not in names:
                yield self._unknown(path, str(value), spec.kind, names)

    def _follows(self, base: Path, spec: ParamSpec) -> Iterator[LintFinding]:
        """`of` names a parameter of a kind that this one can follow."""
        leaders = {n: p.kind for n, p in self._runbook.params.items() if spec.kind in FOLLOWERS.get(p.kind, ())}
        if spec.of and spec.of not in leaders:
            message = f"a parameter that a {spec.kind} can follow: {one_of(leaders) or 'there is none'}"
            path = (*base, "of")
            yield path, self._located.problem(path, repr(spec.of[:60]), message, nearest(spec.of, leaders))

    def _sample(self, spec: ParamSpec, names: Collection[str] | None) -> Any:
        known = [*spec.choices, *sorted(names or ()), "x"]
        return _SAMPLES.get(spec.kind, known[0])

    def _undeclared(self) -> Iterator[LintFinding]:
        params = self._runbook.params
        message = f"a parameter: {one_of(params)}" if params else "a parameter, but none is declared"
        for path, name in placeholders(self._runbook):
            if name not in params:
                found = repr(f"${{{name[:60]}}}")
                yield path, self._located.problem(path, found, message, nearest(name, params))

    def _service(self) -> Iterator[LintFinding]:
        service = self._runbook.service
        if service is not None and not self._open(service):
            value, names = substitute(service, self._values), self._estate.services
            if value not in names:
                yield self._unknown(("service",), str(value), "service", names)

    def _order(self) -> Iterator[LintFinding]:
        """Ids are unique, and decisions lead forward."""
        seen: dict[str, Path] = {}
        later = {step.id: index for index, step in enumerate(self._runbook.steps)}
        for path, step in placed_steps(self._runbook):
            where: Path = (*path, "id")
            first = seen.setdefault(step.id, where)
            if first != where:
                message = f"each id once (first in line {self._located.where(first)[0]})"
                yield where, self._located.problem(where, repr(step.id), message)
            for label, meaning in (step.decide.options if step.decide else {}).items():
                ahead = [each for each, index in later.items() if index > int(path[1])]
                if meaning in {CONTINUE, STOP} or meaning in ahead:
                    continue
                where = (*path, "decide", "options", label)
                message = f"continue, stop or the id of a later step{f': {one_of(ahead)}' if ahead else ''}"
                yield where, self._located.problem(where, repr(meaning), message, nearest(meaning, ahead))

    def _limits(self) -> Iterator[LintFinding]:
        """The passes in a row that a check needs fit into the time it has."""
        for path, step in placed_steps(self._runbook):
            if step.kind == "check" and (step.samples - 1) * step.every > step.limit:
                where, least = (*path, "samples"), (step.samples - 1) * step.every
                message = f"passes that fit into {step.limit:g} s: {step.samples} take {least:g} s or more"
                yield where, self._located.problem(where, str(step.samples), message)

    def _arguments(self, path: Path, step: Step) -> Iterator[LintFinding]:
        model = self._models.get(step.what)
        if model is None:
            return
        base = (*path, "with")
        args = substitute(step.args, self._values)
        written = written_for(model, args, bare_numbers=True)
        invalid: set[Path] = set()
        try:
            model.model_validate(written.data)
        except ValidationError as error:
            for where, problem in explain(self._located, error, written, base):
                invalid.add(where)
                # The sample is not the value of the run, which is checked when it is given.
                if not self._open(step.args.get(str(where[len(base)])) if len(where) > len(base) else None):
                    yield where, problem
        for name, written_value in step.args.items():
            if (*base, name) not in invalid:
                yield from self._argument((*base, name), name, written_value, step.args, args)

    def _argument(
        self, path: Path, name: str, written: Any, all_written: Mapping[str, Any], args: Mapping[str, Any]
    ) -> Iterator[LintFinding]:
        """A name of the estate in an argument, or the kind of the parameter used there."""
        kind = argument_kind(name, args)
        if kind is None or args[name] is None:
            return
        for _, param in placeholders_in(written, path):
            declared = self._runbook.params[param].kind
            if declared in NAMES and declared != kind and {declared, kind} != {"server", "colour"}:
                message = f"a parameter of kind {kind}, not {declared}"
                yield path, self._located.problem(path, shown(path, written), message)
                return
        known = {key: value for key, value in args.items() if not self._open(all_written[key])}
        names = names_for(self._estate, kind, known)
        given = str(args[name]).lower() if kind == "severity" else args[name]  # severities are the same in any case
        if name in known and names is not None and given not in names:
            yield self._unknown(path, str(args[name]), kind, names)

    def _open(self, written: Any) -> bool:
        """Whether the value is known only when the run starts."""
        return any(name in self._sampled for _, name in placeholders_in(written, ()))

    def _unknown(self, path: Path, value: str, kind: str, names: Collection[str]) -> LintFinding:
        message = f"a {kind} of the estate: {one_of(names)}" if names else f"a {kind}, but the estate has none"
        if kind == "severity":
            message = "a usual severity, or one that `severities` of a monitor lists"
        return path, self._located.problem(path, shown(path, value), message, nearest(value, names))


def lint_warnings(runbook: Runbook, estate: Estate) -> Iterator[Problem]:
    """Changes that no later check verifies or that are not of the run's service, decisions without a timeout, checks
    without time to spare, parameters that no step uses."""
    located = runbook.located
    checks = [i for i, step in enumerate(runbook.steps) if step.check or any(each.check for each in step.parallel)]
    last_check = max(checks, default=-1)
    for path, step in placed_steps(runbook):
        if step.change and int(path[1]) >= last_check:
            message = "a check in a later step: nothing verifies that the change worked"
            yield located.problem((*path, "change"), f"change {step.id!r}", message)
        if step.change:
            yield from _foreign(runbook, estate, path, step)
        if step.kind == "check" and step.samples > 1 and (step.samples - 1) * step.every == step.limit:
            message = "time to spare: it passes only if its first reading comes at once"
            yield located.problem((*path, "samples"), f"{step.samples} passes in {step.limit:g} s", message)
        if step.decide and step.timeout is None:
            message = "a timeout: the longest time people may take"
            yield located.problem((*path, "decide"), f"decision {step.id!r}", message, key=True)
    used = {name for _, name in placeholders(runbook)}
    used |= {spec.of for spec in runbook.params.values()}
    for name in runbook.params:
        if name not in used:
            path = ("params", name)
            yield located.problem(path, f"parameter {name!r}", f"a step that uses ${{{name}}}", key=True)


def _foreign(runbook: Runbook, estate: Estate, path: Path, step: Step) -> Iterator[Problem]:
    """A change of a backend or database that need not belong to the service that the run is for."""
    wanted = placeholders_in(runbook.service, ())
    service = wanted[0][1] if wanted else ""
    given = runbook.params.get(service)
    possible = [runbook.service or ""] if given is None else list(given.choices or estate.services)
    for argument in ("backend", "database"):
        written = step.args.get(argument)
        if not runbook.service or not isinstance(written, str):
            continue
        names = [name for _, name in placeholders_in(written, ())]
        if names:
            belongs = given is not None and leads_to(runbook, names[0], service)
        else:
            belongs = all(written in related(estate, argument, "service", each) for each in possible)
        if not belongs:
            message = (
                f"a {argument} of the service that the run is for: a parameter with of: {service or 'its service'}"
            )
            yield runbook.located.problem((*path, "with", argument), repr(written), message)
