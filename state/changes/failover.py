"""Failover and promotion: a standby leads where no node does. What it lacks is lost, and an old primary that still
accepts writes makes a second history, so it is not begun without proof that there is none.

`database.failover` asks the cluster's manager, and where there is none the standby's own server, as `database.promote`
does: that one is refused where there is a manager.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.fencing import Fences
from state.changes.hands import cluster_by_hand
from state.changes.leader import (
    by_itself,
    candidates,
    ended_past,
    gap,
    last_seen,
    means,
    measured_loss,
    transactions_words,
)
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.changes.sight import Sight, at_work, describe, look, world_of
from state.changes.unsettled import unsettled_by
from state.config_files.suggestions import not_found
from state.errors import EffectRefused
from state.estate.model import Estate, Name
from state.ports.database import CanFailOver, CanPromote, Database
from state.ports.outside import Outside
from state.ports.target import Identity, Receipt, Setting
from state.units import megabytes
from state.verdicts.failover import failover_candidate, failover_obstacles
from state.verdicts.fence import FenceEvidence, fence_proof
from state.verdicts.replication import ClusterVerdict, cluster_verdict

FAILOVER, PROMOTE = "database.failover", "database.promote"
WATCH = 10.0
"""Seconds for which a second writer is looked for after a promotion without a manager."""


class FailoverArgs(BaseModel):
    """A database and the node that is to lead; the best candidate when left out. With `old`, the node that led, nothing
    is left to do once another one leads: a manager may have promoted it meanwhile."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    database: Name
    to: Name | None = None
    old: Name | None = None


