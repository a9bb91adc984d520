"""The flip of a service whose colours are backends of their own: one entry of a map of its balancer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.floors import promise_of
from state.changes.hands import route_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.changes.traffic import balancer_of, shape
from state.config_files.suggestions import not_found
from state.errors import EffectRefused, ReadFailure, Trouble
from state.estate.model import Estate, Name, ObjectName
from state.estate.routes import RoutesEntry
from state.ports.balancer import Balancer, CanRoute, Forgets, KnowsTheWay
from state.ports.outside import Outside
from state.ports.target import Identity, Receipt, Setting
from state.verdicts.routing import alike, values_of
from state.verdicts.traffic import failing_words, floor_after, proven, state_word
from state.world.balancer_parts import Server


class RouteArgs(BaseModel):
    """A service on one of its balancers, and the colour that is to have its traffic."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    balancer: Name
    service: Name
    to: ObjectName


class SetRoute:
    """Lead a service to the backend of another colour. Requests under way stay where they are."""

    risk = Risk.B2
    settle = 1.0
    quiet = 1.0
    timeout = 5.0

    def __init__(self, args: RouteArgs, estate: Estate, outside: Outside, routes: RoutesEntry) -> None:
        self.spec = ChangeSpec("backend.route", args.model_dump())
        self.estate, self.routes, self.to, self.service = estate, routes, args.to, args.service
        self.balancer: Balancer = balancer_of(outside, args.balancer)
        self.backend = routes.backends[args.to]
        self.name = f"{args.balancer}/{routes.key}"
        self.targets: tuple[str, ...] = tuple(
            f"{args.balancer}/{each}" for each in dict.fromkeys((routes.map, *routes.backends.values()))
        )
        self.title = f"Lead {args.service} on {args.balancer} to {args.to} ({self.backend})"
        self.verb = f"lead {args.service} to {args.to}"
        self._before: str | None = None

    @property
    def late(self) -> Late:
        """As every command of a balancer's socket."""
        direct = isinstance(self.balancer, KnowsTheWay) and self.balancer.direct
        return Late(0.0 if direct else self.estate.policies.delivery, 0.0, "HAProxy management guide 9.3")

    @property
    def forgotten(self) -> str:
        """The map's file on disk is not changed, and a state file has no maps."""
        return self.balancer.forgets_routes if isinstance(self.balancer, Forgets) else ""

    def follow(self, left: Sequence[Setting]) -> None:
        """Preview as if earlier changes of the same plan had set these; fulfils CanFollow."""
        place = self._setting("").place
        self._before = next((s.value for s in reversed(left) if s.place == place and s.name == "route"), None)

    def _setting(self, value: str) -> Setting:
        return Setting((self.balancer.name, self.routes.map, self.routes.key), "route", value)

    async def identify(self, *, deadline: float) -> Identity:
        """The balancer process that will act."""
        return await self.balancer.identify(deadline=deadline)

    async def _entries(self, deadline: float) -> tuple[tuple[str, str], ...]:
        if not isinstance(self.balancer, CanRoute):
            raise ReadFailure(Trouble.ERROR, f"{self.balancer.name} has no maps that can be read")
        return await self.balancer.read_map(self.routes.map, deadline=deadline)

    async def _servers(self, backend: str, deadline: float) -> tuple[Server, ...]:
        """The servers of a backend; none where there is no such backend."""
        try:
            return await self.balancer.read_backend(backend, deadline=deadline)
        except ReadFailure as error:
            if error.trouble is not Trouble.ERROR:
                raise
            return ()

    async def preview(self, *, deadline: float) -> Preview:
        """The entry before and after, who would serve, and other spellings of it that would not move."""
        entries = await self._entries(deadline / 2)
        found = values_of(entries, self.routes.key)
        now = self._before or (found[0] if found else "")
        servers = await self._servers(self.backend, deadline / 2)
        before = await self._servers(now, deadline / 2) if now else ()
        back = self.routes.colour_of(now)
        others = alike(entries, self.routes.key)
        said = ", ".join(f"{name} → {value}" for name, value in others)
        warned = [f"other spellings stay as they are: {said}"] if others else []
        return Preview(
            verb=f"lead {self.service} from {back or now or 'nowhere'} to {self.to}",
            diffs=(Diff(f"{self.balancer.name} {self.routes.map} {self.routes.key}", now, self.backend),),
            facts={"values": list(found), "servers": shape(servers)},
            rules=(self._one_entry(found), self._floor(servers, before)),
            warnings=tuple(CardWarning(WarningKind.EFFECT, self.name, each) for each in warned),
            sessions_cut=0,
            undo=ChangeSpec("backend.route", {**self.spec.args, "to": back}) if back else None,
            already=found == [self.backend] and now == self.backend,
            leaves=(self._setting(self.backend),),
            services=tuple(self._users()),
        )

    def _users(self) -> list[str]:
        """Every service of the estate that this very entry leads."""
        return [
            name
            for name, each in self.estate.services.items()
            if each.traffic is not None
            and each.traffic.routes is not None
            and (each.traffic.routes.map, each.traffic.routes.key) == (self.routes.map, self.routes.key)
            and self.balancer.name in each.traffic.balancers
        ]

    def _one_entry(self, found: Sequence[str]) -> Rule:
        fact = f"{self.routes.map} has {len(found)} entries {self.routes.key}"
        fact += f": {', '.join(found)}, of which the first one is found" if len(found) > 1 else ""
        way_out = "Let the map have this entry exactly once, in its file and in memory"
        return Rule("map-entry", len(found) == 1, fact, way_out, "responder", self.name, self.balancer.name)

    def _floor(self, servers: tuple[Server, ...], before: tuple[Server, ...]) -> Rule:
        """The destination carries it: a value that is no backend is accepted, and answers 503."""
        service, floor, backups, _ = promise_of(self.estate, self.balancer.name, self.backend)
        will, was = floor_after(servers, {}, backups), floor_after(before, {}, backups)
        who = f"{service or self.service} needs at least {floor}"
        fact = f"{will} of {len(servers)} servers of {self.backend} serve, {who}"
        if not servers:
            fact = f"{self.balancer.name} has no backend {self.backend} with servers"
        elif not proven(servers):
            fact += "; none of them is checked"
        elif will < floor:
            fact += "; " + ", ".join(f"{s.name} {state_word(s)}" for s in servers if not s.serving)[:200]
            fact += failing_words(servers)
        passed = will > 0 and will >= min(floor, max(was, 1))
        way_out = "Make the destination healthy first"
        return Rule("make-before-break", passed, fact, way_out, "responder", self.name, self.balancer.name)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Set the entry once; the map always has it."""
        if not isinstance(self.balancer, CanRoute):
            raise EffectRefused(f"{self.balancer.name} cannot change maps")
        return await self.balancer.set_map(self.routes.map, self.routes.key, self.backend, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Done when the map has it once, and a look-up as a request makes it finds it."""
        assert isinstance(self.balancer, CanRoute), "it was previewed"
        found = values_of(await self._entries(deadline / 2), self.routes.key)
        met = await self.balancer.look_up(self.routes.map, self.routes.key, deadline=deadline / 2)
        evidence = (
            f"{self.routes.map} has {self.routes.key} → {', '.join(found) or 'nothing'}; a look-up finds {met}",
        )
        leaves = (self._setting(found[0]),) if found else ()
        if found == [self.backend] and met == self.backend:
            return ReadBack(Finding.DONE, evidence, leaves=leaves)
        finding = Finding.NOT_DONE if found == list(facts["values"]) else Finding.PARTIAL
        return ReadBack(finding, evidence, leaves=leaves)


def _route(args: RouteArgs, estate: Estate, outside: Outside) -> SetRoute:
    service = estate.services.get(args.service)
    entry = service.traffic if service is not None else None
    if entry is None or entry.routes is None:
        known = [n for n, s in estate.services.items() if s.traffic is not None and s.traffic.routes is not None]
        raise not_found("service with routes", args.service, known)
    if args.balancer not in entry.balancers:
        raise not_found(f"balancer of {args.service}", args.balancer, entry.balancers)
    if args.to not in entry.routes.backends:
        raise not_found(f"colour of {args.service}", args.to, entry.routes.backends)
    return SetRoute(args, estate, outside, entry.routes)


KINDS = (ChangeKind("backend.route", "Lead a service to another backend", RouteArgs, Risk.B2, _route, route_by_hand),)
