"""The blue-green flip: one colour of a backend takes all its traffic, the servers of that colour first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from state.api.card import Diff, Rule
from state.changes.floors import colours_of
from state.changes.hands import flip_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Preview, ReadBack, Risk
from state.changes.traffic import BackendArgs, BackendChange, shape
from state.config_files.suggestions import not_found
from state.errors import EffectRefused, EffectUnknown
from state.estate.colours import colour_of, members
from state.estate.model import Estate, ObjectName
from state.ports.balancer import CanSetWeight
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.verdicts.traffic import ServerEffect, failing_words, state_word
from state.world.balancer_parts import Server

NAMED = 3
"""So many servers of a group are named."""


class FlipArgs(BackendArgs):
    """And the colour, or the one server, that is to take its traffic."""

    to: ObjectName


class Flip(BackendChange):
    """Blue-green: the servers of one colour take all traffic, the others stay up at weight 0. A server of that colour
    that is out stays as it is."""

    risk = Risk.B2

    def __init__(self, spec: ChangeSpec, args: FlipArgs, estate: Estate, outside: Outside) -> None:
        super().__init__(spec, args, estate, outside)
        self.to = args.to
        self.colours = colours_of(estate, args.balancer, args.backend)
        self.title = f"Flip {self.name} to {self._label(args.to)}"
        self.verb = f"flip to {self._label(args.to)}"

    def _parted(self, servers: Sequence[Server]) -> tuple[list[Server], list[Server]]:
        """The servers of the colour, and those that give their traffic up. Raises NotFound for an unknown name.

        A backup has none while the destination serves, and keeps its weight for the day when nothing does.
        """
        names = set(members(self.colours, self.to, [s.name for s in servers]))
        if not names:
            raise not_found(f"colour or server of {self.name}", self.to, [*self.colours, *(s.name for s in servers)])
        taking = [s for s in servers if s.name in names]
        return taking, [s for s in servers if s.name not in names and not s.backup]

    async def preview(self, *, deadline: float) -> Preview:
        """All traffic before and after, and whether the destination can carry it."""
        servers = await self.servers(deadline)
        taking, others = self._parted(servers)
        carrying = [s for s in others if s.weight > 0]
        weight = max([s.weight for s in carrying] or [s.weight for s in taking if s.weight] or [100])
        weights = {**{s.name: weight for s in taking}, **{s.name: 0 for s in others}}
        effects = {name: ServerEffect(weight=w) for name, w in weights.items()}
        diffs = tuple(
            Diff(f"{self.name}/{s.name} weight", str(s.weight), str(weights[s.name]))
            for s in servers
            if s.weight != weights.get(s.name, s.weight)
        )
        where = {"balancer": self.spec.args["balancer"], "backend": self.backend}
        if len(carrying) == len(taking) == 1 and not taking[0].weight:
            undo = ChangeSpec("backend.flip", {**where, "to": carrying[0].name})
        else:  # a flip back would not give each of the others what it had
            undo = ChangeSpec("backend.weights", {**where, "weights": {s.name: s.weight for s in (*taking, *others)}})
        return Preview(
            verb=f"flip from {self._active(carrying)} to {self._label(self.to)}",
            diffs=diffs,
            facts={"servers": shape(servers), "weight": weight},
            rules=(
                self.floor_rule(servers, effects),
                self._make_first(taking),
                *self.own_rules(*taking, *carrying),
                *await self.safety(servers, effects, deadline),
            ),
            sessions_cut=0,
            undo=undo,
            already=not diffs,
            leaves=self.would_leave(effects),
            gain=self.gain(servers, effects),
        )

    def _make_first(self, taking: Sequence[Server]) -> Rule:
        """At least one server of the destination is up and ready; how many must be is the floor's to say."""
        ready = [s for s in taking if s.up and not s.drained and not s.maintenance]
        if len(taking) == 1:
            fact = f"{taking[0].name} is {state_word(taking[0])} (check: {taking[0].check or 'none'})"
        else:
            out = [f"{s.name} {state_word(s)}" for s in taking if s not in ready]
            more = f" and {len(out) - NAMED} more" if len(out) > NAMED else ""
            fact = f"{len(ready)} of {len(taking)} servers of {self.to} are ready"
            fact += f"; {', '.join(out[:NAMED])}{more}" if out else ""
        fact += failing_words(ready)
        way_out = "Make the destination healthy and return it to rotation first"
        return Rule("make-before-break", bool(ready), fact, way_out, "responder", self.name, self.balancer.name)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """First the destination takes traffic and is read as serving, then the others get weight 0."""
        balancer, weight = self.balancer, int(facts["weight"])
        if not isinstance(balancer, CanSetWeight):
            raise EffectRefused(f"{balancer.name} cannot set weights")
        taking, _ = self._parted(await self.servers(deadline))
        for place, server in enumerate(taking):
            await self._send(balancer, server.name, weight, f"{place} of {self.to} have their weight", place, deadline)
        taking, others = self._parted(await self.servers(deadline))
        missing = [s.name for s in taking if not s.serving and self._was_ready(facts, s)]
        if missing or not any(s.serving for s in taking):
            named = ", ".join(missing or [s.name for s in taking])
            message = f"{named} of {self.name}: has its weight but does not serve; the others keep their weights"
            raise EffectUnknown(message, over=True)
        receipt = Receipt("silent", "no other server has a weight")
        for server in (s for s in others if s.weight > 0):
            receipt = await self._send(balancer, server.name, 0, f"{self.to} has its weight", 1, deadline)
        return receipt

    async def _send(
        self, balancer: CanSetWeight, server: str, weight: int, done: str, sent: int, deadline: float
    ) -> Receipt:
        """One weight; what is refused after others were set leaves the backend half-way."""
        try:
            return await balancer.set_weight(self.backend, server, weight, deadline=deadline)
        except EffectRefused as error:
            if not sent:
                raise
            message = f"{done}, {server} was not set to {weight}: {error.message}"
            raise EffectUnknown(message, "half-way", over=True) from error

    @staticmethod
    def _was_ready(facts: Mapping[str, Any], server: Server) -> bool:
        """Whether it was up and ready on the card."""
        _, word, up, *_ = facts["servers"].get(server.name, (0, "", False))
        return bool(up) and word == "ready"

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Done when the destination serves with its weight and every other server has weight 0."""
        servers = await self.servers(deadline)
        taking, others = self._parted(servers)
        weights = ", ".join(f"{s.name} {s.weight}" for s in servers)
        words = ", ".join(f"{s.name} {state_word(s)}" for s in taking)
        evidence = (f"{self.name} weights read {weights}; {words}",)
        serving = any(s.serving for s in taking) and all(s.serving for s in taking if self._was_ready(facts, s))
        if serving and not any(s.weight for s in others):
            return ReadBack(Finding.DONE, evidence, leaves=self.leaves(servers))
        before = facts["servers"]
        same = all(before.get(s.name, [None])[0] == s.weight for s in servers)
        return ReadBack(Finding.NOT_DONE if same else Finding.PARTIAL, evidence, leaves=self.leaves(servers))

    def _active(self, carrying: Sequence[Server]) -> str:
        """Who has the traffic now."""
        if not carrying:
            return "no server"
        names = dict.fromkeys(colour_of(self.colours, s.name) or s.name for s in carrying)
        return self._label(next(iter(names))) if len(names) == 1 else f"{len(names)} colours"

    def _label(self, name: str) -> str:
        release = self.colours[name].release if name in self.colours else ""
        return f"{name} ({release})" if release else name


def _flip(args: FlipArgs, estate: Estate, outside: Outside) -> Flip:
    return Flip(ChangeSpec("backend.flip", args.model_dump()), args, estate, outside)


KINDS = (ChangeKind("backend.flip", "Flip a backend to another colour", FlipArgs, Risk.B2, _flip, flip_by_hand),)
