"""What belongs to what in an estate, so that one parameter of a runbook can follow another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from state.config_files.suggestions import nearest, one_of
from state.errors import BadArguments, ConfigError, Problem
from state.estate.model import Estate
from state.runbooks.fields import needed_databases
from state.runbooks.model import Runbook
from state.runbooks.names import names_for
from state.runbooks.params import NAMES, ParamSpec, substitute
from state.runbooks.scope import Leaders, Scope, Unresolved
from state.runbooks.steps import MOST_DEPTH, placed

FIRST_IS_DEFAULT = frozenset({"backend", "balancer", "database"})
"""Kinds whose first name is the default; which colour, server or node is meant only a person knows."""


def related(estate: Estate, kind: str, of: str, value: str) -> tuple[str, ...]:
    """The names of a kind that belong to a service or a database (`of`), in the estate's order."""
    if of == "database":
        known = estate.databases.get(value)
        return tuple(known.nodes) if known is not None and kind == "node" else ()
    service = estate.services.get(value)
    if service is None:
        return ()
    if kind == "database":
        return needed_databases(estate, value)
    traffic = service.traffic
    if traffic is None:
        return ()
    if kind == "balancer":
        return tuple(traffic.balancers)
    return (traffic.backend,) if kind == "backend" else tuple(traffic.colours)


def default_of(spec: ParamSpec, names: tuple[str, ...]) -> str | None:
    """The default of a parameter that follows another: its own where it belongs to it, else the first name."""
    if spec.default is not None and str(spec.default) in names:
        return str(spec.default)
    return names[0] if names and spec.kind in FIRST_IS_DEFAULT else None


def any_node(estate: Estate) -> Leaders:
    """Stands in where nothing was read: the first node of each database."""
    return lambda database: next(iter(estate.databases[database].nodes), "")


def candidates(runbook: Runbook, name: str, estate: Estate) -> tuple[str, ...]:
    """The names that a parameter can have, with all that the runbook asks of them; empty also for other kinds."""
    spec = runbook.params[name]
    names = spec.choices or (names_for(estate, spec.kind, {}) if spec.kind in NAMES else ()) or ()
    followers: list[str] = [
        other.kind
        for other in runbook.params.values()
        if other.of == name and (other.required or other.default is not None or other.kind in FIRST_IS_DEFAULT)
    ]
    fields = [each for each in runbook.asked if each.partition(".")[0] == name and each != name]

    def fits(value: str) -> bool:
        scope = Scope(estate, {name: value}, {name: spec.kind}, any_node(estate))
        return all(related(estate, kind, spec.kind, value) for kind in followers) and all(
            _has(scope, each) for each in fields
        )

    return tuple(value for value in names if fits(value))


def _has(scope: Scope, name: str) -> bool:
    try:
        return bool(scope.all(name))
    except Unresolved:
        return True  # an error of its own


def unfit(runbook: Runbook, estate: Estate, books: Mapping[str, Runbook], depth: int = 0) -> str:
    """Why a runbook does not apply to an estate at all: it lacks what the runbook is for. Empty when it applies."""
    used = runbook.asked
    for name, spec in runbook.params.items():
        if spec.kind not in NAMES or (names := names_for(estate, spec.kind, {})) is None or spec.choices:
            continue
        by_itself = spec.default is not None and (not spec.derived or name in used)
        wanted = spec.required or by_itself or (spec.of and spec.kind in FIRST_IS_DEFAULT)
        if wanted and not names:
            return f"the estate has no {spec.kind}"
        if names and not candidates(runbook, name, estate):
            return f"no {spec.kind} of the estate has {_asked(runbook, name)}"
    called_here = [step.runbook for _, step in placed(runbook.steps) if step.runbook]
    for called in called_here if depth < MOST_DEPTH else ():
        if called in books and (why := unfit(books[called], estate, books, depth + 1)):
            return f"{called}: {why}"
    return ""


def _asked(runbook: Runbook, name: str) -> str:
    """What the runbook asks of a parameter's value."""
    found: list[str] = [spec.kind for spec in runbook.params.values() if spec.of == name]
    found += [each.partition(".")[2] for each in sorted(runbook.asked) if each.startswith(f"{name}.")]
    return f"a {' and a '.join(dict.fromkeys(found))}"


