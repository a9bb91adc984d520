"""Safety rules that name what their service does not have, which could never be fulfilled or never apply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from state.config_files.located import Located
from state.config_files.paths import Path, at, select
from state.config_files.suggestions import nearest, one_of
from state.errors import Problem
from state.estate.safety import MOST_RULES
from state.estate.windows import MOST_WINDOWS


def safety_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Every problem with its path."""
    data = located.data
    rules = at(data, ("rules",))
    if isinstance(rules, Mapping) and len(rules) > MOST_RULES:
        yield ("rules",), located.problem(("rules",), str(len(rules)), f"at most {MOST_RULES} rules", key=True)
        return
    windows = at(data, ("windows",))
    if isinstance(windows, Mapping) and len(windows) > MOST_WINDOWS:
        yield (
            ("windows",),
            located.problem(("windows",), str(len(windows)), f"at most {MOST_WINDOWS} windows", key=True),
        )
        return
    for base, rule in select(data, ("rules", "*")):
        if isinstance(windows, Mapping) and base[-1] in windows:
            expected = "a name that no protected window has: who overrides one names it"
            yield base, located.problem(base, repr(str(base[-1])[:60]), expected, key=True)
        yield from _servers_of(located, base, rule)
        if isinstance(rule, Mapping) and isinstance(rule.get("needs"), Mapping):
            yield from _servers_of(located, (*base, "needs"), rule["needs"])


def _servers_of(located: Located, base: Path, written: Any) -> Iterator[tuple[Path, Problem]]:
    """The service has traffic, the colour is one of its colours, and something of it stands at the site."""
    if not isinstance(written, Mapping) or not isinstance(written.get("service"), str):
        return
    name = written["service"]
    service = at(located.data, ("services", name))
    if not isinstance(service, Mapping):
        return
    traffic = service.get("traffic")
    if not isinstance(traffic, Mapping):
        path = (*base, "service")
        yield path, located.problem(path, repr(name[:60]), "a service with traffic: this one has none")
        return
    if traffic.get("routes") is not None:
        path = (*base, "service")
        yield path, located.problem(path, repr(name[:60]), "a service without routes: rules do not follow a map yet")
        return
    colours = traffic.get("colours")
    colours = colours if isinstance(colours, Mapping) else {}
    colour, site = written.get("colour"), written.get("site")
    if isinstance(colour, str) and colour not in colours:
        expected = f"a colour of {name}: {one_of(colours)}" if colours else f"no colour: {name} has none"
        path = (*base, "colour")
        yield path, located.problem(path, repr(colour[:60]), expected, nearest(colour, colours))
    sites = _sites(located, traffic, colours)
    if isinstance(site, str) and site in (at(located.data, ("sites",)) or {}) and site not in sites:
        path = (*base, "site")
        yield path, located.problem(path, repr(site[:60]), f"a site of {name}: {one_of(sites)}", nearest(site, sites))


def _sites(located: Located, traffic: Mapping[str, Any], colours: Mapping[str, Any]) -> list[str]:
    """Where servers of a service stand: as its colours say, else where its balancers do."""
    found = [each.get("site") for each in colours.values() if isinstance(each, Mapping)]
    balancers = traffic.get("balancers")
    for name in balancers if isinstance(balancers, list) else ():
        found.append(at(located.data, ("balancers", name, "site")))
    return list(dict.fromkeys(each for each in found if isinstance(each, str)))
