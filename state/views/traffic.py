"""Screen 4: backends against their floors, servers, and DNS answers against what the estate expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import is_
from typing import NamedTuple

from state.api.views.causes import NextKind, NextStep
from state.api.views.traffic import BackendRow, ServerRow, TrafficView
from state.changes.floors import Promise, backends_of, colours_of, promise_of
from state.detection.detector import Detector
from state.detection.names import NameWatch
from state.estate.colours import Colours, colour_of, release_of
from state.estate.model import Estate
from state.health import Health
from state.verdicts.evidence import no_data_reason
from state.verdicts.keeping import Keeping, keeping
from state.verdicts.routing import routed
from state.verdicts.traffic import (
    OPEN,
    BackendVerdict,
    backend_verdict,
    frontend_verdict,
    reason_word,
    server_health,
    shares,
    state_word,
    way_in,
)
from state.views.context import Alarm, Contribution, ViewContext
from state.views.traffic_names import name_rows
from state.views.trends import CHARTED_SERVERS
from state.world.balancer_parts import BalancerReading, Server
from state.world.observed import Observed
from state.world.readings import PostgresReading
from state.world.world import World


class Led(NamedTuple):
    """What maps say of a backend, and the colours of its services that are backends, the present one last."""

    message: str = ""
    colours: tuple[str, ...] = ()


Owner = tuple[Promise, Colours, Led]
"""Of a backend: the floor that its services together need, its colours, and what maps lead to it."""
Figures = tuple[float, float, float, tuple[float, ...], bool, str]
"""Of a server: share, requests/s, 5xx/s, trend of requests/s, whether the balancer's reading is fresh, and the role it
has instead when it is down by design."""

_NOBODY: Owner = (Promise("", 0, "reserve", ()), {}, Led())


def build(context: ViewContext) -> TrafficView:
    """Build the traffic view. A balancer that stopped answering keeps its rows, every verdict unknown."""
    estate, world, now_mono, memory = context.estate, context.world, context.now_mono, context.memory
    drifted = context.of(Detector).drifts
    backends: dict[str, BackendRow] = {}
    servers: dict[str, ServerRow] = {}
    frontends = _frontends(estate, world, now_mono)
    for name, entry in estate.balancers.items():
        seen = world.of(f"balancer:{name}", BalancerReading)
        owners = {b: _owner(estate, name, b, seen.value if seen else None) for b in backends_of(estate, name)}
        kept: BalancerRows | None = memory.balancers.get(name)
        fresh = seen is not None and seen.fresh_value(now_mono) is not None
        reading = seen.value if seen is not None else None
        drifts = drifted.get(name, {}) if fresh else {}
        if kept is None or not fresh or not kept.valid(reading, frontends, drifts):
            balancer = _Balancer(name, entry.site, seen, owners, frontends, fresh, kept)
            made = {
                backend: _backend(balancer, backend, drifts.get(backend, ""), world) for backend in balancer.backends
            }
            kept = BalancerRows(reading if fresh else None, frontends, drifts, balancer.backends, made)
            memory.balancers[name] = kept
        for each in kept.made.values():
            backends[each.row.key] = each.row
            servers |= each.servers
    return memory.keep("traffic", TrafficView(backends, servers, name_rows(context)))


def contribute(context: ViewContext) -> Contribution:
    """Balancers and names that differ from what effects left, by fresh readings."""
    alarms = [
        Alarm(f"{name}: {'; '.join(changed.values())}", _set_again(f"{name}/{next(iter(changed))}"))
        for name, changed in context.of(Detector).drifts.items()
        if changed and context.world.fresh(f"balancer:{name}", BalancerReading, context.now_mono) is not None
    ]
    alarms += [
        Alarm(told.message, _set_again_name(told.zone, told.record))
        for told in context.of(NameWatch).reverted.values()
        if told.zone in context.estate.zones
    ]
    return Contribution(alarms=tuple(alarms))


def _set_again_name(zone: str, record: str) -> NextStep:
    """What a person does about a name that somebody else changed."""
    message = (
        f"Nothing is set again by itself. Find out what writes {record} of {zone} and stop it; then, on Traffic at the"
        " record: a sets the addresses that are wanted. That counts from then on."
    )
    return NextStep(NextKind.PLACE, "traffic", {"table": "dns", "record": record}, "t", "its records", message)


def _set_again(backend: str) -> NextStep:
    """What a person does about settings that are not those which effects left."""
    message = (
        f"Nothing is set again by itself. On Traffic, at {backend}: set what is wanted now with w weight, d drain,"
        " r ready or f flip. That counts from then on, also where it is there already."
    )
    return NextStep(NextKind.PLACE, "traffic", {"backend": backend}, "t", "its servers", message)


def _owner(estate: Estate, balancer: str, backend: str, reading: BalancerReading | None) -> Owner:
    promise = promise_of(estate, balancer, backend)
    return promise, colours_of(estate, balancer, backend), _led(estate, promise, backend, reading)


def _led(estate: Estate, promise: Promise, backend: str, reading: BalancerReading | None) -> Led:
    """Whether the map has the traffic of its services here; nothing where no map decides it."""
    told, others = list[str](), dict[str, bool]()
    for name in promise.services:
        entry = estate.services[name].traffic
        if entry is None or entry.routes is None or reading is None:
            continue
        now, lacking = routed(entry, reading)
        others |= {colour: each == now for colour, each in entry.routes.backends.items()}
        key = entry.routes.key
        told.append(lacking or (f"{key} leads here" if now == backend else f"{key} leads to {now}"))
    return Led("; ".join(told), tuple(sorted(others, key=others.__getitem__)))


@dataclass(frozen=True, slots=True)
class _Frontend:
    """A backend that leads to a database by role; `aside` holds nodes proven to have the other role."""

    database: str
    role: str
    aside: Mapping[str, str]


def _frontends(estate: Estate, world: World, now_mono: float) -> dict[str, _Frontend]:
    found: dict[str, _Frontend] = {}
    for name, entry in estate.databases.items():
        readings = {n: world.fresh(f"postgres:{name}/{n}", PostgresReading, now_mono) for n in entry.nodes}
        roles = {n: "standby" if r.in_recovery else "primary" for n, r in readings.items() if r is not None}
        for backend, role in entry.frontends.items():
            found[backend] = _Frontend(name, role, {n: has for n, has in roles.items() if has != role})
    return found


@dataclass(frozen=True, slots=True)
class BackendMade:
    """One backend's rows and what they were made from. `quiet`: no figure of its servers moves with time."""

    members: Sequence[Server]
    basis: tuple[object, ...]
    quiet: bool
    row: BackendRow
    servers: Mapping[str, ServerRow]
    figures: Mapping[str, tuple[Server, Figures]]

    def valid(self, members: Sequence[Server], basis: tuple[object, ...]) -> bool:
        """Whether building the rows again would give the same."""
        same = self.quiet and self.basis == basis and len(members) == len(self.members)
        return same and all(map(is_, members, self.members))


