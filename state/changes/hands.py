"""How each change is made without this product: for the page that a person follows when the console is down."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from state.changes.floors import promise_of
from state.estate.arguments import filled
from state.estate.model import Estate, HandStep
from state.estate.own import LOCAL


def weight_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """One server's weight."""
    guard = [] if args.weight else _floor(args, estate, args.server)
    return guard + _set(args, estate, {args.server: f"weight {args.weight}"})


def drain_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """Out of rotation."""
    return _floor(args, estate, args.server) + _set(args, estate, {args.server: "state drain"})


def maint_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """Out of all traffic."""
    return _floor(args, estate, args.server) + _set(args, estate, {args.server: "state maint"})


def ready_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """Back into rotation."""
    return _set(args, estate, {args.server: "state ready"})


def flip_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """First the destination takes traffic, then the others get none; those that the estate does not name are read."""
    taking, others = _parted(args, estate)
    look = estate.balancers[args.balancer].read_by_hand(args.backend)
    first = [*_floor(args, estate, *others), *_set(args, estate, dict.fromkeys(taking, "weight 100"))]
    rest = _set(args, estate, dict.fromkeys(others, "weight 0"))
    check = HandStep(f"{look.what}: {args.to} must be up before the others lose their weight", look.command)
    return [*first, check, *(rest or [HandStep("set every other server to weight 0")])]


def share_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """The weights of both parts; those that the estate does not name are read."""
    taking, others = _parted(args, estate)
    look = estate.balancers[args.balancer].read_by_hand(args.backend)
    least = [] if 0 < args.percent < 100 else _floor(args, estate)
    parts = f"weights of {args.to} times its servers that serve : weights of the others times theirs"
    check = HandStep(
        f"{look.what}: choose whole weights, {parts} = {args.percent} : {100 - args.percent}", look.command
    )
    named = [
        *_set(args, estate, dict.fromkeys(taking, "weight W")),
        *_set(args, estate, dict.fromkeys(others, "weight V")),
    ]
    return [*least, check, *named]


def route_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """First who serves there, then the entry; nothing of it is on disk."""
    balancer, entry = estate.balancers[args.balancer], estate.services[args.service].traffic
    routes = entry.routes if entry is not None else None
    assert routes is not None, "a valid change of a route is of a service that has one"
    backend = routes.backends[args.to]
    look = balancer.read_by_hand(backend)
    check = HandStep(f"{look.what}: its servers must serve before it gets the traffic", look.command)
    return [check, balancer.route_by_hand(routes.map, routes.key, backend)]


def weights_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """Each weight of its own, the highest first."""
    ordered = sorted(args.weights.items(), key=lambda pair: -pair[1])
    emptied = [server for server, weight in ordered if not weight]
    return (_floor(args, estate, *emptied) if emptied else []) + _set(
        args, estate, {server: f"weight {weight}" for server, weight in ordered}
    )


def switchover_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """Members first: a switchover is for a cluster that is well."""
    entry = estate.databases[args.database]
    return [entry.read_by_hand(), entry.switch_over_by_hand(args.to)]


def restart_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """Members first: only a standby is restarted."""
    entry = estate.databases[args.database]
    return [entry.read_by_hand(), entry.restart_by_hand(args.node)]


def cluster_by_hand(act: str) -> Callable[[Any, Estate], Sequence[HandStep]]:
    """Members first; then what the change of this name does, by the cluster's own tools."""

    def steps(args: Any, estate: Estate) -> Sequence[HandStep]:
        entry = estate.databases[args.database]
        given = {name: str(value) for name, value in args.model_dump(exclude_none=True).items()}
        return [entry.read_by_hand(), entry.act_by_hand(act, given)]

    return steps


def host_by_hand(act: str) -> Callable[[Any, Estate], Sequence[HandStep]]:
    """Members first; then the node's own command of this name, as far as its values are known."""

    def steps(args: Any, estate: Estate) -> Sequence[HandStep]:
        entry = estate.databases[args.database]
        command = getattr(entry.nodes[args.node], act)
        found = [entry.read_by_hand(), entry.act_by_hand(act, {"node": args.node})]
        if command is None:
            return found
        own = estate.commands[command]
        given = {**{name: f"${{{name}}}" for name in own.params}, "node": args.node}
        where = "here" if own.on == LOCAL else f"on {own.on}"
        return [*found, HandStep(f"run {command} {where}", shlex.join(str(filled(text, given)) for text in own.argv))]

    return steps


def command_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """The command as a shell takes it, with the values that are known; and the one that reads."""
    entry = estate.commands[args.command]
    where = "here, as the engine's account" if entry.on == LOCAL else f"on {entry.on}"
    given = {**{name: f"${{{name}}}" for name in entry.params}, **args.args}
    steps = [HandStep(f"run {args.command} {where}", shlex.join(str(filled(text, given)) for text in entry.argv))]
    if entry.read is not None:
        read = shlex.join(str(filled(text, given)) for text in entry.read.argv)
        done = ", ".join(str(code) for code in entry.read.done)
        proven = "its output must differ from before" if entry.read.changed else f"it is done at exit code {done}"
        steps.append(HandStep(f"read what is so: {proven}", read))
    return steps


def call_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """What is sent, and where to; credentials are not shown."""
    entry = estate.http_calls[args.call]
    return [
        HandStep(f"send {entry.method} {entry.url} with its headers and body as {args.call} of the estate has them")
    ]


def statement_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """The statement, in one transaction at the primary."""
    entry = estate.sql_calls[args.statement]
    return [HandStep(f"at the primary of {entry.database}, in one transaction: {entry.statement}")]


def fault_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """Laboratories only."""
    return [HandStep(f"in the laboratory: fault {args.fault}")]


def _parted(args: Any, estate: Estate) -> tuple[Sequence[str], Sequence[str]]:
    """The servers of the colour, and those of the others, as the estate names them."""
    traffic = [s.traffic for s in estate.services.values() if s.traffic and s.traffic.backend == args.backend]
    colours = {name: colour for each in traffic for name, colour in each.colours.items()}
    others = dict.fromkeys(s for name, each in colours.items() if name != args.to for s in each.named(name))
    return colours[args.to].named(args.to) if args.to in colours else (args.to,), tuple(others)


def _set(args: Any, estate: Estate, settings: Mapping[str, str]) -> list[HandStep]:
    balancer = estate.balancers[args.balancer]
    return [balancer.set_by_hand(args.backend, server, setting) for server, setting in settings.items()]


def _floor(args: Any, estate: Estate, *without: str) -> list[HandStep]:
    """What no command of a balancer looks after: how many servers must still serve, read before anything is sent."""
    service, floor, *_ = promise_of(estate, args.balancer, args.backend)
    look = estate.balancers[args.balancer].read_by_hand(args.backend)
    whose = f", the floor of {service}" if service else ""
    rest = f"without {', '.join(without)}" if without else "afterwards"
    least = f"{rest} at least {floor} of {args.backend} must serve{whose}; if not, do not send what follows"
    return [HandStep(f"before anything is sent, {look.what}: {least}", look.command)]