class Failover:
    """Done only when the candidate's own server accepts writes on a new timeline and, for `settle` seconds, no other
    node does."""

    risk = Risk.B3
    quiet = 12.0
    timeout = 60.0

    def __init__(self, kind: str, args: FailoverArgs, estate: Estate, outside: Outside, database: Database) -> None:
        self.spec, self.database, self.wanted = ChangeSpec(kind, args.model_dump()), database, args.to
        self.name, self._old = args.database, args.old
        self.unsettles = unsettled_by(args.database, estate)
        self.targets: tuple[str, ...] = (f"database/{args.database}",)
        self.title = f"Fail {args.database} over" + (f" to {args.to}" if args.to else "")
        self.verb = f"let {args.to or 'the best candidate'} lead without the old leader"
        self.entry = estate.databases[args.database]
        self._fences = Fences(args.database, estate, outside, database)
        self.settle = WATCH
        self._delivery, self._ttl = estate.policies.delivery, 0.0
        self._led = ""
        self._ended: int | None = None

    def follow(self, left: Sequence[Setting]) -> None:
        """Preview as if an earlier change of the same plan had moved the role; fulfils CanFollow."""
        for setting in left:
            if setting.place == self.targets and setting.name == "leader":
                self._led = setting.value

    @property
    def late(self) -> Late:
        """A manager carries it out in its next loop, or when the lock of the old leader has ended."""
        if self.spec.kind == PROMOTE:
            source = "PostgreSQL: pg_promote ends recovery at once, after what was received is applied"
            return Late(self._delivery, self.entry.checkpoint, source)
        source = "Patroni: dynamic configuration, ttl; REST API, POST /failover"
        return Late(self._delivery, at_work(self._ttl, self.entry.checkpoint), source)

    async def identify(self, *, deadline: float) -> Identity:
        """Each node's server and who leads, also where no node does."""
        if isinstance(self.database, CanFailOver | CanPromote):
            return await self.database.identify_unled(deadline=deadline)
        return await self.database.identify(deadline=deadline)

    async def preview(self, *, deadline: float) -> Preview:
        """Who would lead, what is lost as far as it is known, and by what each other node is fenced."""
        for named in (self.wanted, self._old):
            if named is not None and named not in self.database.nodes:
                raise not_found(f"node of {self.name}", named, self.database.nodes)
        sight = await look(self.database, deadline)
        self._watched_for(sight.ttl)
        cluster = cluster_verdict(self.name, self.entry, world_of(self.name, sight), 0.0)
        leader = self._led or (sight.writable[0] if len(sight.writable) == 1 else "")
        promoted = leader if self._old not in (None, leader) else ""
        candidate = self.wanted or promoted or failover_candidate(cluster)
        already = bool(candidate) and leader == candidate
        if not leader:
            self._ended = ended_past(sight, candidate)
        evidence = () if already or self._led else await self._fences.read(sight, candidate, deadline)
        old = sight.last.reading.node if sight.last is not None else ""
        server = sight.servers.get(candidate)
        more = () if already or self._led else await means(self.database, sight, "", candidate, deadline)
        return Preview(
            verb=f"let {candidate or 'no node'} lead without the old leader",
            diffs=(
                Diff(f"{self.name} leader", leader or "no node", candidate or "no node"),
                Diff(f"{self.name} writes", _accepted(sight), f"accepted by {candidate or 'no node'}"),
            ),
            facts={
                "leader": leader or "nobody",
                "old": old,
                "written": sight.last.reading.write_lsn if sight.last is not None and not leader else None,
                "candidate": candidate,
                "timeline": server.timeline if server and not already else None,
                "system_id": server.system_id if server else None,
                "fenced": {each.node: (p.kind.value if (p := fence_proof(each)) else "no proof") for each in evidence},
            },
            rules=() if already or self._led else self._rules(cluster, candidate, evidence),
            warnings=(*self._warnings(cluster, sight, candidate), *more),
            downtime="writes are refused until the candidate has applied what it has",
            loss_bytes=0 if already else None,
            loss_note="" if already else _loss_note(cluster, sight, candidate),
            already=already,
            leaves=(Setting(self.targets, "leader", candidate),) if candidate else (),
            renews=frozenset({"leader", "timeline", *self.database.nodes}),
            ranking=() if self._led else candidates(cluster, lossy=True),
        )

    def _watched_for(self, ttl: float) -> None:
        """A second writer is looked for during twice the time to live of a lock: an old primary may come back."""
        self._ttl = max(self._ttl, ttl)
        self.settle = 2 * self._ttl or WATCH

    def _rules(self, cluster: ClusterVerdict, candidate: str, evidence: Sequence[FenceEvidence]) -> tuple[Rule, ...]:
        source, kind = f"the nodes of {self.name}", self.entry.kind
        if not isinstance(self.database, CanFailOver | CanPromote):
            return (Rule("able", False, f"the kind {kind} cannot fail over", "Do it by hand"),)
        if self.spec.kind == PROMOTE and not isinstance(self.database, CanPromote):
            return (Rule("able", False, f"the kind {kind} has a manager that would undo it", "recovery db failover"),)
        against = failover_obstacles(cluster, candidate)
        found = [Rule(r.rule, False, r.fact, r.way_out, r.who, source=source) for r in against]
        if not candidate:
            fact, way_out = f"no standby of {self.name} can lead", "Restore a standby, or a backup"
            found.append(Rule("candidate", False, fact, way_out, "database administrator", source=source))
        if not against:
            found.append(Rule("candidate", True, f"{candidate} has all that any standby has, and may lead"))
        return (*found, *self._fences.rules(evidence))

    def _warnings(self, cluster: ClusterVerdict, sight: Sight, candidate: str) -> tuple[CardWarning, ...]:
        found = [CardWarning(WarningKind.EFFECT, self.name, each) for each in by_itself(cluster, sight)]
        lacking = "what the candidate lacks is lost: a failover waits for nothing"
        found.append(CardWarning(WarningKind.EFFECT, self.name, lacking))
        own = cluster.eligible.get(candidate)
        found += [CardWarning(WarningKind.EFFECT, self.name, each) for each in (own.notes if own else ())]
        found += [CardWarning(WarningKind.UNKNOWN, self.name, each) for each in (own.unknowns if own else ())]
        absent = [n for n, v in cluster.nodes.items() if v.facts.postgres is None and n != candidate]
        if absent:
            said = f"whether {' and '.join(absent)} has WAL that {candidate or 'the candidate'} lacks"
            found.append(CardWarning(WarningKind.UNKNOWN, self.name, said))
        return tuple(found)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Ask the manager, or the server, once."""
        if self.spec.kind == FAILOVER and isinstance(self.database, CanFailOver):
            return await self.database.fail_over(facts["candidate"], deadline=deadline)
        if isinstance(self.database, CanPromote):
            return await self.database.promote(facts["candidate"], deadline=deadline)
        raise EffectRefused(f"{self.name}: its adapter cannot do this")

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Which node accepts writes now, on which timeline; and whether a second one does."""
        sight = await look(self.database, deadline)
        self._watched_for(sight.ttl)
        wanted, evidence = facts["candidate"], tuple(describe(n, sight) for n in self.database.nodes)
        writable, candidate = sight.writable, sight.servers.get(wanted)
        if len(writable) > 1:
            return ReadBack(Finding.PARTIAL, (f"two nodes accept writes: {', '.join(writable)}", *evidence))
        if not writable:
            promoting = wanted in sight.leaders or candidate is None
            said = "no node accepts writes" + (f"; {wanted} is being promoted" if wanted in sight.leaders else "")
            return ReadBack(Finding.UNKNOWN if promoting else Finding.NOT_DONE, (said, *evidence))
        now, server = writable[0], sight.servers[writable[0]]
        if now != wanted:
            return ReadBack(Finding.PARTIAL, (f"{now} accepts writes, not {wanted}", *evidence))
        if server is None or (server.timeline or 0) <= (facts["timeline"] or 0):
            return ReadBack(Finding.UNKNOWN, (f"{now} accepts writes, its new timeline is not seen yet", *evidence))
        if sight.managed and sight.leaders != (now,):
            return ReadBack(Finding.UNKNOWN, (f"{now} accepts writes, its manager does not confirm yet", *evidence))
        lost, said = await measured_loss(self.database, facts["written"], now, server.timeline, deadline)
        unled, told = gap(sight)
        figures = {"leader": now, "lost_bytes": lost, "lost_transactions": self._ended, "no_writes": unled}
        return ReadBack(Finding.DONE, (*evidence, said, transactions_words(self._ended), told), figures)