@dataclass(frozen=True, slots=True)
class BalancerRows:
    """The rows of one balancer and everything they were made from; they are valid as long as that is the same."""

    reading: BalancerReading | None
    frontends: Mapping[str, _Frontend]
    drifts: Mapping[str, str]
    backends: Mapping[str, list[Server]]
    made: Mapping[str, BackendMade]

    def valid(
        self, reading: BalancerReading | None, frontends: Mapping[str, _Frontend], drifts: Mapping[str, str]
    ) -> bool:
        """Trends change only with a reading, so the same reading gives the same row."""
        same = self.reading is not None and self.reading is reading
        return same and self.frontends == frontends and self.drifts == drifts


class _Balancer:
    """One balancer as read now: its servers by backend, and the service of each backend."""

    def __init__(
        self,
        name: str,
        site: str,
        seen: Observed[BalancerReading] | None,
        owners: Mapping[str, Owner],
        frontends: Mapping[str, _Frontend],
        fresh: bool,
        kept: BalancerRows | None,
    ) -> None:
        self.name, self.site, self.seen, self.owners = name, site, seen, owners
        self.frontends, self.fresh = frontends, fresh
        self.reading = seen.value if seen is not None else None
        self.former = kept.made if kept is not None else {}
        servers = self.reading.servers if self.reading is not None else {}
        if kept is not None and kept.reading is not None and kept.reading.servers is servers:
            self.backends = kept.backends  # the balancer's reading is the same as before
            return
        grouped: dict[str, list[Server]] = {backend: [] for backend in owners}
        for server in servers.values():
            grouped.setdefault(server.backend, []).append(server)
        self.backends = grouped

    def keeping(self, backend: str) -> Keeping | None:
        """What a reload makes of a backend; None also where no file is kept, or the reading is old."""
        saved = self.reading.saved if self.reading is not None and self.fresh else None
        return None if saved is None else keeping(saved, backend)


