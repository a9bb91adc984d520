"""The primary that no longer answers: which node it is, and whether that is proven or only our view of it."""

from __future__ import annotations

from dataclasses import dataclass

from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.votes import PRIMARY, manager_role


@dataclass(frozen=True, slots=True)
class LostPrimary:
    """The node that led. `proven`: something other than our own connection to its server says so too.

    `since_mono` is its last good reading, None when it was never read.
    """

    node: str
    proven: bool
    since_mono: float | None


def lost_primary(facts: ClusterFacts) -> LostPrimary | None:
    """The node that wrote last, while its server gives no fresh reading and no other node accepts writes."""
    if facts.writers or facts.outsider:
        return None
    node = _last_leader(facts)
    if node is None or node.postgres is not None:
        return None
    seen = node.postgres_seen
    since = seen.mono if seen is not None and seen.mono is not None else facts.past.wrote.get(node.node)
    return LostPrimary(node.node, _proven(facts, node), since)


def _last_leader(facts: ClusterFacts) -> NodeFacts | None:
    """The newest node that wrote when it was last read; before any reading, the one that the managers name, and where
    none does the one that led by the journal, once it has been asked for longer than a reading may be old."""
    wrote = [n for n in facts.nodes.values() if (r := n.last_postgres) is not None and not r.in_recovery]
    if wrote:
        return max(wrote, key=lambda n: (_timeline(n), _read_at(n)))
    named = {
        m.name
        for reading in facts.managers.values()
        if reading is not None
        for m in reading.members
        if manager_role(m.role, "running") == PRIMARY
    }
    if named:
        return facts.nodes.get(named.pop()) if len(named) == 1 else None
    former = facts.nodes.get(facts.past.leader)
    return former if former is not None and _silent(former, facts.asked) else None


def _silent(node: NodeFacts, asked: float) -> bool:
    """Whether none of its sources has given anything since they are asked."""
    seen = [s for s in (node.postgres_seen, node.patroni_seen) if s is not None]
    return bool(seen) and all(s.value is None and s.error is not None and asked > s.limit for s in seen)


def _timeline(node: NodeFacts) -> int:
    reading = node.last_postgres
    return (reading.timeline or 0) if reading is not None else 0


def _read_at(node: NodeFacts) -> float:
    seen = node.postgres_seen
    return seen.mono if seen is not None and seen.mono is not None else 0.0


def _proven(facts: ClusterFacts, node: NodeFacts) -> bool:
    """One silent connection may be our own fault; a second witness that lost the node as well makes it a fact.

    A balancer that still sends writes to the node reaches it where we do not. An open replication connection proves
    nothing: it stays open until wal_receiver_timeout, a minute by default.
    """
    if facts.writes_go_to is not None:
        if node.node in facts.writes_go_to:
            return False
        if not facts.writes_go_to:
            return True
    if any(m is not None and m.unlocked for m in facts.managers.values()):
        return True
    standbys = [n.postgres for n in facts.nodes.values() if n.postgres is not None and n.postgres.in_recovery]
    if standbys and all(s.receiver_state != "streaming" for s in standbys):
        return True
    if node.patroni_seen is None:
        return False
    return node.patroni is None or not manager_role(node.patroni.role, node.patroni.state)
