"""Checks on balancers: a server serves or is drained, a backend keeps its floor, a colour takes the traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from state.changes.floors import colours_of, promise_of
from state.checks.hands import traffic_by_hand
from state.checks.model import Answer, CheckArgs, CheckKind, answered, unknown
from state.config_files.suggestions import not_found
from state.estate.colours import members
from state.estate.model import Estate, Name, ObjectName
from state.units import percent, rate
from state.verdicts.evidence import no_data_reason
from state.verdicts.sharing import measured
from state.verdicts.traffic import active_message, proven, reason_word, shares, state_word, sure, taking
from state.world.balancer_parts import BalancerReading, Server
from state.world.world import World

TOLD = 5
"""So many requests are to be expected of the smaller part before its share is judged by them."""
MOST_POLLS = 30
"""A share of few requests is judged by at most so many of the latest polls."""
WHOLE = 1.0 - 1e-9
"""All of the traffic, as a sum of shares."""


class OneServer(CheckArgs):
    """Which server of which backend on which balancer."""

    balancer: Name
    backend: ObjectName
    server: ObjectName


class Drained(OneServer):
    """Which server, and how many sessions it may still have."""

    sessions: int = Field(default=0, ge=0)


class Floor(CheckArgs):
    """Which backend on which balancer, and how many servers must serve."""

    balancer: Name
    backend: ObjectName
    at_least: int = Field(ge=1)


class WantedShare(CheckArgs):
    """Which colour or server of which backend, its share in percent, and by how many points it may be another one."""

    balancer: Name
    backend: ObjectName
    to: ObjectName
    percent: int = Field(ge=0, le=100)
    within: int = Field(default=15, ge=1, le=50)


def share(args: WantedShare, world: World, estate: Estate, now_mono: float) -> Answer:
    """The share of the requests that reach the servers of a colour, as counted there in the last poll, in several where
    there are few requests; without requests unknown."""
    servers = backend_servers(args.balancer, args.backend, world, estate, now_mono)
    if isinstance(servers, Answer):
        return servers
    loads = {s.name: world.trends.get(f"load/{args.balancer}/{args.backend}/{s.name}") or () for s in servers}
    part = min(args.percent, 100 - args.percent) / 100
    rates = _latest(loads, TOLD / part / estate.polling.every if part else 0.0)
    names = members(colours_of(estate, *_place(args)), args.to, [s.name for s in servers])
    if not names:
        return answered(False, f"{args.balancer}/{args.backend} has no colour or server {args.to}")
    got, where = measured(rates, names), f"{args.balancer}/{args.backend}: {args.to}"
    if got is None:
        return unknown(f"{where}: no requests were counted")
    inside = abs(got * 100 - args.percent) <= args.within
    some = got < 1.0 if args.percent < 100 else True
    told = f"{where} gets {percent(got)} of {rate(sum(rates.values()))}, {args.percent}% ± {args.within} is wanted"
    return answered(inside and (got > 0 or not args.percent) and some, told)


def _latest(loads: Mapping[str, Sequence[float]], enough: float) -> dict[str, float]:
    """The rates of the last poll; of as many of the latest ones as it takes to come to `enough` where there are few
    requests: one of twenty is often none of ten."""
    known = {name: load for name, load in loads.items() if load}
    sums, polls = dict.fromkeys(known, 0.0), 0
    while polls < MOST_POLLS and any(len(load) > polls for load in known.values()):
        polls += 1
        for name, load in known.items():
            sums[name] += load[-polls] if len(load) >= polls else 0.0
        if sum(sums.values()) >= enough:
            break
    return {name: total / polls for name, total in sums.items()}


def serving(args: OneServer, world: World, estate: Estate, now_mono: float) -> Answer:
    """Up by its health check, in rotation and with a weight. Before a check has answered the answer is unknown."""
    servers = backend_servers(args.balancer, args.backend, world, estate, now_mono)
    if isinstance(servers, Answer):
        return servers
    server = _one(servers, args.server)
    if server is None:
        return answered(False, f"{args.balancer}/{args.backend} has no server {args.server}")
    if server.serving and not server.checked:
        return unknown(f"{server.name}: the balancer runs no health check on it, or none has answered yet")
    if server.serving and server.failing:
        return unknown(f"{server.name}: it is in rotation, and its last check failed ({server.status})")
    if server.serving and server.backup and server not in taking(servers, promise_of(estate, *_place(args)).backups):
        return answered(False, f"{server.name}: in reserve, as a backup, while others serve")
    return answered(server.serving, _describe(server))


def drained(args: Drained, world: World, estate: Estate, now_mono: float) -> Answer:
    """Takes no new connections, and at most `sessions` are left. Persistence (cookies, stick tables) sends requests to
    a drained server all the same: it counts once requests have stopped too, over an interval of one process. Of one
    that was just started, by a reload too, nothing has been counted."""
    servers = backend_servers(args.balancer, args.backend, world, estate, now_mono)
    if isinstance(servers, Answer):
        return servers
    server = _one(servers, args.server)
    if server is None:
        return answered(False, f"{args.balancer}/{args.backend} has no server {args.server}")
    out = server.drained or server.maintenance or server.weight == 0
    reading = world.fresh(f"balancer:{args.balancer}", BalancerReading, now_mono)
    left = server.sessions + server.queued
    load = world.trends.get(f"load/{args.balancer}/{args.backend}/{args.server}")
    now = load[-1] if load else 0.0
    if not out or left > args.sessions or now > 0:
        told = f"; still {rate(now)}: persistence leads there" if now > 0 else ""
        return answered(False, _describe(server) + told, sessions=left)
    if unseen := _old_ones(reading):
        return unknown(f"{_describe(server)}; {unseen}")
    seen = world.trends.get(f"counted/{args.balancer}")
    if not (seen and seen[-1]):
        return unknown(f"{_describe(server)}; whether requests still reach it is counted from the next reading on")
    return answered(True, _describe(server), sessions=left)


def _old_ones(reading: BalancerReading | None) -> str:
    """What older processes of the balancer may still send to its servers; empty where there is none."""
    if reading is None or reading.leaving == 0:
        return ""
    if reading.leaving is None:
        return (
            "whether a process from before a reload serves on is not seen from here: read it on its own host by its"
            " Unix socket, or give hard_stop_after"
        )
    many = f"{reading.leaving} old processes serve" if reading.leaving > 1 else "an old process serves"
    return f"since a reload {many} on, and what it sends there is not seen"


def floor(args: Floor, world: World, estate: Estate, now_mono: float) -> Answer:
    """At least `at_least` servers serve."""
    servers = backend_servers(args.balancer, args.backend, world, estate, now_mono)
    if isinstance(servers, Answer):
        return servers
    backups = promise_of(estate, *_place(args)).backups
    count = len(sure(servers, backups))
    active = next((name for name, share in shares(servers, backups).items() if share == 1.0), "")
    message = f"{args.balancer}/{args.backend}: {count} serve, at least {args.at_least}"
    if count >= args.at_least and not proven(servers):
        return unknown(f"{args.balancer}/{args.backend}: {count} in rotation, none checked")
    return answered(count >= args.at_least, message, serving=count, active=active)


def active(args: OneServer, world: World, estate: Estate, now_mono: float) -> Answer:
    """Only the named server, or the servers of the named colour, take new traffic."""
    servers = backend_servers(args.balancer, args.backend, world, estate, now_mono)
    if isinstance(servers, Answer):
        return servers
    backups = promise_of(estate, *_place(args)).backups
    split = shares(servers, backups)
    share = sum(split[name] for name in members(colours_of(estate, *_place(args)), args.server, split))
    told = active_message(servers, {}, backups) or "no server serves"
    return answered(share > WHOLE, f"{args.balancer}/{args.backend}: {told}")


def balancer_reading(balancer: str, world: World, estate: Estate, now_mono: float) -> BalancerReading | Answer:
    """The last reading of a balancer that counts; unknown without one. Raises NotFound."""
    if balancer not in estate.balancers:
        raise not_found("balancer", balancer, estate.balancers)
    key = f"balancer:{balancer}"
    reading = world.fresh(key, BalancerReading, now_mono)
    return unknown(f"{balancer}: {no_data_reason(world.observed.get(key))}") if reading is None else reading


def backend_servers(
    balancer: str, backend: str, world: World, estate: Estate, now_mono: float
) -> tuple[Server, ...] | Answer:
    """The servers of a backend in the last reading that counts; unknown without one. Raises NotFound."""
    reading = balancer_reading(balancer, world, estate, now_mono)
    if isinstance(reading, Answer):
        return reading
    servers = reading.of(backend)
    return servers or unknown(f"{balancer} has no backend {backend}")


def _place(args: Floor | OneServer | WantedShare) -> tuple[str, str]:
    return args.balancer, args.backend


def _one(servers: tuple[Server, ...], name: str) -> Server | None:
    return next((s for s in servers if s.name == name), None)


def _describe(server: Server) -> str:
    check = f" ({reason_word(server)})" if reason_word(server) else ""
    return f"{server.name}: {state_word(server)}{check}, weight {server.weight}, {server.sessions} sessions"


KINDS = (
    CheckKind("server.serving", "server takes traffic", OneServer, serving, by_hand=traffic_by_hand),
    CheckKind(
        "server.drained",
        "server takes no new connections and is empty",
        Drained,
        drained,
        by_hand=traffic_by_hand,
        figures={"sessions": "number"},
    ),
    CheckKind(
        "backend.floor",
        "enough servers serve",
        Floor,
        floor,
        by_hand=traffic_by_hand,
        figures={"serving": "number", "active": "server"},
    ),
    CheckKind("backend.share", "a colour gets its share of the requests", WantedShare, share, by_hand=traffic_by_hand),
    CheckKind("backend.active", "one server takes all traffic", OneServer, active, by_hand=traffic_by_hand),
)
