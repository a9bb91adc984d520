"""Reinitialise a standby through the cluster's manager: its data is removed and the leader's copied anew.

What only this node has is lost with it, so that is what the card counts: bytes past the point where its history left
that of the leader.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.cluster_base import ClusterChange, NodeArgs, database_of
from state.changes.hands import cluster_by_hand
from state.changes.model import ChangeKind, Finding, Preview, ReadBack, Risk
from state.changes.only_here import only_here
from state.changes.sight import Sight, describe, look, world_of
from state.changes.unsettled import unsettled_by
from state.errors import EffectRefused
from state.estate.model import Estate
from state.ports.database import CanReinitialize, Database
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.verdicts.replication import ClusterVerdict, cluster_verdict

KIND = "database.reinitialize"
COPIES = frozenset({"creating replica", "initializing new cluster", "running custom bootstrap script", "starting"})
"""States in which a member is at work (Patroni, `PostgresqlState`)."""


class Reinitialize(ClusterChange):
    """Done when the node's server was started anew, on the leader's timeline, and streams."""

    risk = Risk.B3
    source = "Patroni REST API, POST /reinitialize: it answers when it has begun"

    def __init__(self, args: NodeArgs, estate: Estate, database: Database) -> None:
        super().__init__(KIND, args, estate, database, args.node)
        self.unsettles = unsettled_by(args.database, estate)
        self.title = f"Reinitialise {self.name}"
        self.verb = f"remove the data of {args.node} and copy the leader's"

    async def preview(self, *, deadline: float) -> Preview:
        """Who it would copy, what only it has, and who else could take over meanwhile."""
        self.known(self.node)
        sight = await look(self.database, deadline)
        self.saw(sight)
        cluster = cluster_verdict(self.cluster_name, self.entry, world_of(self.cluster_name, sight), 0.0)
        leader = self.led or (sight.writable[0] if len(sight.writable) == 1 else "")
        server, primary = sight.servers.get(self.node), sight.servers.get(leader)
        own, note = await only_here(self.database, self.node, server, primary, sight.last, deadline)
        return Preview(
            verb=self.verb,
            diffs=(Diff(self.name, describe(self.node, sight), f"a new copy of {leader or 'no node'}"),),
            facts={
                "leader": leader or "nobody",
                "started": None if server is None else round(server.started_at, 3),
                "system_id": None if primary is None else primary.system_id,
            },
            rules=self._rules(cluster, sight, leader),
            warnings=self._warnings(cluster),
            sessions_cut=None if server is None else server.sessions,
            downtime=f"{self.node} serves nobody until the copy is complete",
            loss_bytes=own,
            loss_note=note,
            renews=frozenset({self.node}),
        )

    def _rules(self, cluster: ClusterVerdict, sight: Sight, leader: str) -> tuple[Rule, ...]:
        member = sight.members.get(self.node)
        leads = self.node in (leader, *sight.writable, *sight.leaders)
        fact = f"{self.node} {'leads or accepts writes' if leads else 'does not lead'}"
        able = self.able(isinstance(self.database, CanReinitialize), "reinitialise", "recovery db rebuild")
        answers = self.rule(
            "manager-answers", member is not None, describe(self.node, sight), "Start its manager by hand"
        )
        return (
            *able,
            self.rule("not-the-primary", not leads, fact, "Switch over first, or fence it", "commander"),
            self.one_primary(cluster),
            *(() if able else (answers,)),
            *self.one_engine(cluster),
        )

    def _warnings(self, cluster: ClusterVerdict) -> tuple[CardWarning, ...]:
        others = [
            n for n, v in cluster.nodes.items() if n not in (self.node, cluster.leader) and v.state == "streaming"
        ]
        if others:
            return ()
        alone = "no other standby streams: until the copy is complete nobody could take over"
        return (CardWarning(WarningKind.EFFECT, self.cluster_name, alone),)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Ask the node's own manager once."""
        if not isinstance(self.database, CanReinitialize):
            raise EffectRefused(f"{self.cluster_name}: its adapter cannot reinitialise a node")
        return await self.database.reinitialize(self.node, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Since when its own server runs, whether it streams, and what its manager is at."""
        sight = await look(self.database, deadline)
        self.saw(sight)
        server, member = sight.servers.get(self.node), sight.members.get(self.node)
        state = member.state if member is not None else "no answer"
        evidence = (f"{describe(self.node, sight)}; its state: {state}",)
        if member is not None and member.state in COPIES:
            return ReadBack(Finding.UNKNOWN, ("it is being copied", *evidence))
        if server is None:
            return ReadBack(Finding.UNKNOWN, ("its server does not answer", *evidence))
        if facts["started"] is not None and round(server.started_at, 3) <= facts["started"]:
            return ReadBack(Finding.NOT_DONE, evidence)
        leader = sight.servers.get(facts["leader"])
        same = leader is not None and (server.system_id, server.timeline) == (leader.system_id, leader.timeline)
        if server.in_recovery and server.receiver_state == "streaming" and same:
            if facts["started"] is None and member is None:
                return ReadBack(Finding.UNKNOWN, evidence)
            return ReadBack(Finding.DONE, evidence, {"started": server.started_at})
        return ReadBack(Finding.PARTIAL, ("it started anew and does not follow the leader", *evidence))


def _build(args: NodeArgs, estate: Estate, outside: Outside) -> Reinitialize:
    return Reinitialize(args, estate, database_of(args.database, outside))


KINDS = (ChangeKind(KIND, "Reinitialise a standby", NodeArgs, Risk.B3, _build, cluster_by_hand("reinitialize")),)
