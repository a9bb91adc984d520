"""What belongs to what in an estate, so that one parameter of a runbook can follow another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from state.config_files.suggestions import nearest, one_of
from state.errors import BadArguments, ConfigError, Problem
from state.estate.model import Estate
from state.runbooks.model import Runbook
from state.runbooks.params import ParamSpec

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
        return _databases(estate, value)
    traffic = service.traffic
    if traffic is None:
        return ()
    if kind == "balancer":
        return tuple(traffic.balancers)
    return (traffic.backend,) if kind == "backend" else tuple(traffic.colours)


def _databases(estate: Estate, service: str) -> tuple[str, ...]:
    """The databases that a service depends on, also through other services; nearest first."""
    found, reached = dict[str, None](), [service]
    for name in reached:
        for needed in estate.services[name].depends_on if name in estate.services else ():
            if needed in estate.databases:
                found[needed] = None
            elif needed not in reached:
                reached.append(needed)
    return tuple(found)


def default_of(spec: ParamSpec, names: tuple[str, ...]) -> str | None:
    """The default of a parameter that follows another: its own where it belongs to it, else the first name."""
    if spec.default is not None and str(spec.default) in names:
        return str(spec.default)
    return names[0] if names and spec.kind in FIRST_IS_DEFAULT else None


def followed(runbook: Runbook, params: Mapping[str, Any], estate: Estate) -> dict[str, Any]:
    """The parameters as given, those that follow others filled in, also over several of them, in whatever order.

    Raises ConfigError for a value that does not belong to what it follows, and where nothing belongs to it.
    """
    filled, problems = dict(params), list[Problem]()
    for name in sorted(runbook.params, key=lambda name: len(_leaders(runbook, name))):
        spec = runbook.params[name]
        value = _value(runbook, filled, spec.of)
        if not spec.of or value is None:
            continue
        names = related(estate, spec.kind, runbook.params[spec.of].kind, value)
        given = params.get(name)
        if given in (None, ""):
            filled[name] = given = default_of(spec, names)
            if given is None and spec.default is None and not spec.required:
                del filled[name]
                continue
        if given is None or str(given) not in names:
            message = f"{name}: a {spec.kind} of {value}" + (f": {one_of(names)}" if names else ", but it has none")
            shown = "" if given is None else repr(given)[:60]
            problem = runbook.located.problem(("params", name), shown, message, nearest(str(given), names))
            own = params.get(name) in (None, "")
            problems.append(problem if own else replace(problem, file="argument", line=0, column=0))
    if problems:
        raise (BadArguments if params else ConfigError)(tuple(problems))
    return filled


def _value(runbook: Runbook, params: Mapping[str, Any], name: str) -> str | None:
    spec = runbook.params.get(name)
    found = params.get(name, spec.default) if spec is not None else None
    return None if found in (None, "") else str(found)


def leads_to(runbook: Runbook, name: str, param: str) -> bool:
    """Whether a parameter is another one, or follows it, also through others."""
    return param in _leaders(runbook, name)


def initial(runbook: Runbook, name: str, estate: Estate) -> str | None:
    """The value that a parameter has when none is given, also through those it follows; None when it has none."""
    spec = runbook.params[name]
    if spec.of not in runbook.params:
        return None if spec.default is None else str(spec.default)
    value = initial(runbook, spec.of, estate)
    leader = runbook.params[spec.of]
    return None if value is None else default_of(spec, related(estate, spec.kind, leader.kind, value))


def _leaders(runbook: Runbook, name: str) -> list[str]:
    """A parameter, and those that it follows one after the other."""
    found: list[str] = []
    while name in runbook.params and name not in found:
        found.append(name)
        name = runbook.params[name].of
    return found
