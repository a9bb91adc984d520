"""Restart PostgreSQL of one standby, through the cluster's own manager.

Only a standby: a primary is restarted after a switchover, when it is a standby. The manager is asked to restart the
node only while it is a replica (Patroni REST API, `POST /restart` with `role`), so a role that moves between reading
and effect restarts nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.hands import restart_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.changes.sight import Sight, at_work, describe, look, world_of
from state.changes.unsettled import unsettled_by
from state.config_files.suggestions import not_found
from state.errors import EffectRefused
from state.estate.model import Estate, Name
from state.ports.database import CanRestart, Database
from state.ports.outside import Outside
from state.ports.target import Identity, Receipt, Setting, began
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.senders import sender_of
from state.verdicts.switchover import STOP_THE_OTHER
from state.world.readings import PostgresReading


class RestartArgs(BaseModel):
    """A database and the node whose server is restarted; `pending`: only if a changed setting waits for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    database: Name
    node: Name
    pending: bool = False


class Restart:
    """Done only when the node's own server started anew and streams again as a standby."""

    risk = Risk.B2
    settle = 2.0
    quiet = 12.0
    timeout = 60.0

    def __init__(self, spec: ChangeSpec, args: RestartArgs, estate: Estate, database: Database) -> None:
        self.spec, self.database, self.node = spec, database, args.node
        self._pending = args.pending
        self.unsettles = unsettled_by(args.database, estate)
        self.name = f"{args.database}/{args.node}"
        self.targets: tuple[str, ...] = (f"database/{args.database}",)
        self.title = f"Restart PostgreSQL of {self.name}"
        self.verb = f"restart PostgreSQL of {args.node}"
        self.entry = estate.databases[args.database]
        self._delivery, self._ttl = estate.policies.delivery, 0.0
        self._led = ""

    def follow(self, left: Sequence[Setting]) -> None:
        """Preview as if an earlier change of the same plan had moved the role; fulfils CanFollow."""
        for setting in left:
            if setting.place == self.targets and setting.name == "leader":
                self._led = setting.value

    @property
    def late(self) -> Late:
        """The node carries it out at once, after a checkpoint; as a primary it refuses it."""
        return Late(
            self._delivery,
            at_work(self._ttl, self.entry.checkpoint),
            "Patroni: dynamic configuration, ttl; REST API, POST /restart",
        )

    async def identify(self, *, deadline: float) -> Identity:
        """Scope, system identifier, leader and each node's server process."""
        return await self.database.identify(deadline=deadline)

    async def preview(self, *, deadline: float) -> Preview:
        """Since when it runs, that it is a standby which others can do without, and what waits meanwhile."""
        if self.node not in self.database.nodes:
            raise not_found(f"node of {self.database.name}", self.node, self.database.nodes)
        sight = await look(self.database, deadline)
        cluster = cluster_verdict(self.database.name, self.entry, world_of(self.database.name, sight), 0.0)
        server = sight.servers[self.node]
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.name} server", _since(server), "started anew"),),
            facts={
                "system_id": server.system_id if server else None,
                "started": round(server.started_at, 3) if server else None,
            },
            rules=self._rules(sight, cluster),
            warnings=self._warnings(cluster),
            downtime=f"{self.node} answers nobody while it restarts",
            sessions_cut=server.sessions if server else None,
            renews=frozenset({self.node}),
        )

    def _rules(self, sight: Sight, cluster: ClusterVerdict) -> tuple[Rule, ...]:
        """It answers, is a standby by its server and its manager, and the cluster has one primary."""
        node, source = self.node, f"the nodes of {self.database.name}"
        leads = self._led == node or (not self._led and (node in sight.writable or node in sight.leaders))
        if not isinstance(self.database, CanRestart):
            fact = f"the kind {self.entry.kind} cannot restart a standby"
            return (Rule("able", False, fact, f"Restart it at the host of {node}"),)
        stands = sight.servers[node] is not None and sight.members.get(node) is not None
        one = cluster.split is None and cluster.facts.primary is not None
        primary = cluster.facts.primary.node if cluster.facts.primary is not None else "no node"
        return (
            Rule("answers", stands, describe(node, sight), "Start it by hand; a restart needs both", source=source),
            Rule(
                "not-the-primary", not leads, f"{node} is {'the primary' if leads else 'no primary'}",
                "Switch over first; then it is a standby and can be restarted", "commander", source=source,
            ),
            Rule(
                "single-primary", one, f"{primary if one else 'not exactly one node'} accepts writes",
                "Bring the cluster to one primary first", "database administrator", source=source,
            ),
            *([Rule("one-engine", False, cluster.rival, STOP_THE_OTHER, source=source)] if cluster.rival else []),
        )  # fmt: skip

    def _warnings(self, cluster: ClusterVerdict) -> tuple[CardWarning, ...]:
        found: list[CardWarning] = []
        sync, primary = cluster.guarantee, cluster.facts.primary
        if primary is not None and primary.postgres is not None and sync is not None:
            sender = sender_of(primary.postgres, self.node, cluster.facts.nodes[self.node].postgres)
            if sender is not None and sender.sync_state in ("sync", "quorum"):
                waits = f"{self.node} confirms commits ({sync.message}): they may wait until it streams again"
                found.append(CardWarning(WarningKind.EFFECT, self.name, waits))
        others = [
            n for n, v in cluster.nodes.items() if n not in (self.node, cluster.leader) and v.state == "streaming"
        ]
        if not others:
            alone = "no other standby streams: meanwhile nobody could take over"
            found.append(CardWarning(WarningKind.EFFECT, self.name, alone))
        return tuple(found)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Ask the node's own manager once."""
        if not isinstance(self.database, CanRestart):
            raise EffectRefused(f"{self.database.name}: its adapter cannot restart a node")
        return await self.database.restart(self.node, pending=self._pending, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Since when its own server runs, and whether it streams as a standby."""
        sight = await look(self.database, deadline)
        self._ttl = max(self._ttl, sight.ttl)
        server = sight.servers.get(self.node)
        evidence = (f"{describe(self.node, sight)}, {_since(server)}",)
        if server is None or facts["started"] is None:
            return ReadBack(Finding.UNKNOWN, evidence)
        if server.system_id != facts["system_id"]:
            return ReadBack(Finding.UNKNOWN, ("another server answers at its address", *evidence))
        if round(server.started_at, 3) <= facts["started"]:
            return ReadBack(Finding.NOT_DONE, evidence)
        if server.in_recovery and server.receiver_state == "streaming":
            return ReadBack(Finding.DONE, evidence, {"started": server.started_at})
        how = (
            "accepts writes"
            if not server.in_recovery
            else f"does not stream ({server.receiver_state or 'no receiver'})"
        )
        return ReadBack(Finding.PARTIAL, (f"it started anew and {how}", *evidence))


def _since(server: PostgresReading | None) -> str:
    return "does not answer" if server is None else f"runs since {began(server.started_at)}"


def _restart(args: RestartArgs, estate: Estate, outside: Outside) -> Restart:
    database = outside.databases.get(args.database)
    if database is None:
        raise not_found("database", args.database, outside.databases)
    return Restart(ChangeSpec("database.restart", args.model_dump()), args, estate, database)


KINDS = (
    ChangeKind("database.restart", "Restart PostgreSQL of a standby", RestartArgs, Risk.B2, _restart, restart_by_hand),
)
