"""The estate's safety rules as verdicts of a change: reads the other backends that a rule is about, now.

They are judged on the state after the change, at the preview and again right before each effect; so every intermediate
state of a run is judged as it really is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from state.api.card import Rule
from state.errors import ReadFailure
from state.estate.model import Estate
from state.estate.safety import SafetyRule
from state.ports.balancer import ServerState
from state.ports.outside import Outside
from state.ports.target import Setting
from state.verdicts.safety import Place, Servers, judge, places_of, reads_more
from state.verdicts.traffic import ServerEffect, after_effect
from state.world.balancer_parts import Server

RULE = "safety"
"""The rule that refuses what a safety rule of the estate forbids."""
SAMPLE = 1.0
"""Seconds over which the present demand is measured."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A backend that a change is about: its servers as they are, and what it would set on them."""

    balancer: str
    backend: str
    servers: tuple[Server, ...]
    effects: Mapping[str, ServerEffect]

    @property
    def place(self) -> Place:
        """Which backend."""
        return self.balancer, self.backend

    @property
    def after(self) -> tuple[Server, ...]:
        """Its servers as they would be."""
        return tuple(_with(s, self.effects) for s in self.servers)


def effects_of(left: Iterable[Setting], balancer: str, backend: str) -> dict[str, ServerEffect]:
    """What settings mean for the servers of one backend, the last one of each counts."""
    found: dict[str, ServerEffect] = {}
    for setting in left:
        if setting.place[:2] == (balancer, backend) and len(setting.place) == 3:
            known = found.get(setting.place[2], ServerEffect())
            if setting.name == "weight":
                found[setting.place[2]] = replace(known, weight=int(setting.value))
            elif setting.name == "state":
                found[setting.place[2]] = replace(known, state=cast("ServerState", setting.value))
    return found


def judged_by(targets: Iterable[str], estate: Estate) -> frozenset[str]:
    """What changes are judged by together, of which one may not act while another is being judged: a balancer, where
    servers follow those of other backends, and each rule that is judged by several balancers."""
    balancers = {target.partition("/")[0] for target in targets} & estate.balancers.keys()
    places = {
        name: {*places_of(estate, rule), *(places_of(estate, rule.needs) if rule.needs is not None else ())}
        for name, rule in estate.rules.items()
        if balancers and reads_more(rule)
    }
    rules = {name for name, found in places.items() if any(place[0] in balancers for place in found)}
    return frozenset({*(f"balancer {name}" for name in balancers), *(f"rule {name}" for name in rules)})


async def safety_rules(
    touched: Sequence[Touched], estate: Estate, outside: Outside, left: Sequence[Setting], deadline: float
) -> tuple[Rule, ...]:
    """The verdict of every rule that is about these backends. `left` is what earlier changes of the plan would set.

    A backend that cannot be read has no servers that serve, and a demand that cannot be measured is not met.
    """
    here = {each.place for each in touched}
    concerned = {
        name: rule
        for name, rule in estate.rules.items()
        if rule.wait is None and here.intersection(places_of(estate, rule))
    }
    if not concerned:
        return ()
    wanted = {p for rule in concerned.values() if reads_more(rule) for p in _read_for(estate, rule)} - here
    measured = {p for rule in concerned.values() if rule.capacity for p in places_of(estate, rule) if p in here}
    others, demand = await asyncio.gather(
        _others(wanted, outside, left, deadline), _demand(sorted(measured), outside, deadline)
    )
    before: Servers = {**others, **{each.place: each.servers for each in touched}}
    after: Servers = {**others, **{each.place: each.after for each in touched}}
    subject, source = "/".join(touched[0].place), touched[0].balancer
    return tuple(
        Rule(
            RULE,
            found.passed,
            f"{name}: {found.fact}",
            f"Make it so first; a commander may override {name}, by its name and with a reason",
            "commander",
            subject,
            source,
            name,
        )
        for name, rule in concerned.items()
        for found in (judge(rule, estate, before, after, demand),)
    )


def _with(server: Server, effects: Mapping[str, ServerEffect]) -> Server:
    return after_effect(server, effects[server.name]) if server.name in effects else server


def _read_for(estate: Estate, rule: SafetyRule) -> Iterator[Place]:
    yield from places_of(estate, rule)
    if rule.needs is not None:
        yield from places_of(estate, rule.needs)


async def _others(wanted: set[Place], outside: Outside, left: Sequence[Setting], deadline: float) -> Servers:
    """Backends that are not changed, as they would be when the earlier changes of the plan are made."""
    places = sorted(wanted)
    found = await asyncio.gather(*(_read(place, outside, deadline) for place in places))
    return {
        place: None if servers is None else tuple(_with(s, effects_of(left, *place)) for s in servers)
        for place, servers in zip(places, found, strict=True)
    }


async def _read(place: Place, outside: Outside, deadline: float) -> tuple[Server, ...] | None:
    balancer = outside.balancers.get(place[0])
    if balancer is None:
        return None
    try:
        return await balancer.read_backend(place[1], deadline=deadline)
    except ReadFailure:
        return None


async def _demand(places: Sequence[Place], outside: Outside, deadline: float) -> dict[Place, float | None]:
    """Requests a second of each backend, counted now over a second; None where they cannot be counted, or not by one
    process: those of two are never subtracted."""
    if not places:
        return {}
    half = max(0.1, (deadline - SAMPLE) / 2)
    loop = asyncio.get_running_loop()
    began, first = loop.time(), await asyncio.gather(*(_counts(place, outside, half) for place in places))
    await asyncio.sleep(SAMPLE)
    ended, second = loop.time(), await asyncio.gather(*(_counts(place, outside, half) for place in places))
    found: dict[Place, float | None] = {}
    for place, was, now in zip(places, first, second, strict=True):
        same = was is not None and now is not None and was[0] == now[0] and was[1] <= now[1]
        found[place] = (now[1] - was[1]) / (ended - began) if same and was and now else None
    return found


async def _counts(place: Place, outside: Outside, deadline: float) -> tuple[Mapping[str, str], int] | None:
    """Which process it is, and how many requests it has counted; None where that cannot be read."""
    balancer = outside.balancers.get(place[0])
    if balancer is None:
        return None
    try:
        identity, servers = await asyncio.gather(
            balancer.identify(deadline=deadline), balancer.read_backend(place[1], deadline=deadline)
        )
    except ReadFailure:
        return None
    return identity.facts, sum(server.requests for server in servers)