def followed(
    runbook: Runbook, params: Mapping[str, Any], estate: Estate, leaders: Leaders | None = None
) -> dict[str, Any]:
    """The parameters as given, those that follow others filled in, also over several of them, in whatever order.

    Raises ConfigError for a value that does not belong to what it follows, and where nothing belongs to it.
    """
    filled, problems = dict(params), list[Problem]()
    for name in sorted(runbook.params, key=lambda name: len(_leaders(runbook, name))):
        spec = runbook.params[name]
        given = params.get(name)
        if given in (None, "") and (own := _derived(runbook, name, filled, estate, leaders)) is not None:
            filled[name] = given = own
        value = _value(runbook, filled, spec.of)
        if not spec.of or value is None:
            continue
        names = related(estate, spec.kind, runbook.params[spec.of].kind, value)
        if given in (None, ""):
            filled[name] = given = default_of(spec, names)
            if given is None and spec.default is None and not spec.required:
                del filled[name]
                continue
        if given is None or str(given) not in names:
            message = f"{name}: a {spec.kind} of {value}" + (f": {one_of(names)}" if names else ", but it has none")
            shown = "" if given is None else repr(given)[:60]
            problem = runbook.located.problem(("params", name), shown, message, nearest(str(given), names))
            unasked = params.get(name) in (None, "")
            problems.append(problem if unasked else replace(problem, file="argument", line=0, column=0))
    if problems:
        raise (BadArguments if params else ConfigError)(tuple(problems))
    return filled


def _derived(
    runbook: Runbook, name: str, filled: Mapping[str, Any], estate: Estate, leaders: Leaders | None
) -> str | None:
    """The value that a parameter has by itself: its derived default, or the only name that it can have."""
    spec = runbook.params[name]
    if spec.derived:
        heads = {each.partition(".")[0] for each in spec.derived}
        values = {head: _value(runbook, filled, head) for head in heads if head in runbook.params}
        if None in values.values() or len(values) != len(heads):
            return None
        kinds = {head: runbook.params[head].kind for head in values}
        scope = Scope(estate, values, kinds, leaders or any_node(estate))
        try:
            if leaders is None and any(scope.meaning(each).live for each in spec.derived):
                return None  # it is read when a run is planned
            found = substitute(spec.default, scope)
        except Unresolved:
            return None  # an error of its own
        return None if found in (None, "") or isinstance(found, list) else str(found)
    if spec.default is not None or spec.of or spec.kind not in NAMES:
        return None
    able = candidates(runbook, name, estate) if spec.required else ()
    return able[0] if len(able) == 1 else None


def _value(runbook: Runbook, params: Mapping[str, Any], name: str) -> str | None:
    spec = runbook.params.get(name)
    found = params.get(name, None if spec.derived else spec.default) if spec is not None else None
    return None if found in (None, "") else str(found)


def leads_to(runbook: Runbook, name: str, param: str) -> bool:
    """Whether a parameter is another one, or follows it, also through others."""
    return param in _leaders(runbook, name)


def leads_back(runbook: Runbook, name: str) -> bool:
    """Whether the parameters that one follows lead back to it, or into another circle."""
    last = _leaders(runbook, name)[-1]
    return bool(led_by(runbook, last))


def initial(runbook: Runbook, name: str, estate: Estate) -> str | None:
    """The value that a parameter has when none is given, also through those it follows; None when it has none."""
    found: dict[str, str | None] = {}
    for each in reversed(_leaders(runbook, name)):
        spec = runbook.params[each]
        own = _derived(runbook, each, found, estate, None)
        if own is None and not spec.derived:
            own = None if spec.default is None else str(spec.default)
            if spec.of in runbook.params:
                value = found.get(spec.of)
                leader = runbook.params[spec.of]
                own = default_of(spec, related(estate, spec.kind, leader.kind, value)) if value else None
        found[each] = own
    return found[name]


def led_by(runbook: Runbook, name: str) -> str:
    """The parameter that another one follows, or from which its default is derived; empty when there is none."""
    spec = runbook.params[name]
    heads = [each.partition(".")[0] for each in spec.derived]
    return next((each for each in (spec.of, *heads) if each in runbook.params), "")


def _leaders(runbook: Runbook, name: str) -> list[str]:
    """A parameter, and those that it follows one after the other."""
    found: list[str] = []
    while name in runbook.params and name not in found:
        found.append(name)
        name = led_by(runbook, name)
    return found
