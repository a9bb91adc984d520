"""Routes that their balancers do not read: nobody would know which backend has the traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from state.config_files.located import Located
from state.config_files.paths import Path, at, select
from state.config_files.suggestions import nearest, one_of
from state.errors import Problem


def route_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Every problem with its path: a map that a balancer of the service does not list, two colours of one backend."""
    for base, routes in select(located.data, ("services", "*", "traffic", "routes")):
        if not isinstance(routes, Mapping):
            continue
        name, backends = routes.get("map"), routes.get("backends")
        balancers = at(located.data, (*base[:-1], "balancers"))
        for balancer in balancers if isinstance(balancers, list) else ():
            entry = at(located.data, ("balancers", balancer)) if isinstance(balancer, str) else None
            maps = entry.get("maps") if isinstance(entry, Mapping) else None
            known = [each for each in maps if isinstance(each, str)] if isinstance(maps, list | Mapping) else []
            if isinstance(entry, Mapping) and isinstance(name, str) and name not in known:
                expected = (
                    f"a map of {balancer}: {one_of(known)}" if known else f"a map that {balancer} lists (maps: [...])"
                )
                path = (*base, "map")
                yield path, located.problem(path, repr(name[:60]), expected, nearest(name, known))
                break
        values = list(backends.values()) if isinstance(backends, Mapping) else []
        for colour, backend in backends.items() if isinstance(backends, Mapping) else ():
            if values.count(backend) > 1:
                path = (*base, "backends", colour)
                yield path, located.problem(path, repr(str(backend)[:60]), "another backend for each colour")
                break
