"""A share of a backend's traffic for one of its colours, by weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.floors import colours_of
from state.changes.hands import share_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Preview, ReadBack, Risk
from state.changes.traffic import BackendArgs, BackendChange, shape
from state.config_files.suggestions import not_found
from state.errors import EffectRefused, EffectUnknown
from state.estate.colours import members
from state.estate.model import Estate, ObjectName
from state.ports.balancer import CanSetWeight
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.units import percent
from state.verdicts.sharing import NEAR, ShareSide, Split, split
from state.verdicts.traffic import ServerEffect, shares, state_word
from state.world.balancer_parts import Server


class ShareArgs(BackendArgs):
    """And the colour, or the one server, with its share in percent."""

    to: ObjectName
    percent: Annotated[int, Field(ge=0, le=100)]


class SetShare(BackendChange):
    """Give a colour a share of the traffic: weights times servers that serve. Servers of a part keep their proportions;
    those that are out get their weight too, and backups keep theirs."""

    risk = Risk.B2

    def __init__(
        self, spec: ChangeSpec, args: BackendArgs, estate: Estate, outside: Outside, to: str, percent: int
    ) -> None:
        super().__init__(spec, args, estate, outside)
        self.to, self.percent = to, percent
        self.colours = colours_of(estate, args.balancer, args.backend)
        self.title = f"Give {to} {percent}% of {self.name}"
        self.verb = f"give {to} {percent}%"

    def _names(self, servers: tuple[Server, ...]) -> set[str]:
        """Those that the share is of. Raises NotFound for an unknown name."""
        names = set(members(self.colours, self.to, [s.name for s in servers]))
        if not names:
            raise not_found(f"colour or server of {self.name}", self.to, [*self.colours, *(s.name for s in servers)])
        return names

    def _parted(self, servers: tuple[Server, ...]) -> tuple[ShareSide, ShareSide]:
        """Those that the share is of, and the others."""
        names = self._names(servers)
        mine = tuple(s for s in servers if s.name in names)
        others = tuple(s for s in servers if s.name not in names and not s.backup)
        active = tuple(s for s in mine if not s.backup)
        return ShareSide(active if active and self.percent else mine), ShareSide(others)

    async def preview(self, *, deadline: float) -> Preview:
        """Every weight and the share before and after; the nearest share where it cannot be had exactly."""
        servers = await self.servers(deadline)
        one, other = self._parted(servers)
        made = self._split(servers, one, other)
        weights = {s.name: s.weight for s in (*one.servers, *other.servers)} if made is None else dict(made.weights)
        before = {s.name: s.weight for s in servers}
        effects = {name: ServerEffect(weight=weight) for name, weight in weights.items() if weight != before[name]}
        now, where = self._share_now(servers, one), f"{self.name} share of {self.to}"
        diffs = [Diff(where, percent(now), percent(float(made.share)))] if made is not None and effects else []
        diffs += [Diff(f"{self.name}/{n} weight", str(before[n]), str(weights[n])) for n in weights if n in effects]
        place = {"balancer": self.spec.args["balancer"], "backend": self.backend}
        return Preview(
            verb=self.verb if made is None else f"give {self.to} {percent(float(made.share))}",
            diffs=tuple(diffs),
            facts={"servers": shape(servers), "weights": weights, "first": made is not None and made.first},
            rules=(
                self.floor_rule(servers, effects),
                self._reachable(one, other, made),
                *self.own_rules(*(s for s in servers if s.name in effects)),
                *await self.safety(servers, effects, deadline),
            ),
            warnings=tuple(self._warnings(made, one, now)),
            sessions_cut=0,
            undo=ChangeSpec("backend.weights", {**place, "weights": {name: before[name] for name in weights}}),
            already=made is not None and not effects,
            leaves=self.would_leave({name: ServerEffect(weight=weight) for name, weight in weights.items()}),
            gain=self.gain(servers, effects),
        )

    def _split(self, servers: tuple[Server, ...], one: ShareSide, other: ShareSide) -> Split | None:
        """The weights that give the share; None where it cannot be had."""
        del servers
        return split(one, other, self.percent)

    def _share_now(self, servers: tuple[Server, ...], one: ShareSide) -> float:
        split_now = shares(servers, self.promise.backups)
        return sum(split_now[s.name] for s in one.servers)

    def _reachable(self, one: ShareSide, other: ShareSide, made: Split | None) -> Rule:
        """Every part that is to have traffic has a server for it: a share is never 0 and never all by accident."""
        if made is not None:
            fact = f"{len(one.ready)} of {len(one.servers)} servers of {self.to} are ready, "
            fact += f"{len(other.ready)} of {len(other.servers)} others"
        else:
            lacking = one if self.percent and not one.ready else other
            words = ", ".join(f"{s.name} {state_word(s)}" for s in lacking.servers[:3]) or "there is none"
            whose = f"of {self.to}" if lacking is one else f"besides {self.to}"
            fact = f"no server {whose} is ready: {words}"
        way_out = "Make it healthy and return it to rotation first, or give the whole traffic to the other part"
        return Rule("reachable", made is not None, fact, way_out, "responder", self.name, self.balancer.name)

    def _warnings(self, made: Split | None, one: ShareSide, now: float) -> list[CardWarning]:
        if made is None:
            return []
        told: list[str] = []
        if abs(made.share * 100 - self.percent) > NEAR * 100:
            told.append(f"{self.percent}% cannot be had with these servers and weights: nearest is "
                        f"{percent(float(made.share))}")  # fmt: skip
        low, high = min(now, float(made.share)), max(now, float(made.share))
        if float(made.low) < low - float(NEAR) or float(made.high) > high + float(NEAR):
            told.append(f"between its commands {self.to} has {percent(float(made.low))} to {percent(float(made.high))}")
        out = [s for s in one.servers if s not in one.ready and made.weights.get(s.name)]
        if out and made.share:
            told.append(f"{len(out)} of {self.to} are out: its share grows when they return")
        return [CardWarning(WarningKind.EFFECT, self.name, each) for each in told]

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """One part after the other, in the order that keeps to the way; nobody loses his last weight before those who
        take over are read as serving."""
        if not isinstance(self.balancer, CanSetWeight):
            raise EffectRefused(f"{self.balancer.name} cannot set weights")
        balancer: CanSetWeight = self.balancer
        one, other = self._parted(await self.servers(deadline))
        receipt, sent = Receipt("silent", "nothing differed"), ""
        for part in (one, other) if facts["first"] else (other, one):
            for server in part.servers:
                weight = int(facts["weights"].get(server.name, server.weight))
                if weight == server.weight:
                    continue
                if sent and not weight:
                    await self._require_takers(facts, deadline)
                try:
                    receipt = await balancer.set_weight(self.backend, server.name, weight, deadline=deadline)
                except EffectRefused as error:
                    if not sent:
                        raise
                    message = f"{sent} was set, {server.name} was not: {error.message}"
                    raise EffectUnknown(message, "half-way", over=True) from error
                sent = server.name
        return receipt

    async def _require_takers(self, facts: Mapping[str, Any], deadline: float) -> None:
        """Raises EffectUnknown where those that were ready do not serve with their new weight."""
        for server in await self.servers(deadline):
            weight = facts["weights"].get(server.name, 0)
            _, word, up, *_ = facts["servers"].get(server.name, (0, "", False))
            if weight and up and word == "ready" and not server.serving:
                message = f"{server.name} of {self.name} has its weight but does not serve; the others keep theirs"
                raise EffectUnknown(message, "half-way", over=True)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Done when the inventory shows every weight; the share is read with it."""
        servers = await self.servers(deadline)
        wanted, before = facts["weights"], facts["servers"]
        read = {s.name: s.weight for s in servers if s.name in wanted}
        one, _ = self._parted(servers)
        evidence = (
            f"{self.name}: {self.to} has {percent(self._share_now(servers, one))}",
            f"weights read {', '.join(f'{name} {weight}' for name, weight in read.items())}",
        )
        leaves = self.leaves(tuple(s for s in servers if s.name in wanted))
        if read == dict(wanted):
            return ReadBack(Finding.DONE, evidence, leaves=leaves)
        same = all(before.get(name, [None])[0] == weight for name, weight in read.items())
        return ReadBack(Finding.NOT_DONE if same else Finding.PARTIAL, evidence, leaves=leaves)


def _share(args: ShareArgs, estate: Estate, outside: Outside) -> SetShare:
    return SetShare(ChangeSpec("backend.share", args.model_dump()), args, estate, outside, args.to, args.percent)


KINDS = (ChangeKind("backend.share", "Give a colour a share of a backend", ShareArgs, Risk.B2, _share, share_by_hand),)