def _accepted(sight: Sight) -> str:
    return f"accepted by {' and '.join(sight.writable)}" if sight.writable else "accepted by no node"


def _loss_note(cluster: ClusterVerdict, sight: Sight, candidate: str) -> str:
    """What is known of the loss: the part that is certain, and since when nothing more is."""
    if not candidate:
        return "no candidate is known"
    own = cluster.eligible.get(candidate)
    lacks = None if own is None else own.lacks if own.lacks is not None else own.lacks_at_least
    return "; ".join(part for part in (_least(candidate, lacks), last_seen(sight)) if part)


def _least(candidate: str, lacks: int | None) -> str:
    if lacks is None:
        return f"how much {candidate} lacks is not known"
    return f"{candidate} lacks at least {megabytes(lacks)} of what was seen written" if lacks else ""


def _failover(args: FailoverArgs, estate: Estate, outside: Outside) -> Failover:
    return _made(FAILOVER, args, estate, outside)


def _promote(args: FailoverArgs, estate: Estate, outside: Outside) -> Failover:
    return _made(PROMOTE, args, estate, outside)


def _made(kind: str, args: FailoverArgs, estate: Estate, outside: Outside) -> Failover:
    database = outside.databases.get(args.database)
    if database is None:
        raise not_found("database", args.database, outside.databases)
    return Failover(kind, args, estate, outside, database)


FIGURES = {"leader": "node", "lost_bytes": "number", "lost_transactions": "number", "no_writes": "number"}
KINDS = (
    ChangeKind(
        FAILOVER, "Fail a database over", FailoverArgs, Risk.B3, _failover, cluster_by_hand("failover"), FIGURES
    ),
    ChangeKind(
        PROMOTE,
        "Promote a standby without a manager",
        FailoverArgs,
        Risk.B3,
        _promote,
        cluster_by_hand("promote"),
        FIGURES,
    ),
)
