"""Errors in the parameters of a runbook, and the values with which their uses are checked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from state.config_files.literal_secrets import shown
from state.config_files.suggestions import nearest, one_of
from state.estate.model import Estate
from state.runbooks.jumps import LintFinding
from state.runbooks.model import Runbook
from state.runbooks.names import names_for
from state.runbooks.params import FOLLOWERS, NAMES, ParamSpec, convert
from state.runbooks.related import any_node, candidates, initial, leads_back
from state.runbooks.scope import Leaders, Scope, Unresolved

_SAMPLES: Mapping[str, Any] = {"number": 1, "duration": 1.0, "size": "1MB"}


IN_QUOTES = "in quotes: unquoted, YAML reads a number and may change how it is written"


class LintParams:
    """The parameters one after the other; afterwards `scope` has a value for each of them."""

    def __init__(self, runbook: Runbook, estate: Estate) -> None:
        self._runbook, self._estate, self._located = runbook, estate, runbook.located
        self._values: dict[str, Any] = {}
        self._sampled: set[str] = set()  # parameters whose value is not known before a run

    def scope(self, leaders: Leaders) -> Scope:
        """What the parameters stand for, once all of them were looked at."""
        kinds: dict[str, str] = {name: spec.kind for name, spec in self._runbook.params.items()}
        lists = frozenset(name for name, spec in self._runbook.params.items() if spec.many)
        return Scope(self._estate, self._values, kinds, leaders, frozenset(self._sampled), lists)

    def problems(self, name: str) -> Iterator[LintFinding]:
        """The parameter's own name, default and choices."""
        spec, base = self._runbook.params[name], ("params", name)
        names = names_for(self._estate, spec.kind, {}) if spec.kind in NAMES else None
        if "." in name:
            yield base, self._located.problem(base, repr(name), "a name without a dot: it divides fields", key=True)
        for index, choice in enumerate(spec.choices):
            if names is not None and choice not in names:
                yield self._unknown((*base, "choices", index), choice, spec.kind, names)
        if spec.kind == "choice" and not spec.choices:
            yield base, self._located.problem(base, "", "choices: the values it may have")
        yield from self._follows(name, spec)
        if spec.derived:
            yield from self._derived(name, spec)
        if spec.default is None or spec.derived:
            value = initial(self._runbook, name, self._estate)
            try:
                self._values[name] = self._sample(name, spec) if value is None else convert(spec, value)
            except ValueError as error:
                yield base, self._located.problem(base, shown(base, value), str(error))
                value = None
                self._values[name] = self._sample(name, spec)
            if value is None:
                self._sampled.add(name)
        else:
            yield from self._default(name, spec, names)

    def _default(self, name: str, spec: ParamSpec, names: Collection[str] | None) -> Iterator[LintFinding]:
        path = ("params", name, "default")
        if spec.kind not in ("number", "size", "duration") and not isinstance(spec.default, str):
            message = f"{spec.expected}, {IN_QUOTES}"
            yield path, self._located.problem(path, shown(path, spec.default), message)
        try:
            self._values[name] = value = convert(spec, spec.default)
        except ValueError as error:
            self._sampled.add(name)
            self._values[name] = self._sample(name, spec)
            yield path, self._located.problem(path, shown(path, spec.default), str(error))
        else:
            if names is not None and value not in names:
                yield self._unknown(path, str(value), spec.kind, names)

    def _derived(self, name: str, spec: ParamSpec) -> Iterator[LintFinding]:
        """A default such as `${service.backend}`: one value of this kind, of another parameter."""
        path, params = ("params", name, "default"), self._runbook.params
        expected = close = ""
        if len(spec.derived) != 1 or spec.default != f"${{{spec.derived[0]}}}":
            expected = "one name alone, such as ${service.backend}"
        elif leads_back(self._runbook, name):
            expected = "a parameter that does not lead back to this one"
        else:
            kinds: dict[str, str] = {each: other.kind for each, other in params.items() if each != name}
            scope = Scope(self._estate, dict.fromkeys(kinds, "x"), kinds, any_node(self._estate))
            try:
                meaning = scope.meaning(spec.derived[0])
            except Unresolved as error:
                expected, close = error.expected, error.close
            else:
                if meaning.many:
                    expected = "one value, not many"
                elif spec.kind not in (meaning.kind, "text"):
                    expected = f"a value of kind {spec.kind}, not {meaning.kind}"
        if expected:
            yield path, self._located.problem(path, repr(spec.default), expected, close)

    def _follows(self, name: str, spec: ParamSpec) -> Iterator[LintFinding]:
        """`of` names a parameter of a kind that this one can follow."""
        leaders = {n: p.kind for n, p in self._runbook.params.items() if spec.kind in FOLLOWERS.get(p.kind, ())}
        if spec.of and spec.of not in leaders:
            message = f"a parameter that a {spec.kind} can follow: {one_of(leaders) or 'there is none'}"
            path = ("params", name, "of")
            yield path, self._located.problem(path, repr(spec.of[:60]), message, nearest(spec.of, leaders))

    def _sample(self, name: str, spec: ParamSpec) -> Any:
        """A value that it might have: what fits first."""
        able = candidates(self._runbook, name, self._estate)
        names = names_for(self._estate, spec.kind, {}) if spec.kind in NAMES else ()
        known = [*spec.choices, *able, *sorted(names or ()), "x"]
        return (known[0],) if spec.many else _SAMPLES.get(spec.kind, known[0])

    def _unknown(self, path: tuple[str | int, ...], value: str, kind: str, names: Collection[str]) -> LintFinding:
        message = f"a {kind} of the estate: {one_of(names)}" if names else f"a {kind}, but the estate has none"
        return path, self._located.problem(path, shown(path, value), message, nearest(value, names))
