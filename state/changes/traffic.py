"""Changes to balancers: weight and the blue-green flip, over any adapter that has the capability.

The engine checks the floor itself: a balancer lets the last server be drained, and answers 503 afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from state.api.card import Diff, Rule
from state.changes.floors import backends_of, promise_of
from state.changes.hands import weight_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk, SavedAfter
from state.changes.safety import Touched, effects_of, safety_rules
from state.config_files.suggestions import not_found
from state.errors import EffectRefused, ReadFailure, Trouble
from state.estate.model import Estate, Name, ObjectName
from state.ports.balancer import Balancer, CanSave, CanSetWeight, Forgets, KnowsTheWay
from state.ports.outside import Outside
from state.ports.target import Identity, Receipt, Setting
from state.verdicts.drift import settings_of
from state.verdicts.keeping import Keeping, file_of, keeping
from state.verdicts.traffic import ServerEffect, after_effect, failing_words, floor_after, proven, state_word
from state.world.balancer_parts import NextReads, Server

TAKEN_OUT = ("maint", "drain")
"""Words of servers that somebody took out of rotation."""


class BackendArgs(BaseModel):
    """One backend of one balancer."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    balancer: Name
    backend: ObjectName


class ServerArgs(BackendArgs):
    """And one server of it."""

    server: ObjectName


class WeightArgs(ServerArgs):
    """And its new absolute weight, 0 to 256."""

    weight: int = Field(ge=0, le=256)


def shape(servers: tuple[Server, ...]) -> dict[str, Any]:
    """What a plan relies on: weight, state, health and address of every server; not sessions, which change all the
    time. A name may be another machine after it was resolved anew."""
    return {s.name: [s.weight, state_word(s), s.up, s.address] for s in servers}


