"""The verdict on one database node: its role by votes, its lag, what its manager reports."""

from __future__ import annotations

from dataclasses import dataclass

from state.health import Health
from state.units import megabytes
from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.evidence import no_data_reason, rank, worst
from state.verdicts.guarantee import sender_of
from state.verdicts.lag import ReplicationLag, lsn, received, standby_lag
from state.verdicts.lost_primary import LostPrimary
from state.verdicts.split_brain import SplitBrain
from state.verdicts.store import store_silence
from state.verdicts.votes import CONFLICT, Vote, agreed, node_votes, vote_message
from state.world.readings import PostgresReading

NodeFinding = tuple[Health, str]

DCS_OLD = 30.0
"""Seconds without contact to the DCS after which a manager may have lost its lock (Patroni's default ttl)."""


FEW_LEFT = 0.9
"""The share of a server's sessions in use from which it warns."""


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    """One node: role by votes, its health and why, position and lag, and the facts used."""

    facts: NodeFacts
    role: str
    votes: tuple[Vote, ...]
    health: Health
    message: str
    lag: ReplicationLag
    sync: str
    state: str

    @property
    def position(self) -> int | None:
        """Where it writes (primary) or has replayed to (standby)."""
        reading = self.facts.postgres
        if reading is None:
            return None
        return reading.replay_lsn if reading.in_recovery else reading.write_lsn


def node_lag(node: NodeFacts, primary: PostgresReading | None) -> ReplicationLag:
    """The node's lag behind the one primary, or why it is unknown."""
    if node.postgres is None:
        return ReplicationLag(why=no_data_reason(node.postgres_seen))
    if not node.postgres.in_recovery:
        return ReplicationLag(why="writable")
    return standby_lag(node.postgres, primary)


def node_verdict(
    facts: ClusterFacts, node: NodeFacts, lag: ReplicationLag, split: SplitBrain | None, lost: LostPrimary | None
) -> NodeVerdict:
    """Judge one node by its votes, its managers and, on a standby, its lag.

    The primary that does not answer fails; a standby that only waits for it has no fault of its own.
    """
    votes = node_votes(node.node, node.postgres, facts.managers)
    role = agreed(votes)
    findings = [f for f in (_vote_finding(role, votes), *_manager_findings(facts, node)) if f is not None]
    sync, state = "", "no data"
    if split is not None and node.node in split.nodes:
        findings.append((Health.FAIL, "accepts writes, and so does another node"))
    if node.postgres is None:
        led = lost is not None and lost.node == node.node
        health = Health.FAIL if lost is not None and led and lost.proven else Health.UNKNOWN
        findings.append((health, f"{'primary, ' if led else ''}{_unreachable(facts, node)}"))
    elif node.postgres.in_recovery:
        sync = _sync(facts, node.node)
        state = _standby_state(node, lag)
        if facts.outsider and not facts.writers:
            findings.append((Health.UNKNOWN, f"lag unknown: {facts.outsider} leads and is not read"))
        elif facts.standby_leader:
            findings.append((Health.UNKNOWN, "lag unknown: its standby cluster follows a primary elsewhere"))
        elif (lost is not None or facts.none_writes) and _waits(node):
            findings.append(_waiting(node, lost.node if lost is not None else "a primary"))
        else:
            findings += _standby_findings(facts, node, lag)
    else:
        state = "writable"
        findings += [f for f in (sessions_finding(node.postgres),) if f is not None]
    health = worst(h for h, _ in findings) if findings else Health.PASS
    message = "; ".join(w for _, w in sorted(findings, key=lambda f: -rank(f[0])))
    return NodeVerdict(node, role, votes, health, message, lag, sync, state)


def _waits(node: NodeFacts) -> bool:
    """Whether all that was received is applied, so that nothing is wrong but the missing primary."""
    reading = node.postgres
    return reading is not None and not _paused(node) and reading.replay_lsn == received(reading) is not None


