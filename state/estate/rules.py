"""Rules across several entries of an estate: names, cycles, accounts, answers, limits.

Every rule works on the data as written and skips values of the wrong type (the models report those), so that one
check of a file finds every problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import Any

from state.config_files.literal_secrets import shown
from state.config_files.located import Located
from state.config_files.paths import Path, at, select
from state.config_files.references import defined
from state.config_files.suggestions import nearest, one_of
from state.errors import Problem
from state.estate.addresses import is_ip
from state.estate.people_problems import people_problems
from state.estate.release_problems import release_problems
from state.estate.route_problems import route_problems
from state.estate.safety_problems import safety_problems
from state.estate.site_problems import site_problems
from state.estate.state_file_problems import state_file_problems
from state.units import parse_duration

MOST_WATCHED = 1_000
"""Services and databases of one estate: each is judged several times a second, on every reading anew."""
LONGEST_CHAIN = 32
"""Services one below the other, each needing the next one."""
_BEHIND = re.compile(r"ssh://([^/]*)/")
_MOST_CYCLES = 10
_SHORTEST_POLL = 0.05
_SHORTEST_ARM = 0.5


def rule_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Every problem with its path."""
    every = (_names, _size, _cycles, _accounts, _answers, _hosts, _codes, _limits, people_problems)
    for rule in (*every, release_problems, safety_problems, route_problems, site_problems, state_file_problems):
        yield from rule(located)


def _names(located: Located) -> Iterator[tuple[Path, Problem]]:
    services = set(defined(located.data, "services"))
    for name in defined(located.data, "databases"):
        if name in services:
            path: Path = ("databases", name)
            message = "another name: a service has this name, so depends_on would be ambiguous"
            yield path, located.problem(path, repr(name[:60]), message, key=True)


def _size(located: Located) -> Iterator[tuple[Path, Problem]]:
    """An estate that is too large to be judged in time is refused, not judged late."""
    services = defined(located.data, "services")
    count = len(services) + len(defined(located.data, "databases"))
    if count > MOST_WATCHED:
        message = (
            f"at most {MOST_WATCHED} services and databases in one estate; watch parts of it with engines of their own"
        )
        yield ("services",), located.problem(("services",), str(count), message, key=True)
        return
    needs: dict[str, list[str]] = {name: [] for name in services}
    for path, value in select(located.data, ("services", "*", "depends_on", "*")):
        if isinstance(value, str) and value in needs:
            needs[str(path[1])].append(value)
    longest: dict[str, int] = {}
    with suppress(CycleError):  # told by another rule
        for name in TopologicalSorter(needs).static_order():
            longest[name] = 1 + max((longest[each] for each in needs[name]), default=0)
    above = next((name for name, length in longest.items() if length > LONGEST_CHAIN), None)
    if above is not None:
        path = ("services", above, "depends_on")
        message = f"at most {LONGEST_CHAIN} services one below the other"
        yield path, located.problem(path, f"{longest[above]} of them", message, key=True)


def _cycles(located: Located) -> Iterator[tuple[Path, Problem]]:
    services = set(defined(located.data, "services"))
    graph: dict[str, list[str]] = {name: [] for name in sorted(services)}
    for path, value in select(located.data, ("services", "*", "depends_on", "*")):
        if isinstance(value, str) and value in services:
            graph[str(path[1])].append(value)
    for _ in range(_MOST_CYCLES):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle = _from_smallest(error.args[1][::-1])
            graph[cycle[0]] = [name for name in graph[cycle[0]] if name != cycle[1]]
            written = at(located.data, ("services", cycle[0], "depends_on"))
            path = ("services", cycle[0], "depends_on", written.index(cycle[1]))
            message = f"dependencies without a cycle: {' → '.join(cycle)}"
            yield path, located.problem(path, repr(cycle[1][:60]), message)
        else:
            return


def _from_smallest(cycle: list[str]) -> list[str]:
    """The same cycle, starting and ending at its alphabetically first name, so that reports do not vary."""
    ring = cycle[:-1]
    start = ring.index(min(ring))
    return [*ring[start:], *ring[:start], ring[start]]


