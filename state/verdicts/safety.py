"""Safety rules of the estate, judged on the servers before a change and after it. Pure: readings are handed in.

A change that does not make worse what a rule asks for passes, as at the floor: the way out of a bad state is free.
Where something cannot be read it counts as off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from state.estate.colours import colour_of
from state.estate.model import Estate
from state.estate.safety import SafetyRule, ServersOf
from state.units import percent, rate
from state.verdicts.traffic import proven, sure
from state.world.balancer_parts import Server

Place = tuple[str, str]
"""A balancer and a backend of it."""
Servers = Mapping[Place, tuple[Server, ...] | None]
"""The servers of backends; None where they cannot be read."""
Demand = Mapping[Place, float | None]
"""Requests a second of backends, measured now; None where that is not known."""


@dataclass(frozen=True, slots=True)
class SafetyVerdict:
    """What a rule says: passed, and the fact it goes by."""

    passed: bool
    fact: str


class _Count(NamedTuple):
    """Of one balancer: what counts and how many are there."""

    serving: int
    there: int


def places_of(estate: Estate, of: ServersOf) -> list[Place]:
    """Every backend in which such servers may be."""
    traffic = estate.services[of.service].traffic if of.service in estate.services else None
    if traffic is None:
        return []
    sites = {each.site for each in traffic.colours.values()}
    return [
        (name, traffic.backend)
        for name in traffic.balancers
        if of.site is None or estate.balancers[name].site == of.site or of.site in sites
    ]


def within(estate: Estate, of: ServersOf, place: Place, server: Server) -> bool:
    """Whether a server is one of them."""
    traffic = estate.services[of.service].traffic
    assert traffic is not None, "rules are about services with traffic"
    colour = colour_of(traffic.colours, server.name)
    if of.colour is not None and colour != of.colour:
        return False
    return of.site is None or site_of(estate, of.service, place, server) == of.site


def site_of(estate: Estate, service: str, place: Place, server: Server) -> str:
    """Where a server stands."""
    traffic = estate.services[service].traffic
    colours = traffic.colours if traffic is not None else {}
    colour = colours.get(colour_of(colours, server.name))
    return colour.site if colour is not None and colour.site else estate.balancers[place[0]].site


def standing_at(estate: Estate, place: Place, server: Server) -> str:
    """Where a server stands, by any service of its backend that says it."""
    for service in estate.services.values():
        traffic = service.traffic
        if traffic is None or traffic.backend != place[1] or place[0] not in traffic.balancers:
            continue
        colour = traffic.colours.get(colour_of(traffic.colours, server.name))
        if colour is not None and colour.site:
            return colour.site
    return estate.balancers[place[0]].site


def reads_more(rule: SafetyRule) -> bool:
    """Whether it is judged by other backends than the one that is changed."""
    return rule.sites_on is not None or rule.needs is not None


def touches(estate: Estate, rule: SafetyRule, before: Servers, after: Servers) -> bool:
    """Whether one of its servers would be another one afterwards, in rotation or weight."""
    return any(
        was != now
        for place in places_of(estate, rule)
        for was, now in zip(before.get(place) or (), after.get(place) or (), strict=True)
        if within(estate, rule, place, was)
    )


def judge(rule: SafetyRule, estate: Estate, before: Servers, after: Servers, demand: Demand) -> SafetyVerdict:
    """The verdict of a rule that is not about time."""
    if rule.needs is not None:
        return _needs(rule, estate, before, after)
    if rule.sites_on is not None:
        return _sites(rule, estate, before, after)
    found = [each for place in after if (each := _at(place, rule, estate, before, after, demand)) is not None]
    worst = next((each for each in found if not each.passed), None)
    return worst or next(iter(found), SafetyVerdict(True, "none of its servers is changed"))


def _at(
    place: Place, rule: SafetyRule, estate: Estate, before: Servers, after: Servers, demand: Demand
) -> SafetyVerdict | None:
    """The verdict at one changed backend; None where the rule is not about it."""
    was, now = before.get(place), after.get(place)
    if place not in places_of(estate, rule) or was is None or now is None or was == now:
        return None
    where = "/".join(place)
    if rule.colours_on is not None:
        on, before_on = _colours(rule, estate, place, now), _colours(rule, estate, place, was)
        fact = f"on {where} {len(on)} colours would serve ({', '.join(sorted(on)) or 'none'}), {rule.colours_on} must"
        return SafetyVerdict(len(on) >= rule.colours_on or on >= before_on, fact)
    if rule.capacity is not None:
        return _capacity(rule, estate, place, was, now, demand.get(place))
    will, had = _count(rule, estate, place, now), _count(rule, estate, place, was)
    least = rule.at_least if rule.at_least is not None else ceil(will.there * (rule.at_least_share or 0.0) - 1e-9)
    asked = str(least) if rule.at_least is not None else f"{percent(rule.at_least_share or 0.0)} = {least}"
    fact = f"on {where} {will.serving} of {will.there} {_named(rule)} would serve, at least {asked} must"
    if not proven(now):
        fact += "; none of them is checked"
    passed = will.serving >= max(1, least) or will.serving >= had.serving
    return SafetyVerdict(passed, fact)


def _counted(estate: Estate, of: ServersOf, place: Place, servers: tuple[Server, ...]) -> list[Server]:
    traffic = estate.services[of.service].traffic
    assert traffic is not None, "rules are about services with traffic"
    return [s for s in sure(servers, traffic.backups) if within(estate, of, place, s)]


def _count(rule: SafetyRule, estate: Estate, place: Place, servers: tuple[Server, ...]) -> _Count:
    there = sum(within(estate, rule, place, s) and not s.backup for s in servers)
    return _Count(len(_counted(estate, rule, place, servers)), there)


def _colours(rule: SafetyRule, estate: Estate, place: Place, servers: tuple[Server, ...]) -> set[str]:
    traffic = estate.services[rule.service].traffic
    assert traffic is not None, "rules are about services with traffic"
    named = (colour_of(traffic.colours, s.name) for s in _counted(estate, rule, place, servers))
    return {name for name in named if name}


def _capacity(
    rule: SafetyRule,
    estate: Estate,
    place: Place,
    was: tuple[Server, ...],
    now: tuple[Server, ...],
    demand: float | None,
) -> SafetyVerdict:
    """A server that warms up carries its present part only."""
    assert rule.capacity is not None, "asked for rules about capacity only"
    per, factor, where = rule.capacity.per_server, rule.capacity.factor, "/".join(place)
    carries = [per * sum(s.throttle for s in _counted(estate, rule, place, each)) / 100 for each in (was, now)]
    told = f"on {where} {rate(carries[1])} could be carried"
    if carries[1] >= carries[0]:
        return SafetyVerdict(True, f"{told}, not less than now")
    if demand is None:
        return SafetyVerdict(False, f"{told}, the present demand is not known")
    fact = f"{told}, {rate(demand)} × {factor:g} = {rate(demand * factor)} is needed"
    return SafetyVerdict(carries[1] >= demand * factor, fact)


def _sites(rule: SafetyRule, estate: Estate, before: Servers, after: Servers) -> SafetyVerdict:
    assert rule.sites_on is not None, "asked for rules about sites only"
    on, had = set(_on(rule, estate, after)), set(_on(rule, estate, before))
    fact = f"{len(on)} sites would serve ({', '.join(sorted(on)) or 'none'}), {rule.sites_on} must"
    return SafetyVerdict(len(on) >= rule.sites_on or on >= had, fact + _unread(rule, estate, after))


def _needs(rule: SafetyRule, estate: Estate, before: Servers, after: Servers) -> SafetyVerdict:
    assert rule.needs is not None, "asked for gates only"
    if not touches(estate, rule, before, after):
        return SafetyVerdict(True, "none of its servers is changed")
    needed, places = rule.needs, places_of(estate, rule.needs)
    serving = min(
        sum(len(_counted(estate, needed, place, each.get(place) or ())) for place in places) for each in (before, after)
    )
    said = f"{serving} {_named(needed)} of {needed.service} serve before and after it, one must"
    return SafetyVerdict(serving > 0, said + _unread(needed, estate, after))


def _on(rule: ServersOf, estate: Estate, servers: Servers) -> Iterator[str]:
    """The sites at which one of these servers serves."""
    for place in places_of(estate, rule):
        for server in _counted(estate, rule, place, servers.get(place) or ()):
            yield site_of(estate, rule.service, place, server)


def _unread(of: ServersOf, estate: Estate, servers: Servers) -> str:
    missing = ["/".join(place) for place in places_of(estate, of) if servers.get(place) is None]
    return f"; {', '.join(missing)} cannot be read" if missing else ""


def _named(of: ServersOf) -> str:
    """`servers`, `servers of green at east`."""
    colour = f" of {of.colour}" if of.colour else ""
    return f"servers{colour}" + (f" at {of.site}" if of.site else "")