def _waiting(node: NodeFacts, what: str) -> NodeFinding:
    assert node.postgres is not None
    position = received(node.postgres)
    upto = f", has its WAL up to {lsn(position)}" if position is not None else ""
    return Health.WARN, f"waits for {what}{upto}"


def sessions_finding(reading: PostgresReading) -> NodeFinding | None:
    """A server without a free session refuses every new client, while sessions that are open go on."""
    used, limit = reading.sessions, reading.sessions_limit
    if used is None or limit is None or used < FEW_LEFT * limit:
        return None
    if used >= limit:
        return Health.FAIL, f"no session is left: {used} of {limit} used"
    return Health.WARN, f"{used} of {limit} sessions used"


def _vote_finding(role: str, votes: tuple[Vote, ...]) -> NodeFinding | None:
    return (Health.UNKNOWN, f"{CONFLICT}: {vote_message(votes)}") if role == CONFLICT else None


def _unreachable(facts: ClusterFacts, node: NodeFacts) -> str:
    """Why the server has no data, and what managers reported last: second-hand, so never a lag of zero."""
    message = no_data_reason(node.postgres_seen)
    if node.patroni is not None and node.patroni.state not in ("running", "streaming"):
        message += f", Patroni says {node.patroni.state}"
    behind = [
        m.lag for r in facts.managers.values() if r is not None for m in r.members if m.name == node.node and m.lag
    ]
    return f"{message}, {megabytes(max(behind))} behind in Patroni's view" if behind else message


def _manager_findings(facts: ClusterFacts, node: NodeFacts) -> list[NodeFinding]:
    if node.patroni_seen is None:
        return []
    found: list[NodeFinding] = []
    if node.patroni is None:
        found.append((Health.WARN, f"Patroni: {no_data_reason(node.patroni_seen)}"))
    elif node.patroni.dcs_age is not None and node.patroni.dcs_age > DCS_OLD and store_silence(facts) is None:
        found.append((Health.WARN, f"its Patroni has had no contact to the DCS for over {DCS_OLD:.0f} s"))
    views = [r for r in facts.managers.values() if r is not None and r.members]
    if views and not any(m.name == node.node for r in views for m in r.members):
        found.append((Health.WARN, "missing from the cluster's members"))
    return found


def _standby_state(node: NodeFacts, lag: ReplicationLag) -> str:
    if node.postgres is not None and _paused(node):
        return "replay paused"
    if node.postgres is not None and node.postgres.receiver_state == "streaming":
        return "streaming"
    return "not streaming" if lag.replay is None else "replaying"


def _paused(node: NodeFacts) -> bool:
    return node.postgres is not None and node.postgres.replay_pause not in (None, "", "not paused")


def _standby_findings(facts: ClusterFacts, node: NodeFacts, lag: ReplicationLag) -> list[NodeFinding]:
    found: list[NodeFinding] = []
    limit = facts.entry.rpo
    if lag.replay is None:
        reading = node.postgres
        broken = reading is not None and (reading.receiver_state != "streaming" or facts.primary is not None)
        found.append((Health.FAIL if broken else Health.UNKNOWN, f"lag {lag.message}"))
    if _paused(node):
        size = f", {megabytes(lag.unapplied)} unapplied" if lag.unapplied is not None else ""
        found.append((Health.WARN, f"replay paused{size}"))
    elif lag.unapplied is not None and lag.unapplied > limit:
        found.append((Health.WARN, f"{megabytes(lag.unapplied)} received but not applied"))
    elif lag.replay is not None and lag.replay > limit:
        found.append((Health.WARN, f"{megabytes(lag.replay)} behind"))
    return found


def _sync(facts: ClusterFacts, node: str) -> str:
    primary = facts.primary
    sender = sender_of(primary.postgres, node) if primary is not None and primary.postgres is not None else None
    return sender.sync_state if sender is not None else ""
