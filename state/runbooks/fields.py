"""What the objects of an estate offer a runbook: `${service.backend}` is the backend of the service in `${service}`.

One typed table. A field has values of one kind of parameter; `many` of them for a loop, else one or none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from state.estate.model import Estate, Service

LED_BY, STANDBYS = "leader", "standbys"
"""Fields that follow the roles of a database as they are read when a run is planned."""


@dataclass(frozen=True, slots=True)
class EstateField:
    """One field: the kind of its values, and where they are in an estate. `live`: known when a run is planned."""

    kind: str
    values: Callable[[Estate, str], tuple[Any, ...]]
    many: bool = False
    live: bool = False


def needed_databases(estate: Estate, service: str) -> tuple[str, ...]:
    """The databases that a service depends on, also through other services; nearest first."""
    found, reached = dict[str, None](), [service]
    for name in reached:
        for needed in estate.services[name].depends_on if name in estate.services else ():
            if needed in estate.databases:
                found[needed] = None
            elif needed not in reached:
                reached.append(needed)
    return tuple(found)


def _of_service(read: Callable[[Service], tuple[Any, ...]]) -> Callable[[Estate, str], tuple[Any, ...]]:
    return lambda estate, name: read(estate.services[name]) if name in estate.services else ()


def _balancers(service: Service) -> tuple[str, ...]:
    return service.traffic.balancers if service.traffic else ()


def _dependants(estate: Estate, database: str) -> tuple[str, ...]:
    """The services that depend on a database, most important first."""
    found = [name for name in estate.services if database in needed_databases(estate, name)]
    return tuple(sorted(found, key=lambda name: estate.services[name].tier))


def _sites(estate: Estate, service: str) -> tuple[str, ...]:
    known = estate.services.get(service)
    return tuple(dict.fromkeys(estate.balancers[b].site for b in (_balancers(known) if known else ())))


def _zones(estate: Estate, service: str) -> tuple[str, ...]:
    return tuple(z for z, zone in estate.zones.items() if any((r.service or r.name) == service for r in zone.records))


def _spanning(estate: Estate, service: str) -> tuple[str, ...]:
    """The balancers that lead to servers of a service at another site than their own, as the estate says where its
    colours stand."""
    traffic = estate.services[service].traffic if service in estate.services else None
    if traffic is None or traffic.routes is not None:
        return ()
    same = [t for t in (s.traffic for s in estate.services.values()) if t is not None and t.backend == traffic.backend]
    sites = {
        name: {each.site for t in same if name in t.balancers for each in t.colours.values()}
        for name in traffic.balancers
    }
    return tuple(name for name, found in sites.items() if found - {None, estate.balancers[name].site})


def _names(estate: Estate, service: str) -> tuple[str, ...]:
    """The DNS names of a service, each with its zone; aliases after the names that they may lead to."""
    zones = estate.zones.items()
    found = [(r.type == "CNAME", f"{z}/{r.name}") for z, zone in zones for r in zone.records
             if (r.service or r.name) == service]  # fmt: skip
    return tuple(dict.fromkeys(name for _, name in sorted(found, key=lambda each: each[0])))


def _nodes(estate: Estate, database: str, site: str = "") -> tuple[str, ...]:
    known = estate.databases.get(database)
    return tuple(n for n, node in known.nodes.items() if site in ("", node.site)) if known else ()


def _frontends(estate: Estate, database: str, role: str = "") -> tuple[str, ...]:
    """The backends that lead to a database, those for its primary first."""
    known = estate.databases[database].frontends if database in estate.databases else {}
    return tuple(b for r in ("primary", "standby") for b, its in known.items() if its == r and role in ("", r))


def _backends(estate: Estate, balancer: str) -> tuple[str, ...]:
    traffic = [s.traffic for s in estate.services.values() if s.traffic and balancer in s.traffic.balancers]
    return tuple(dict.fromkeys(t.backend for t in traffic))


def _zone_records(estate: Estate, zone: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r.name for r in estate.zones[zone].records)) if zone in estate.zones else ()


FIELDS: Mapping[str, Mapping[str, EstateField]] = {
    "service": {
        "backend": EstateField("backend", _of_service(lambda s: (s.traffic.backend,) if s.traffic else ())),
        "balancers": EstateField("balancer", _of_service(_balancers), many=True),
        "colours": EstateField(
            "colour", _of_service(lambda s: tuple(s.traffic.colours) if s.traffic else ()), many=True
        ),
        "floor": EstateField("number", _of_service(lambda s: (max(1, s.traffic.floor),) if s.traffic else ())),
        "database": EstateField("database", lambda e, name: needed_databases(e, name)[:1]),
        "databases": EstateField("database", needed_databases, many=True),
        "sites": EstateField("site", _sites, many=True),
        "zones": EstateField("zone", _zones, many=True),
        "names": EstateField("name", _names, many=True),
        "spanning": EstateField("balancer", _spanning, many=True),
        "tier": EstateField("number", _of_service(lambda s: (s.tier,))),
        "rto": EstateField("duration", _of_service(lambda s: (s.rto,))),
        "rpo": EstateField("size", _of_service(lambda s: (f"{s.rpo}B",))),
        "error_ratio": EstateField("number", _of_service(lambda s: (s.objectives.error_ratio,))),
    },
    "database": {
        "nodes": EstateField("node", _nodes, many=True),
        "leader": EstateField("node", _nodes, live=True),
        "standbys": EstateField("node", _nodes, many=True, live=True),
        "service": EstateField("service", lambda e, name: _dependants(e, name)[:1]),
        "services": EstateField("service", _dependants, many=True),
        "rpo": EstateField("size", lambda e, name: (f"{e.databases[name].rpo}B",) if name in e.databases else ()),
        "frontend": EstateField("backend", lambda e, name: _frontends(e, name, "primary")[:1]),
        "frontends": EstateField("backend", _frontends, many=True),
    },
    "balancer": {
        "site": EstateField("site", lambda e, name: (e.balancers[name].site,) if name in e.balancers else ()),
        "backends": EstateField("backend", _backends, many=True),
    },
    "site": {
        "balancers": EstateField(
            "balancer", lambda e, name: tuple(b for b, entry in e.balancers.items() if entry.site == name), many=True
        ),
        "databases": EstateField(
            "database", lambda e, name: tuple(d for d in e.databases if _nodes(e, d, name)), many=True
        ),
    },
    "zone": {"records": EstateField("record", _zone_records, many=True)},
    "name": {
        "zone": EstateField("zone", lambda _, name: (name.partition("/")[0],)),
        "record": EstateField("record", lambda _, name: (name.partition("/")[2],)),
    },
}
"""By kind of object and name of the field."""
