"""Servers that follow another one: whatever state is set on that one, they have as well, in their own backends.

HAProxy configuration manual, `track`: a server takes over the state of the one it tracks, maintenance and drain
included; its own commands are accepted and change nothing while the followed one is out.
"""

from __future__ import annotations

from collections.abc import Iterator

from state.api.card import CardWarning, Rule, WarningKind
from state.changes.floors import promise_of
from state.changes.safety import Touched
from state.estate.model import Estate
from state.ports.balancer import ServerState
from state.verdicts.traffic import ServerEffect, failing_words, floor_after, set_down, state_word
from state.world.balancer_parts import BalancerReading, Server


def followers_of(reading: BalancerReading, key: str) -> list[Server]:
    """Every server that follows `backend/server`, also over several steps, in the balancer's order."""
    keys = {key}
    while True:
        found = {f"{s.backend}/{s.name}" for s in reading.servers.values() if s.follows in keys} - keys
        if not found:
            break
        keys |= found
    return [s for place, s in reading.servers.items() if place in keys and place != key]


def follower_rules(
    reading: BalancerReading, followers: list[Server], state: ServerState, estate: Estate
) -> Iterator[Rule]:
    """The floors of the followers' backends, on the state after."""
    for backend in dict.fromkeys(s.backend for s in followers):
        names = [s.name for s in followers if s.backend == backend]
        service, floor, backups, _ = promise_of(estate, reading.name, backend)
        servers = reading.of(backend)
        will = floor_after(servers, {name: ServerEffect(state=state) for name in names}, backups)
        passed = will >= floor or will >= floor_after(servers, {}, backups)
        who = f"{service} needs at least" if service else "at least"
        fact = f"{', '.join(names)} would go with it: {will} of {len(servers)} servers would serve, {who} {floor}"
        fact += "" if passed else failing_words(servers)
        way_out = "Return another server of that backend to rotation first"
        yield Rule("floor", passed, fact, way_out, "responder", f"{reading.name}/{backend}", reading.name)


def followers_touched(reading: BalancerReading, followers: list[Server], state: ServerState) -> Iterator[Touched]:
    """Their backends with what happens to them there, for the estate's rules."""
    for backend in dict.fromkeys(s.backend for s in followers):
        effects = {s.name: ServerEffect(state=state) for s in followers if s.backend == backend}
        yield Touched(reading.name, backend, reading.of(backend), effects)


def follower_warnings(subject: str, followers: list[Server], state: ServerState) -> Iterator[CardWarning]:
    """All of them by name."""
    if followers:
        named = ", ".join(f"{s.backend}/{s.name}" for s in followers)
        yield CardWarning(WarningKind.EFFECT, subject, f"{len(followers)} follow it into {state}: {named}")


def return_rules(server: Server, reading: BalancerReading, name: str) -> Iterator[Rule]:
    """What keeps a server out that is to be returned: no address for its name, or one that it follows."""
    if server.unresolved:
        fact = f"{server.name} is out because its name has no address; no command lifts that"
        way_out = "Mend the name or the resolvers of the balancer: it comes back by itself"
        yield Rule("resolved", False, fact, way_out, "responder", name, reading.name)
    if set_down(server) or server.check_off:
        fact = f"the checks of {server.name} are off: nothing would prove what it answers"
        if set_down(server):
            fact = f"{server.name} was set down by hand with its checks off; rotation does not lift that"
        way_out = f"On the balancer: enable health {server.backend}/{server.name}"
        yield Rule("checks", False, fact, way_out, "responder", name, reading.name)
    followed = reading.servers.get(server.follows)
    if followed is not None and (followed.maintenance or followed.drained):
        fact = f"{server.name} follows {server.follows}, which is in {state_word(followed)}"
        yield Rule("followed", False, fact, f"Return {server.follows} to rotation", "responder", name, reading.name)
