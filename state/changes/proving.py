"""Prove that every standby follows: a mark is written on the primary and read on each of them.

Positions and "streaming" prove nothing where two histories have the same timeline number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from state.api.card import Diff
from state.changes.cluster_base import ClusterArgs, ClusterChange, database_of
from state.changes.hands import cluster_by_hand
from state.changes.host_acts import mark_of
from state.changes.model import ChangeKind, Finding, Late, Preview, ReadBack, Risk
from state.changes.sight import look, world_of
from state.errors import EffectRefused, ReadFailure
from state.estate.model import Estate
from state.ports.database import CanMark, Database
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.verdicts.replication import cluster_verdict

KIND = "database.prove"


class Prove(ClusterChange):
    """Done when every other node has the mark. `effect` is the one that `read_back` is about."""

    risk = Risk.B1
    settle = 0.5
    quiet = 15.0
    timeout = 10.0

    def __init__(self, args: ClusterArgs, estate: Estate, database: Database) -> None:
        super().__init__(KIND, args, estate, database)
        self.effect = ""
        self.title = f"Prove that the standbys of {args.database} follow"
        self.verb = "write a mark on the primary and look for it on every other node"

    @property
    def late(self) -> Late:
        """One statement: it is over when its session is."""
        return Late(self._delivery, 5.0, "PostgreSQL: a statement ends with its session")

    async def preview(self, *, deadline: float) -> Preview:
        """Who gets the mark, and who must have it."""
        sight = await look(self.database, deadline)
        cluster = cluster_verdict(self.cluster_name, self.entry, world_of(self.cluster_name, sight), 0.0)
        leader = self.led or (sight.writable[0] if len(sight.writable) == 1 else "")
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.cluster_name} mark", "the last one", "a new one on every node"),),
            facts={"leader": leader or "nobody"},
            rules=(
                *self.able(isinstance(self.database, CanMark), "write a mark", "Look by hand"),
                *(() if self.led else (self.one_primary(cluster),)),
            ),
            sessions_cut=0,
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Write the mark once."""
        if not isinstance(self.database, CanMark):
            raise EffectRefused(f"{self.cluster_name}: its adapter cannot write a mark")
        return await self.database.mark(facts["leader"], mark_of(effect), deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Which nodes have the mark."""
        assert isinstance(self.database, CanMark), "it was written"
        nodes = tuple(self.database.nodes)
        found = await asyncio.gather(*(self._marked(self.database, node, deadline) for node in nodes))
        told = dict(zip(nodes, found, strict=True))
        evidence = tuple(f"{n}: {'no answer' if m is None else 'has it' if m else 'lacks it'}" for n, m in told.items())
        if told.get(facts["leader"]) is None:
            return ReadBack(Finding.UNKNOWN, evidence)
        if not told[facts["leader"]]:
            return ReadBack(Finding.NOT_DONE, evidence)
        return ReadBack(Finding.DONE if all(told.values()) else Finding.PARTIAL, evidence)

    async def _marked(self, database: CanMark, node: str, deadline: float) -> bool | None:
        try:
            return await database.marked(node, deadline=deadline) == mark_of(self.effect)
        except ReadFailure:
            return None


def _build(args: ClusterArgs, estate: Estate, outside: Outside) -> Prove:
    return Prove(args, estate, database_of(args.database, outside))


KINDS = (ChangeKind(KIND, "Prove that standbys follow", ClusterArgs, Risk.B1, _build, cluster_by_hand("prove")),)