class BackendChange:
    """The common part of all changes of one backend: identity, fresh reading, floor and read-back by inventory."""

    risk = Risk.B1
    settle = 1.0
    quiet = 1.0
    timeout = 5.0

    def __init__(self, spec: ChangeSpec, args: BackendArgs, estate: Estate, outside: Outside) -> None:
        self.spec = spec
        self.estate, self.outside = estate, outside
        self._delivery = estate.policies.delivery
        self.balancer = balancer_of(outside, args.balancer)
        self.backend = args.backend
        self.promise = promise_of(estate, args.balancer, args.backend)
        self.expected = backends_of(estate, args.balancer)
        self.name = f"{args.balancer}/{args.backend}"
        self.targets: tuple[str, ...] = (self.name,)
        self.title = self.verb = ""
        self._before: dict[str, ServerEffect] = {}
        self.left: tuple[Setting, ...] = ()

    @property
    def late(self) -> Late:
        """A command takes effect while it is read, and one that came later is answered after it."""
        direct = isinstance(self.balancer, KnowsTheWay) and self.balancer.direct
        return Late(0.0 if direct else self._delivery, 0.0, "HAProxy management guide 9.3")

    @property
    def forgotten(self) -> str:
        """When what it sets is lost by itself; empty when it lasts, or when it is saved."""
        return self.balancer.forgets if isinstance(self.balancer, Forgets) and self.saved_after is None else ""

    @property
    def saved_after(self) -> SavedAfter | None:
        """The balancer's state file; fulfils IsSaved."""
        saved = self.balancer.saved if isinstance(self.balancer, CanSave) else None
        if saved is None:
            return None
        reads = saved.reads.get(self.backend, NextReads.UNKNOWN)
        return SavedAfter(file_of(saved, self.backend), reads, saved.unknown)

    async def save(self, *, deadline: float) -> Keeping | None:
        """Write the state file and read it against the process."""
        saved = (
            await self.balancer.save(self.backend, deadline=deadline) if isinstance(self.balancer, CanSave) else None
        )
        return None if saved is None else keeping(saved, self.backend)

    def follow(self, left: Sequence[Setting]) -> None:
        """Preview as if earlier changes of the same plan had set these; fulfils CanFollow."""
        self.left = tuple(left)
        self._before = effects_of(left, self.balancer.name, self.backend)

    def loosened(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Weights, and who was taken out by hand, without who is up; fulfils RestsOnChecks."""
        servers = {
            name: [weight, word if word in TAKEN_OUT else "in rotation", *address]
            for name, (weight, word, _, *address) in facts["servers"].items()
        }
        return {**facts, "servers": servers}

    def would_leave(self, effects: Mapping[str, ServerEffect]) -> tuple[Setting, ...]:
        """The settings that effects on servers of the backend make."""
        made: list[Setting] = []
        for name, effect in effects.items():
            place = (self.balancer.name, self.backend, name)
            if effect.weight is not None:
                made.append(Setting(place, "weight", str(effect.weight)))
            if effect.state is not None:
                made.append(Setting(place, "state", effect.state))
        return tuple(made)

    async def identify(self, *, deadline: float) -> Identity:
        """The balancer process that will act."""
        return await self.balancer.identify(deadline=deadline)

    async def servers(self, deadline: float) -> tuple[Server, ...]:
        """The backend's servers, read now, with what earlier changes of the plan would have set.

        Raises NotFound when the backend is not there.
        """
        try:
            found = await self.balancer.read_backend(self.backend, deadline=deadline)
        except ReadFailure as error:
            if error.trouble is not Trouble.ERROR or self.backend in self.expected:
                raise
            found = ()  # it answered, and nothing of the estate leads to a backend of this name
        if not found:
            raise not_found(f"backend of {self.balancer.name}", self.backend, self.expected)
        return tuple(after_effect(s, self._before[s.name]) if s.name in self._before else s for s in found)

    def one(self, servers: tuple[Server, ...], name: str) -> Server:
        """One server by name. Raises NotFound naming the known servers."""
        for server in servers:
            if server.name == name:
                return server
        raise not_found(f"server of {self.name}", name, [s.name for s in servers])

    def gain(self, servers: tuple[Server, ...], effects: Mapping[str, ServerEffect]) -> int:
        """So many more servers would serve."""
        backups = self.promise.backups
        return floor_after(servers, effects, backups) - floor_after(servers, {}, backups)

    async def safety(
        self, servers: tuple[Server, ...], effects: Mapping[str, ServerEffect], deadline: float
    ) -> tuple[Rule, ...]:
        """The estate's rules about this backend, and about those whose servers follow."""
        own = Touched(self.balancer.name, self.backend, servers, effects)
        return await safety_rules((own,), self.estate, self.outside, self.left, deadline)

    def leaves(self, servers: tuple[Server, ...]) -> tuple[Setting, ...]:
        """The present settings of the servers: with them the engine recognises its own changes."""
        return tuple(s for server in servers for s in settings_of(self.balancer.name, server))

    def floor_rule(self, servers: tuple[Server, ...], effects: Mapping[str, ServerEffect]) -> Rule:
        """The floor, judged on the state after; a change that does not lower the count may pass."""
        service, floor, backups, _ = self.promise
        was, will = floor_after(servers, {}, backups), floor_after(servers, effects, backups)
        passed = will >= floor or will >= was
        who = f"{service} needs at least" if service else "at least"
        fact = f"{will} of {len(servers)} servers would serve, {who} {floor}"
        if not passed and any(s.serving and s.backup for s in servers) and backups == "reserve":
            fact += "; a backup does not count (traffic.backups)"
        if not proven(servers):
            fact += "; none of them is checked"
        fact += "" if passed else failing_words(after_effect(s, effects.get(s.name, ServerEffect())) for s in servers)
        return Rule(
            "floor", passed, fact, "Return another server to rotation first", "responder", self.name, self.balancer.name
        )

    def own_rules(self, *servers: Server) -> tuple[Rule, ...]:
        """What holds the settings of these servers against a person: an agent sets them again within its interval
        (HAProxy configuration manual, `agent-check`)."""
        held = [s.name for s in servers if s.agent]
        where = ", ".join(f"disable agent {self.backend}/{name}" for name in held)
        fact = f"an agent sets {', '.join(held)} again and again" if held else "no agent sets it again"
        way_out = f"Take the agent out on the balancer first: {where}"
        return (Rule("agent", not held, fact, way_out, "responder", self.name, self.balancer.name),)


class SetWeight(BackendChange):
    """Set one server's absolute weight."""

    def __init__(self, spec: ChangeSpec, args: WeightArgs, estate: Estate, outside: Outside) -> None:
        super().__init__(spec, args, estate, outside)
        self.server, self.weight = args.server, args.weight
        self.title = f"Set weight of {self.name}/{args.server} to {args.weight}"
        self.verb = f"set the weight of {args.server} to {args.weight}"

    async def preview(self, *, deadline: float) -> Preview:
        """Weight before and after, and who serves afterwards."""
        servers = await self.servers(deadline)
        server = self.one(servers, self.server)
        effects = {self.server: ServerEffect(weight=self.weight)}
        subject = f"{self.name}/{self.server}"
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{subject} weight", str(server.weight), str(self.weight)),),
            facts={"servers": shape(servers)},
            rules=(
                self.floor_rule(servers, effects),
                *self.own_rules(server),
                *await self.safety(servers, effects, deadline),
            ),
            sessions_cut=0,
            undo=ChangeSpec("server.weight", {**self.spec.args, "weight": server.weight}),
            already=server.weight == self.weight,
            leaves=self.would_leave(effects),
            gain=self.gain(servers, effects),
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Send the weight once."""
        if not isinstance(self.balancer, CanSetWeight):
            raise EffectRefused(f"{self.balancer.name} cannot set weights")
        return await self.balancer.set_weight(self.backend, self.server, self.weight, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Done when the inventory shows the new weight."""
        server = self.one(await self.servers(deadline), self.server)
        evidence = (f"{self.name}/{self.server} weight reads {server.weight}",)
        before = facts["servers"].get(self.server, [None])[0]
        if server.weight == self.weight:
            return ReadBack(Finding.DONE, evidence, leaves=self.leaves((server,)))
        finding = Finding.NOT_DONE if server.weight == before else Finding.PARTIAL
        return ReadBack(finding, evidence, leaves=self.leaves((server,)))


def balancer_of(outside: Outside, name: str) -> Balancer:
    """A balancer of the estate. Raises NotFound."""
    found = outside.balancers.get(name)
    if found is None:
        raise not_found("balancer", name, outside.balancers)
    return found


def _spec(kind: str, args: BaseModel) -> ChangeSpec:
    return ChangeSpec(kind, args.model_dump())


def _weight(args: WeightArgs, estate: Estate, outside: Outside) -> SetWeight:
    return SetWeight(_spec("server.weight", args), args, estate, outside)


KINDS = (ChangeKind("server.weight", "Set a server's weight", WeightArgs, Risk.B1, _weight, weight_by_hand),)
