"""All weights of a backend at once, each to its own value: it gives a backend back the distribution it had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from state.api.card import Diff
from state.changes.hands import weights_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Preview, ReadBack, Risk
from state.changes.traffic import BackendArgs, BackendChange, shape
from state.errors import EffectRefused, EffectUnknown
from state.estate.model import Estate
from state.ports.balancer import CanSetWeight
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.verdicts.traffic import ServerEffect

Weight = Annotated[int, Field(ge=0, le=256)]


class WeightsArgs(BackendArgs):
    """And the weight of each server that is to be set."""

    weights: Mapping[str, Weight] = Field(min_length=1)


class SetWeights(BackendChange):
    """Set the weights of several servers of a backend; those that grow first."""

    risk = Risk.B2

    def __init__(self, spec: ChangeSpec, args: WeightsArgs, estate: Estate, outside: Outside) -> None:
        super().__init__(spec, args, estate, outside)
        self.weights = dict(args.weights)
        told = ", ".join(f"{server} {weight}" for server, weight in self.weights.items())
        self.title = f"Set weights of {self.name} to {told}"
        self.verb = f"set the weights to {told}"

    async def preview(self, *, deadline: float) -> Preview:
        """Every weight before and after, and who serves afterwards."""
        servers = await self.servers(deadline)
        chosen = [self.one(servers, name) for name in self.weights]
        effects = {name: ServerEffect(weight=weight) for name, weight in self.weights.items()}
        differing = [s for s in chosen if s.weight != self.weights[s.name]]
        diffs = tuple(Diff(f"{self.name}/{s.name} weight", str(s.weight), str(self.weights[s.name])) for s in differing)
        return Preview(
            verb=self.verb,
            diffs=diffs,
            facts={"servers": shape(servers)},
            rules=(
                self.floor_rule(servers, effects),
                *self.own_rules(*differing),
                *await self.safety(servers, effects, deadline),
            ),
            sessions_cut=0,
            undo=ChangeSpec("backend.weights", {**self.spec.args, "weights": {s.name: s.weight for s in chosen}}),
            already=not differing,
            leaves=self.would_leave(effects),
            gain=self.gain(servers, effects),
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Send each weight that differs once, the growing ones first."""
        if not isinstance(self.balancer, CanSetWeight):
            raise EffectRefused(f"{self.balancer.name} cannot set weights")
        before = {name: seen[0] for name, seen in facts["servers"].items()}
        grow = {name: weight - before[name] for name, weight in self.weights.items() if weight != before[name]}
        receipt, sent = Receipt("silent", "nothing differed"), ""
        for name in sorted(grow, key=lambda each: -grow[each]):
            try:
                receipt = await self.balancer.set_weight(self.backend, name, self.weights[name], deadline=deadline)
            except EffectRefused as error:
                if not sent:
                    raise
                raise EffectUnknown(
                    f"{sent} was set, {name} was not: {error.message}", "half-way", over=True
                ) from error
            sent = name
        return receipt

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Done when the inventory shows every weight."""
        servers = await self.servers(deadline)
        read = {name: self.one(servers, name).weight for name in self.weights}
        evidence = (f"{self.name} weights read {', '.join(f'{name} {weight}' for name, weight in read.items())}",)
        leaves = self.leaves(tuple(s for s in servers if s.name in read))
        if read == self.weights:
            return ReadBack(Finding.DONE, evidence, leaves=leaves)
        same = all(facts["servers"].get(name, [None])[0] == weight for name, weight in read.items())
        return ReadBack(Finding.NOT_DONE if same else Finding.PARTIAL, evidence, leaves=leaves)


def _weights(args: WeightsArgs, estate: Estate, outside: Outside) -> SetWeights:
    spec = ChangeSpec("backend.weights", args.model_dump())
    return SetWeights(spec, args, estate, outside)


KINDS = (
    ChangeKind("backend.weights", "Set the weights of a backend", WeightsArgs, Risk.B2, _weights, weights_by_hand),
)