def _backend(balancer: _Balancer, backend: str, drift: str, world: World) -> BackendMade:
    """The rows of one backend; the former ones where nothing about it has changed."""
    members = balancer.backends[backend]
    kept = balancer.keeping(backend)
    basis = (balancer.fresh, drift, balancer.frontends.get(backend), balancer.owners.get(backend), kept)
    former = balancer.former.get(backend)
    if former is not None and balancer.fresh and former.valid(members, basis):
        return former
    before = former.figures if former is not None else {}
    rows = former.servers if former is not None else {}
    figures = _figures(balancer, backend, world)
    made = {
        key: rows[key] if before.get(key) == found else _server_row(key, balancer, *found)
        for key, found in figures.items()
    }
    quiet = not any(f"load/{key}" in world.trends for key in figures)
    return BackendMade(members, basis, quiet, _backend_row(balancer, backend, drift, kept), made, figures)


def _backend_row(balancer: _Balancer, backend: str, changed: str, kept: Keeping | None) -> BackendRow:
    promise, colours, led = balancer.owners.get(backend, _NOBODY)
    servers, frontend = balancer.backends[backend], balancer.frontends.get(backend)
    if frontend is None:
        reading = balancer.reading
        empty = reading is not None and backend in reading.empty
        way = OPEN if reading is None else way_in(reading, backend)
        verdict = backend_verdict(servers, promise.floor, colours, promise.backups, empty=empty, entry=way)
    else:
        verdict = frontend_verdict(servers, frontend.role, frontend.aside)
    if not balancer.fresh:
        verdict = replace(verdict, health=Health.UNKNOWN, message=no_data_reason(balancer.seen), serving=0, active="")
    unsaved = kept.message if kept is not None and kept.health is Health.WARN else ""
    return BackendRow(
        key=f"{balancer.name}/{backend}",
        balancer=balancer.name,
        site=balancer.site,
        backend=backend,
        service=", ".join(promise.services) or (frontend.database if frontend else ""),
        health=Health.WARN if (changed or unsaved) and verdict.health is Health.PASS else verdict.health,
        message=_both(verdict, "; ".join(each for each in (unsaved, led.message) if each and balancer.fresh)),
        serving=verdict.serving,
        total=verdict.total,
        floor=verdict.floor,
        active=verdict.active,
        sessions=verdict.sessions,
        drift=changed,
        source=f"balancer:{balancer.name}",
        routes=led.colours,
        keeping=kept.message if kept is not None else "",
        kept=kept.health if kept is not None else Health.PASS,
    )


def _both(verdict: BackendVerdict, led: str) -> str:
    """What is wrong comes first; where nothing is, whether it has the traffic."""
    told = (led, verdict.message) if verdict.health is Health.PASS else (verdict.message, led)
    return "; ".join(each for each in told if each)


def _figures(balancer: _Balancer, backend: str, world: World) -> dict[str, tuple[Server, Figures]]:
    """What the rows of a backend's servers show besides the servers' own values."""
    members = balancer.backends[backend]
    charted = balancer.reading is not None and len(balancer.reading.servers) <= CHARTED_SERVERS
    promise, _, _ = balancer.owners.get(backend, _NOBODY)
    split, frontend = shares(members, promise.backups), balancer.frontends.get(backend)
    aside = frontend.aside if frontend is not None else {}
    found: dict[str, tuple[Server, Figures]] = {}
    for server in members:
        key = f"{balancer.name}/{backend}/{server.name}"
        load, failing = world.trends.get(f"load/{key}"), world.trends.get(f"load-errors/{key}")
        found[key] = (
            server,
            (
                split[server.name],
                load[-1] if load else 0.0,
                failing[-1] if failing else 0.0,
                tuple(load) if load and charted else (),
                balancer.fresh,
                "" if server.serving else aside.get(server.name, ""),
            ),
        )
    return found


def _server_row(key: str, balancer: _Balancer, server: Server, figures: Figures) -> ServerRow:
    colours = balancer.owners.get(server.backend, _NOBODY)[1]
    share, rate, error_rate, trend, fresh, aside = figures
    health = Health.PASS if aside else server_health(server)
    return ServerRow(
        key,
        balancer.name,
        balancer.site,
        server.backend,
        server.name,
        colour_of(colours, server.name),
        release_of(colours, server.name),
        health if fresh else Health.UNKNOWN,
        aside or ("reserve" if server.backup and server.serving and not share else state_word(server)),
        server.weight,
        share,
        server.sessions,
        server.queued,
        rate,
        error_rate,
        reason_word(server),
        f"balancer:{balancer.name}",
        trend,
    )