def _accounts(located: Located) -> Iterator[tuple[Path, Problem]]:
    owners: dict[str, str] = {}
    for path, account in select(located.data, ("people", "*", "accounts", "*")):
        if not isinstance(account, str):
            continue
        first = owners.setdefault(account, str(path[1]))
        if first != path[1]:
            message = f"an account of one person only; {first!r} already has it"
            yield path, located.problem(path, shown((), account), message)


def _answers(located: Located) -> Iterator[tuple[Path, Problem]]:
    for base, record in select(located.data, ("zones", "*", "records", "*")):
        version = {"A": 4, "AAAA": 6}.get(str(at(record, ("type",)) or "A"))
        for path, value in select(record, ("expect", "*"), base):
            if version and isinstance(value, str) and not is_ip(value, version):
                yield path, located.problem(path, shown((), value), f"an IPv{version} address")


def _hosts(located: Located) -> Iterator[tuple[Path, Problem]]:
    """`ssh://HOST/path` names a host of the estate."""
    hosts = defined(located.data, "hosts")
    for path, value in select(located.data, ("balancers", "*", "socket")):
        found = _BEHIND.match(value) if isinstance(value, str) else None
        if found is not None and found[1] not in hosts:
            there = one_of(hosts) if hosts else "none is defined below hosts"
            yield path, located.problem(path, repr(found[1][:60]), f"a host: {there}", nearest(found[1], hosts))


def _codes(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Where only forced commands run, nothing tells a reading's own code 1 from that of a refused account."""
    sends = {str(p[1]) for p, value in select(located.data, ("hosts", "*", "environment")) if value == "send"}
    message = "codes other than 1: where only forced commands run, a locked or refused account ends with 1 as well"
    for base, entry in select(located.data, ("commands", "*")):
        if isinstance(entry, dict) and entry.get("on") in sends and isinstance(entry.get("read"), dict):
            yield from _without_one(located, (*base, "read"), {"done": [0], "not_done": [1]}, message)
    for base, entry in select(located.data, ("checks", "*", "command")):
        if isinstance(entry, dict) and entry.get("on") in sends:
            yield from _without_one(located, base, {"pass": [0], "fail": [1]}, message)


def _without_one(
    located: Located, base: Path, keys: dict[str, list[int]], message: str
) -> Iterator[tuple[Path, Problem]]:
    for key, default in keys.items():
        codes = at(located.data, base).get(key, default)
        if isinstance(codes, list) and 1 in codes:
            path = (*base, key)
            yield path, located.problem(path, f"{key}: {codes}"[:60], message)


def _limits(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Values that are valid alone but not together, or that would disable a protection."""
    data = located.data
    every = _seconds(data, ("polling", "every"), 1.0)
    stale_after = _seconds(data, ("polling", "stale_after"), 3.0)
    deadline = _seconds(data, ("polling", "deadline"), 0.9)
    found: list[tuple[Path, str]] = []
    if every < _SHORTEST_POLL:
        found.append((("polling", "every"), "at least 50ms: faster polling would load the sources"))
    if stale_after <= every:
        found.append((("polling", "stale_after"), f"more than every ({every:g} s), or every value would be old"))
    if deadline >= stale_after:
        found.append((("polling", "deadline"), f"less than stale_after ({stale_after:g} s)"))
    production = at(data, ("environment",)) == "production"
    if production and _seconds(data, ("policies", "confirm", "arm"), _SHORTEST_ARM) < _SHORTEST_ARM:
        found.append(
            (("policies", "confirm", "arm"), "at least 500ms in production: a key pressed too early must not confirm")
        )
    needed, places = at(data, ("policies", "anchors", "needed")), len(defined(data, "anchors"))
    if isinstance(needed, int) and needed > places:
        found.append((("policies", "anchors", "needed"), f"at most {places}: there are no more anchors"))
    for path, message in found:
        yield path, located.problem(path, shown(path, at(data, path)), message)
    if production and at(data, ("faults",)) is not None:
        message = "no faults in production: they are for laboratories and drills only"
        yield ("faults",), located.problem(("faults",), "'faults'", message, key=True)


def _seconds(data: Any, path: Path, default: float) -> float:
    """A duration, or the default when it is missing or invalid."""
    text = at(data, path)
    try:
        return parse_duration(text) if isinstance(text, str) else default
    except ValueError:
        return default
