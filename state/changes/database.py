"""Changes to a replicated database: the planned switchover, by way of the cluster's own manager."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from state.changes import ChangeKind, ChangeSpec, Diff, Finding, Preview, ReadBack, Refusal, Risk
from state.errors import EffectRefused, NotFound, ReadFailure
from state.estate import Estate, Name
from state.ports import CanSwitchOver, Database, Identity, Outside, Receipt
from state.readings import PatroniReading, PostgresReading
from state.units import megabytes

MAXIMUM_LAG = 1_048_576
"""Patroni's default `maximum_lag_on_failover`, used when it does not tell (docs: dynamic configuration)."""


class SwitchoverArgs(BaseModel):
    """A database and the node that shall lead; the best candidate when left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    database: Name
    to: Name | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """One fresh look at all nodes: the server's and the manager's word, None where nobody answered."""

    servers: Mapping[str, PostgresReading | None]
    members: Mapping[str, PatroniReading | None]

    @property
    def writable(self) -> tuple[str, ...]:
        """Nodes whose server itself says it takes writes."""
        return tuple(n for n, r in self.servers.items() if r is not None and not r.in_recovery)

    @property
    def leaders(self) -> tuple[str, ...]:
        """Nodes whose manager says they lead."""
        return tuple(n for n, m in self.members.items() if m is not None and m.role in ("primary", "leader"))

    def lag(self, leader: str, node: str) -> int | None:
        """Bytes `node` has not received of what `leader` wrote; None = unknown."""
        first, second = self.servers.get(leader), self.servers.get(node)
        if first is None or second is None or first.write_lsn is None or second.receive_lsn is None:
            return None
        return max(0, first.write_lsn - second.receive_lsn)


class Switchover:
    """Hand the leader role over, planned. Done only when the candidate itself takes writes on a new timeline."""

    risk = Risk.B3
    settle = 2.0
    quiet = 12.0
    timeout = 60.0

    def __init__(self, spec: ChangeSpec, args: SwitchoverArgs, estate: Estate, database: Database) -> None:
        self.spec, self.database, self.wanted = spec, database, args.to
        self.name = args.database
        self.targets: tuple[str, ...] = (f"database/{args.database}",)
        self.title = f"Switch {args.database} over" + (f" to {args.to}" if args.to else "")
        self.rpo = estate.databases[args.database].rpo

    async def identify(self, *, deadline: float) -> Identity:
        """Scope, system identifier and leader, over the connection that will act."""
        return await self.database.identify(deadline=deadline)

    async def look(self, deadline: float) -> Sight:
        """Ask every node, server and manager, at once."""
        nodes = tuple(self.database.nodes)

        async def server(node: str) -> PostgresReading | None:
            try:
                return await self.database.read_node(node, deadline=deadline)
            except ReadFailure:
                return None

        async def member(node: str) -> PatroniReading | None:
            try:
                return await self.database.read_member(node, deadline=deadline)
            except ReadFailure:
                return None

        servers, members = await asyncio.gather(
            asyncio.gather(*(server(n) for n in nodes)), asyncio.gather(*(member(n) for n in nodes))
        )
        return Sight(dict(zip(nodes, servers, strict=True)), dict(zip(nodes, members, strict=True)))

    async def preview(self, *, deadline: float) -> Preview:
        """Leader before and after, what the candidate lacks, and every obstacle the manager would not explain."""
        sight = await self.look(deadline)
        if self.wanted is not None and self.wanted not in self.database.nodes:
            raise NotFound(f"{self.name} has no node {self.wanted}; it has {', '.join(self.database.nodes)}")
        conflict = leader_obstacles(self.name, sight)
        leader = sight.writable[0] if sight.writable else "nobody"
        candidate = self.wanted or best_candidate(sight, leader) or "nobody"
        already = leader == self.wanted
        lag = sight.lag(leader, candidate)
        refusals = conflict if already else (*conflict, *candidate_obstacles(sight, leader, candidate))
        primary = sight.servers.get(leader)
        return Preview(
            verb=f"hand the leader role from {leader} to {candidate}",
            diffs=(Diff(f"{self.name} leader", leader, candidate), Diff("writes", "accepted", "refused for seconds")),
            facts={
                "leader": leader,
                "candidate": candidate,
                "timeline": primary.timeline if primary else None,
                "system_id": primary.system_id if primary else None,
            },
            refusals=refusals,
            warnings=("open transactions on the old leader end with an error",),
            downtime="writes are refused while the role moves",
            loss_bytes=lag,
            loss_words="unknown" if lag is None else f"0 when it completes; the candidate lacks {megabytes(lag)} now",
            undo=ChangeSpec("database.switchover", {"database": self.name, "to": leader}),
            already=already,
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Ask the leader's manager once."""
        if not isinstance(self.database, CanSwitchOver):
            raise EffectRefused(f"{self.name}: its adapter cannot switch over")
        return await self.database.switch_over(facts["leader"], facts["candidate"], deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Who takes writes now, on which timeline, by the servers' own word and the managers'."""
        sight = await self.look(deadline)
        old, wanted, timeline = facts["leader"], facts["candidate"], facts["timeline"] or 0
        evidence = tuple(describe(n, sight) for n in self.database.nodes)
        writable = sight.writable
        if len(writable) > 1:
            return ReadBack(Finding.PARTIAL, (f"two nodes take writes: {', '.join(writable)}", *evidence))
        if not writable:
            return ReadBack(Finding.UNKNOWN, ("no node takes writes at this instant", *evidence))
        now = writable[0]
        server = sight.servers[now]
        moved = server is not None and server.timeline is not None and server.timeline > timeline
        if now == old and not moved:
            return ReadBack(Finding.NOT_DONE, evidence)
        if sight.leaders != (now,):
            return ReadBack(Finding.UNKNOWN, (f"{now} takes writes, its manager does not confirm yet", *evidence))
        if now != wanted:
            return ReadBack(Finding.PARTIAL, (f"the role landed on {now}, not on {wanted}", *evidence))
        if sight.servers.get(old) is None:
            return ReadBack(Finding.UNKNOWN, (f"{now} leads; the old leader {old} does not answer yet", *evidence))
        return ReadBack(
            Finding.DONE, evidence, figures={"leader": now, "fork_lsn": server.fork_lsn if server else None}
        )


def leader_obstacles(name: str, sight: Sight) -> tuple[Refusal, ...]:
    """Why there is no one leader to hand over from."""
    if len(sight.writable) > 1:
        fact = f"{', '.join(sight.writable)} of {name} all take writes"
        return (Refusal("single-primary", fact, "Fence all but one; a switchover would make it worse"),)
    if not sight.writable:
        return (
            Refusal("single-primary", f"no node of {name} takes writes", "This needs a failover, not a switchover"),
        )
    leader = sight.writable[0]
    if sight.leaders != (leader,):
        claimed = ", ".join(sight.leaders) or "nobody"
        fact = f"{leader} takes writes but the managers name {claimed}"
        return (Refusal("witnesses-agree", fact, "Wait until server and manager agree, or find out why not"),)
    return ()


def candidate_obstacles(sight: Sight, leader: str, candidate: str) -> tuple[Refusal, ...]:
    """What the manager would refuse, mostly without saying why (it checks these only after accepting)."""
    server, member = sight.servers.get(candidate), sight.members.get(candidate)
    manager, primary = sight.members.get(leader), sight.servers.get(leader)
    if server is None or member is None:
        silent = "server" if server is None else "manager"
        return (Refusal("candidate-answers", f"{candidate}: its {silent} does not answer", "Choose another node"),)
    found: list[Refusal] = []
    limit = (manager.maximum_lag if manager else None) or MAXIMUM_LAG
    lag = sight.lag(leader, candidate)
    if server.receiver_state != "streaming":
        state = server.receiver_state or "no receiver"
        found.append(
            Refusal("candidate-streams", f"{candidate} does not stream ({state})", "Repair replication first")
        )
    if lag is None:
        found.append(Refusal("lag-known", f"{candidate}: its lag is unknown", "Without a figure nobody can promise"))
    elif lag > limit:
        fact = f"{candidate} lacks {megabytes(lag)}, more than maximum_lag_on_failover {megabytes(limit)}"
        found.append(Refusal("candidate-lag", fact, "Wait for it to catch up, or choose another node"))
    if primary and server.timeline != primary.timeline:
        fact = f"{candidate} is on timeline {server.timeline}, {leader} on {primary.timeline}"
        found.append(Refusal("same-timeline", fact, "Let it rejoin first"))
    if server.replay_pause not in (None, "not paused"):
        found.append(Refusal("replay-runs", f"{candidate}: replay is {server.replay_pause}", "Resume replay first"))
    return tuple(found)


def best_candidate(sight: Sight, leader: str) -> str | None:
    """The streaming standby that lacks least; ties by name."""
    able = [
        (lag, node)
        for node, server in sight.servers.items()
        if node != leader and server is not None and server.receiver_state == "streaming"
        for lag in (sight.lag(leader, node),)
        if lag is not None
    ]
    return min(able)[1] if able else None


def describe(node: str, sight: Sight) -> str:
    """One node in one line, from both witnesses."""
    server, member = sight.servers.get(node), sight.members.get(node)
    if server is None:
        said = "server silent"
    else:
        said = f"server {'standby' if server.in_recovery else 'takes writes'}, timeline {server.timeline}"
    return f"{node}: {said}; manager says {member.role if member else 'nothing'}"


def _switchover(args: SwitchoverArgs, estate: Estate, outside: Outside) -> Switchover:
    database = outside.databases.get(args.database)
    if database is None:
        raise NotFound(f"no database {args.database}; there are {', '.join(outside.databases) or 'none'}")
    return Switchover(ChangeSpec("database.switchover", args.model_dump()), args, estate, database)


KINDS = (ChangeKind("database.switchover", "Switch a database over", SwitchoverArgs, Risk.B3, _switchover),)
