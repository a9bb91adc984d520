"""Changes to a replicated database: the planned switchover, through the cluster's own manager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from state.api.card import CardWarning, Diff, Fact, Rule, WarningKind
from state.changes.hands import switchover_by_hand
from state.changes.leader import candidates, gap, means, measured_loss, written_by
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.changes.sight import Sight, at_work, describe, look, world_of
from state.changes.unsettled import unsettled_by
from state.config_files.suggestions import not_found
from state.errors import EffectRefused
from state.estate.model import Estate, Name
from state.ports.database import CanSwitchOver, Database, HasTables
from state.ports.outside import Outside
from state.ports.target import Identity, Receipt, Setting
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.switchover import switchover_notes, switchover_obstacles, switchover_unknowns


class SwitchoverArgs(BaseModel):
    """A database and the node that is to lead; the best candidate when left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    database: Name
    to: Name | None = None


SETTLE = 2.0
"""Seconds for which what was read must hold, where no lock has to be outlived."""


class Switchover:
    """Planned switchover. Done only when the candidate's own server accepts writes on a new timeline and, for `settle`
    seconds, no other node does."""

    risk = Risk.B3
    quiet = 12.0

    def __init__(self, spec: ChangeSpec, args: SwitchoverArgs, estate: Estate, database: Database) -> None:
        self.spec, self.database, self.wanted = spec, database, args.to
        self.name = args.database
        self.unsettles = unsettled_by(args.database, estate)
        self.targets: tuple[str, ...] = (f"database/{args.database}",)
        self.title = f"Switch {args.database} over" + (f" to {args.to}" if args.to else "")
        self.verb = f"hand the leader role to {args.to or 'the best candidate'}"
        self.entry = estate.databases[args.database]
        self.leaving = ""
        self._delivery, self._ttl = estate.policies.delivery, 0.0
        self.settle = SETTLE
        self._limit = database.order_limit if isinstance(database, HasTables) else None
        self.timeout = 60.0 if self._limit is None else self._limit
        self._written: int | None = None
        self._led = ""

    def follow(self, left: Sequence[Setting]) -> None:
        """Preview as if an earlier change of the same plan had moved the role; fulfils CanFollow.

        What the nodes will lack then is not known now, and which of them may lead is judged when it is its turn.
        """
        for setting in left:
            if setting.place == self.targets:
                self._led = setting.value

    @property
    def late(self) -> Late:
        """The leader carries it out in its next loop; one that has another name then refuses it (412). A manager that
        is ordered by a program may go on after the program has ended."""
        if self._limit is not None:
            return Late(self._delivery, self._limit + self.entry.checkpoint, "the longest that an order may take")
        return Late(
            self._delivery,
            at_work(self._ttl, self.entry.checkpoint),
            "Patroni: dynamic configuration, ttl; REST API, POST /switchover",
        )

    async def identify(self, *, deadline: float) -> Identity:
        """Scope, system identifier and leader, over the connection that will act."""
        return await self.database.identify(deadline=deadline)

    async def preview(self, *, deadline: float) -> Preview:
        """Leader before and after, what the candidate lacks, and every obstacle that the manager would not report."""
        if self.wanted is not None and self.wanted not in self.database.nodes:
            raise not_found(f"node of {self.name}", self.wanted, self.database.nodes)
        sight = await look(self.database, deadline)
        cluster = cluster_verdict(self.name, self.entry, world_of(self.name, sight), 0.0)
        leader = self._led or (sight.writable[0] if len(sight.writable) == 1 else "")
        candidate = self.wanted or self._best(cluster)
        already = bool(leader) and (leader == candidate or not self._stands(leader))
        candidate = leader if already else candidate
        lag = 0 if already else cluster.nodes[candidate].lag.receive if candidate and not self._led else None
        primary = sight.servers.get(leader)
        more = () if already or self._led else await means(self.database, sight, leader, candidate, deadline)
        return Preview(
            verb=f"hand the leader role from {leader or 'no node'} to {candidate or 'no node'}",
            diffs=(
                Diff(f"{self.name} leader", leader or "no node", candidate or "no node"),
                Diff(f"{self.name} writes", "accepted", "refused while the role moves, then accepted"),
            ),
            facts={
                "leader": leader or "nobody",
                "candidate": candidate,
                "timeline": primary.timeline if primary and not already else None,
                "system_id": primary.system_id if primary else None,
            },
            rules=() if already or self._led else self._rules(cluster, candidate),
            warnings=(*self._warnings(cluster, leader, candidate), *more),
            sessions_cut=primary.sessions if primary is not None else None,
            downtime="writes are refused while the role moves",
            loss_bytes=lag,
            loss_note=_loss_note(lag, candidate, later=bool(self._led)),
            undo=ChangeSpec("database.switchover", {"database": self.name, "to": leader}) if leader else None,
            already=already,
            leaves=(Setting(self.targets, "leader", candidate),) if candidate else (),
            renews=frozenset({"leader", "timeline", leader}),  # the old leader starts anew as a standby
            ranking=() if already or self._led else self._ranking(cluster),
        )

    def _ranking(self, cluster: ClusterVerdict) -> tuple[Fact, ...]:
        """The candidates; where a site is left, those elsewhere."""
        found = candidates(cluster)
        return tuple(each for each in found if not self._stands(each.subject)) if self.leaving else found

    def _stands(self, node: str) -> bool:
        """Whether a node stands at the site that is to be left; any does where none is."""
        return self.leaving in ("", self.entry.nodes[node].site)

    def _best(self, cluster: ClusterVerdict) -> str:
        """The standby that would be chosen; after an earlier switchover that is not known yet."""
        if self._led:
            return ""
        return next((n for n in self._order(cluster) if not switchover_obstacles(cluster, n)), "")

    def _rules(self, cluster: ClusterVerdict, candidate: str) -> tuple[Rule, ...]:
        """Every obstacle; without one, that the candidate may lead."""
        if not isinstance(self.database, CanSwitchOver):
            fact, way_out = (
                f"the kind {self.entry.kind} cannot switch over",
                "Fence the primary, then recovery db promote",
            )
            return (Rule("able", False, fact, way_out, "commander"),)
        source, obstacles = f"the nodes of {self.name}", switchover_obstacles(cluster, candidate)
        found = [Rule(r.rule, False, r.fact, r.way_out, r.who, source=source) for r in obstacles]
        if not candidate:
            beyond = f" outside {self.leaving}" if self.leaving else ""
            fact, way_out = f"no standby of {self.name}{beyond} can take the leader role", "Repair replication first"
            found.append(Rule("candidate", False, fact, way_out, "database administrator", source=source))
        fact = f"{candidate} streams on the leader's timeline and may lead"
        return tuple(found) or (Rule("candidate", True, fact),)

    def _warnings(self, cluster: ClusterVerdict, leader: str, candidate: str) -> tuple[CardWarning, ...]:
        ends = f"open transactions on {leader or 'the old leader'} end with an error"
        unknown = switchover_unknowns(cluster, candidate)
        return (
            CardWarning(WarningKind.EFFECT, self.name, ends),
            *(CardWarning(WarningKind.EFFECT, self.name, each) for each in switchover_notes(cluster, candidate)),
            *(CardWarning(WarningKind.UNKNOWN, self.name, each) for each in unknown),
        )

    def _order(self, cluster: ClusterVerdict) -> list[str]:
        """Standbys as they would be chosen: synchronous ones first, then as the estate lists them.

        Not by lag: a switchover waits for its candidate, and equal standbys would change places at every reading.
        """
        standbys = [n for n in self.database.nodes if n != cluster.leader and not (self.leaving and self._stands(n))]
        members = cluster.guarantee.members if cluster.guarantee else ()
        return sorted(standbys, key=lambda n: n not in members)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Send the request to the leader's manager once; remember how far the old leader had written."""
        self._written = await written_by(self.database, facts["leader"], min(deadline, 2.0))
        if not isinstance(self.database, CanSwitchOver):
            raise EffectRefused(f"{self.name}: its adapter cannot switch over")
        return await self.database.switch_over(facts["leader"], facts["candidate"], deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Which node accepts writes now, on which timeline, as the servers and the managers report.

        Done must hold for twice the time to live of the lock: a former leader may come back. What is not done is not
        watched for that long.
        """
        sight = await look(self.database, deadline)
        self._ttl = max(self._ttl, sight.ttl)
        found = await self._found(sight, facts, deadline)
        self.settle = max(SETTLE, 2 * self._ttl) if found.finding is Finding.DONE else SETTLE
        return found

    async def _found(self, sight: Sight, facts: Mapping[str, Any], deadline: float) -> ReadBack:
        old, wanted, timeline = facts["leader"], facts["candidate"], facts["timeline"] or 0
        evidence = tuple(describe(n, sight) for n in self.database.nodes)
        writable = sight.writable
        if len(writable) > 1:
            return ReadBack(Finding.PARTIAL, (f"two nodes accept writes: {', '.join(writable)}", *evidence))
        if not writable:
            return ReadBack(Finding.UNKNOWN, ("no node accepts writes at this instant", *evidence))
        now = writable[0]
        server = sight.servers[now]
        moved = server is not None and server.timeline is not None and server.timeline > timeline
        if now == old and not moved:
            return ReadBack(Finding.NOT_DONE, evidence)
        if sight.leaders != (now,):
            return ReadBack(Finding.UNKNOWN, (f"{now} accepts writes, its manager does not confirm yet", *evidence))
        if now != wanted:
            return ReadBack(Finding.PARTIAL, (f"the role landed on {now}, not on {wanted}", *evidence))
        if sight.servers.get(old) is None:
            return ReadBack(Finding.UNKNOWN, (f"{now} leads; the old leader {old} does not answer yet", *evidence))
        timeline_now = server.timeline if server else None
        lost, said = await measured_loss(self.database, self._written, now, timeline_now, deadline)
        unled, told = gap(sight)
        figures = {"lost_bytes": lost, "leader": now, "no_writes": unled}
        return ReadBack(Finding.DONE, (*evidence, said, told), figures)


def _loss_note(lag: int | None, candidate: str, *, later: bool) -> str:
    if lag is None and later:
        return "what the candidate will lack after the earlier switchover is not known now"
    if lag is None:
        return f"how much of the leader's WAL {candidate} lacks is not known" if candidate else "no candidate is known"
    if not lag:
        return f"{candidate} has all of the leader's WAL"
    return f"{candidate} lacks this much WAL now; the switchover waits for it"


def _switchover(args: SwitchoverArgs, estate: Estate, outside: Outside) -> Switchover:
    database = outside.databases.get(args.database)
    if database is None:
        raise not_found("database", args.database, outside.databases)
    return Switchover(ChangeSpec("database.switchover", args.model_dump()), args, estate, database)


FIGURES = {"leader": "node", "lost_bytes": "number", "no_writes": "number"}
KINDS = (
    ChangeKind(
        "database.switchover",
        "Switch a database over",
        SwitchoverArgs,
        Risk.B3,
        _switchover,
        switchover_by_hand,
        FIGURES,
    ),
)
