"""Database nodes that are lost, leaders that change, standbys that do not follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from state.detection.families import Family, Look, after, before, lasted, named, silent
from state.detection.follow import NORMAL, Pace, Shift, Told
from state.detection.observations import (
    BrokenStandby,
    FollowingStandby,
    LeaderChanged,
    LostNode,
    NodeAgain,
    NodeBack,
    NodeLost,
    ReplicationBroken,
    ReplicationRestored,
    WriterBack,
    WriterLost,
)
from state.health import Health
from state.journal.events import Observation
from state.units import megabytes, utc
from state.verdicts.cluster import NodeFacts
from state.verdicts.evidence import no_data_reason
from state.verdicts.node import NodeVerdict
from state.verdicts.replication import ClusterVerdict
from state.verdicts.votes import PRIMARY, STANDBY

LOST, BROKEN, UNLED = "lost", "broken", "unled"


def _node(look: Look, subject: str) -> tuple[str, NodeVerdict, ClusterVerdict]:
    """Database, node verdict and cluster verdict of `database/node`."""
    database, _, node = subject.partition("/")
    cluster = look.judgement.clusters[database]
    return database, cluster.nodes[node], cluster


def _known_role(facts: NodeFacts) -> tuple[str, int | None]:
    """Role and timeline by the last good reading of its server, of any age."""
    last = facts.last_postgres
    return ("", None) if last is None else (STANDBY if last.in_recovery else PRIMARY, last.timeline)


class Nodes(Family):
    """Every database node, by the readings of its own server."""

    pace = Pace(worse=0.5, better=2.0, gather=0.5)
    bodies = (NodeLost, NodeBack)

    def see(self, look: Look) -> Iterator[tuple[str, str | None]]:
        for database, cluster in look.judgement.clusters.items():
            for node, facts in cluster.facts.nodes.items():
                is_silent = None if facts.postgres_seen is None else silent(facts.postgres_seen, look)
                yield f"{database}/{node}", None if is_silent is None else LOST if is_silent else NORMAL

    def tell(self, shifts: Sequence[Shift], look: Look) -> Iterator[Observation]:
        lost, back = [s for s in shifts if s.now != NORMAL], [s for s in shifts if s.now == NORMAL]
        if lost:
            nodes = tuple(_lost(s, look) for s in lost)
            first = _node(look, lost[0].subject)[1].facts
            who = named(f"{n.database}/{n.node}" + (f" ({n.role})" if n.role else "") for n in nodes)
            yield NodeLost(f"{who} lost: {no_data_reason(first.postgres_seen)}, Patroni: {nodes[0].manager}", nodes)
        if back:
            again = tuple(_again(s, look) for s in back)
            who = named(f"{n.database}/{n.node} ({n.role}, timeline {n.timeline or 'unknown'})" for n in again)
            yield NodeBack(f"{who} back{after(back)}", again)

    def told(self, body: NodeLost | NodeBack, at: float) -> Iterable[Told]:
        if isinstance(body, NodeLost):
            return [Told(f"{each.database}/{each.node}", LOST, before(each.since, at)) for each in body.nodes]
        return [Told(f"{each.database}/{each.node}", NORMAL) for each in body.nodes]


def _lost(shift: Shift, look: Look) -> LostNode:
    database, verdict, _ = _node(look, shift.subject)
    facts, seen = verdict.facts, verdict.facts.postgres_seen
    role, timeline = _known_role(facts)
    age = None if seen is None else seen.age(look.mono)
    trouble = str(seen.error.trouble) if seen is not None and seen.error is not None else ""
    manager = "not read" if facts.patroni_seen is None else no_data_reason(facts.patroni_seen)
    if facts.patroni is not None:
        manager = f"{facts.patroni.role}, {facts.patroni.state}"
    read_at = None if seen is None else seen.at
    shown = None if age is None else round(age, 1)
    since = look.told_at(shift.since)
    return LostNode(database, facts.node, role, timeline, read_at, shown, trouble, manager, since)


def _again(shift: Shift, look: Look) -> NodeAgain:
    database, verdict, _ = _node(look, shift.subject)
    role, timeline = _known_role(verdict.facts)
    return NodeAgain(database, verdict.facts.node, role, timeline, lasted(shift), shift.more)


class Leaders(Family):
    """The leader of every database, while one is known; the first one is recorded as well."""

    pace = Pace(worse=1.0, better=1.0)
    bodies = (LeaderChanged,)

    def see(self, look: Look) -> Iterator[tuple[str, str | None]]:
        for database, cluster in look.judgement.clusters.items():
            node = cluster.facts.nodes.get(cluster.leader)
            # What managers say about a frozen server is no proof; where no server was ever read it is all there is.
            known = node is not None and (node.postgres is not None or node.last_postgres is None)
            known = known or (bool(cluster.facts.outsider) and cluster.leader == cluster.facts.outsider)
            yield database, cluster.leader if known and cluster.split is None else None

    def tell(self, shifts: Sequence[Shift], look: Look) -> Iterator[Observation]:
        for shift in shifts:
            timeline = look.judgement.clusters[shift.subject].timeline
            on = f"timeline {timeline or 'unknown'}"
            more = f" (changed {shift.more * 2} times more meanwhile)" if shift.more else ""
            moved = f"{shift.before} → {shift.now}" if shift.before else f"{shift.now}, the first one known here"
            message = f"{shift.subject}: leader {moved}, {on}{more}"
            yield LeaderChanged(shift.subject, shift.before, shift.now, timeline, message, shift.more * 2)

    def told(self, body: LeaderChanged, at: float) -> Iterable[Told]:
        return [Told(body.database, body.leader)]


class Writers(Family):
    """Whether a node of every database accepts writes: so the clock of an outage goes on in the next engine. A planned
    switchover is over sooner."""

    pace = Pace(worse=5.0, better=1.0)
    bodies = (WriterLost, WriterBack)

    def see(self, look: Look) -> Iterator[tuple[str, str | None]]:
        for database, cluster in look.judgement.clusters.items():
            none = cluster.health is Health.FAIL and (cluster.unled or cluster.lost is not None)
            yield database, UNLED if none else NORMAL if cluster.facts.writers else None

    def tell(self, shifts: Sequence[Shift], look: Look) -> Iterator[Observation]:
        for shift in shifts:
            cluster = look.judgement.clusters[shift.subject]
            if shift.now == NORMAL:
                message = f"{shift.subject}: {cluster.leader} accepts writes{after([shift])}"
                yield WriterBack(shift.subject, cluster.leader, lasted(shift), message, shift.more)
                continue
            lost = cluster.lost
            read = lost.since_mono if lost is not None else None
            since = look.told_at(shift.since if read is None else min(shift.since, read))
            leader = lost.node if lost is not None else cluster.facts.past.leader
            yield WriterLost(
                shift.subject, leader, since, f"{shift.subject}: no node accepts writes since {utc(since)}"
            )

    def told(self, body: WriterLost | WriterBack, at: float) -> Iterable[Told]:
        if isinstance(body, WriterLost):
            return [Told(body.database, UNLED, before(body.since, at))]
        return [Told(body.database, NORMAL)]


class Standbys(Family):
    """Whether every standby receives what the one primary writes; unknown while either is not read."""

    pace = Pace(worse=4.0, better=3.0, gather=1.0)
    bodies = (ReplicationBroken, ReplicationRestored)

    def see(self, look: Look) -> Iterator[tuple[str, str | None]]:
        for database, cluster in look.judgement.clusters.items():
            for node, verdict in cluster.nodes.items():
                yield f"{database}/{node}", _following(cluster, verdict)

    def tell(self, shifts: Sequence[Shift], look: Look) -> Iterator[Observation]:
        broken, back = [s for s in shifts if s.now != NORMAL], [s for s in shifts if s.now == NORMAL]
        if broken:
            standbys = tuple(_broken(s, look) for s in broken)
            who = named(f"{s.database}/{s.node}" for s in standbys)
            verb = "does" if len(standbys) == 1 else "do"
            yield ReplicationBroken(f"{who} {verb} not follow {standbys[0].primary}: {standbys[0].why}", standbys)
        if back:
            again = tuple(_follows(s, look) for s in back)
            who = named(
                f"{s.database}/{s.node} " + ("leads now" if s.node == s.primary else f"follows {s.primary} again")
                for s in again
            )
            yield ReplicationRestored(f"{who}{after(back)}", again)

    def told(self, body: ReplicationBroken | ReplicationRestored, at: float) -> Iterable[Told]:
        if isinstance(body, ReplicationBroken):
            return [Told(f"{each.database}/{each.node}", BROKEN, before(each.since, at)) for each in body.standbys]
        return [Told(f"{each.database}/{each.node}", NORMAL) for each in body.standbys]


def _following(cluster: ClusterVerdict, verdict: NodeVerdict) -> str | None:
    node, primary = verdict.facts, cluster.facts.primary
    if node.postgres is None or primary is None or cluster.split is not None:
        return None
    if not node.postgres.in_recovery:
        return NORMAL
    missing, limit = verdict.lag.receive, cluster.facts.entry.rpo
    behind = missing is None or (limit > 0 and missing > limit)
    return BROKEN if behind else NORMAL


def _broken(shift: Shift, look: Look) -> BrokenStandby:
    database, verdict, cluster = _node(look, shift.subject)
    lag, primary = verdict.lag, cluster.facts.primary
    why = lag.why or f"{megabytes(lag.receive or 0)} not received, the RPO is {megabytes(cluster.facts.entry.rpo)}"
    name, behind = primary.node if primary is not None else "", lag.receive or lag.at_least
    return BrokenStandby(database, verdict.facts.node, name, behind, why, look.told_at(shift.since))


def _follows(shift: Shift, look: Look) -> FollowingStandby:
    database, verdict, cluster = _node(look, shift.subject)
    primary = cluster.facts.primary
    name = primary.node if primary is not None else ""
    return FollowingStandby(database, verdict.facts.node, name, lasted(shift), shift.more)
