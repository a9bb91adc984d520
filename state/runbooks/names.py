"""Which names of an estate are valid for an argument of a step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from state.estate.arguments import ArgSpec
from state.estate.colours import is_pattern
from state.estate.model import Estate, ServiceTrafficEntry
from state.estate.own import OwnChange
from state.estate.severities import known_severities

OWN = ("command", "call", "statement")
"""The arguments that name an own command, call or statement."""
_KINDS = frozenset(
    {"service", "balancer", "backend", "server", "database", "node", "zone", "record", "severity", *OWN, "check"}
)


def argument_kind(name: str, args: Mapping[str, Any]) -> str | None:
    """What an argument names: itself, except `to`, which is a node of a database or a server of a backend."""
    if name == "to":
        return "node" if "database" in args else "server" if "backend" in args else None
    return name if name in _KINDS else None


def names_for(estate: Estate, kind: str, args: Mapping[str, Any]) -> Collection[str] | None:
    """The valid names, given the other arguments as far as they are known. None when the estate does not list them."""
    if kind == "severity":
        return known_severities(estate)
    sections: Mapping[str, Collection[str]] = {
        "service": estate.services,
        "balancer": estate.balancers,
        "database": estate.databases,
        "zone": estate.zones,
        "site": estate.sites,
        "command": estate.commands,
        "call": estate.http_calls,
        "statement": estate.sql_calls,
        "check": estate.checks,
        "colour": {colour for each in _traffic(estate) for colour in each.colours},
        "backend": _backends(estate, args.get("balancer")),
        "node": _inside({name: each.nodes for name, each in estate.databases.items()}, args.get("database")),
        "record": _inside(
            {name: [r.name for r in zone.records] for name, zone in estate.zones.items()}, args.get("zone")
        ),
    }
    return _servers(estate, args.get("backend")) if kind == "server" else sections.get(kind)


def _traffic(estate: Estate) -> list[ServiceTrafficEntry]:
    return [service.traffic for service in estate.services.values() if service.traffic]


def _inside(groups: Mapping[str, Collection[str]], group: Any) -> set[str]:
    """The names in one group; in all of them when the group is not known."""
    return {name for key, names in groups.items() if group not in groups or key == group for name in names}


def _backends(estate: Estate, balancer: Any) -> set[str]:
    """Those of services, and those that lead to databases, of which the estate does not say at which balancers."""
    traffic = _traffic(estate)
    own = {each.backend for each in traffic if balancer not in estate.balancers or balancer in each.balancers}
    return own | {backend for each in estate.databases.values() for backend in each.frontends}


def _servers(estate: Estate, backend: Any) -> set[str] | None:
    """The servers that an estate names are the colours, and of a backend that leads to a database its nodes; for
    another one without colours it names none."""
    led = [each.nodes for each in estate.databases.values() if backend is not None and backend in each.frontends]
    if led:
        return {node for nodes in led for node in nodes}
    chosen = [each for each in _traffic(estate) if backend in (None, each.backend)]
    if not chosen or not all(each.colours for each in chosen):
        return None
    named = {server for each in chosen for name, colour in each.colours.items() for server in colour.named(name)}
    return None if any(map(is_pattern, named)) else named | {colour for each in chosen for colour in each.colours}


def declared_values(estate: Estate, args: Mapping[str, Any]) -> Mapping[str, ArgSpec] | None:
    """The parameters of the own command, call or statement that a step names; None when it names none."""
    entries: Mapping[str, Mapping[str, OwnChange]] = {
        "command": estate.commands,
        "call": estate.http_calls,
        "statement": estate.sql_calls,
    }
    named = next((entries[what].get(str(args[what])) for what in OWN if what in args), None)
    return None if named is None else named.params
