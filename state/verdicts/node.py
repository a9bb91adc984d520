"""The verdict on one database node: its role by votes, its lag, what its manager reports."""

from __future__ import annotations

from dataclasses import dataclass

from state.health import Health
from state.units import megabytes
from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.eligible_server import below_primary, is_paused
from state.verdicts.evidence import no_data_reason, rank, worst
from state.verdicts.lag import ReplicationLag, lsn, standby_lag
from state.verdicts.lost_primary import LostPrimary
from state.verdicts.senders import sender_of
from state.verdicts.split_brain import SplitBrain
from state.verdicts.store import store_silence
from state.verdicts.tables import table_votes
from state.verdicts.upstream import upstream_finding, upstream_lag
from state.verdicts.votes import CONFLICT, PRIMARY, Vote, agreed, node_votes, vote_message
from state.world.readings import PostgresReading

NodeFinding = tuple[Health, str]

DCS_OLD = 30.0
"""Seconds without contact to the DCS after which a manager may have lost its lock (Patroni's default ttl)."""


AT_TARGET = "it has a recovery target: resuming it there would end its recovery, and it would accept writes"
FEW_LEFT = 0.9
"""The share of a server's sessions in use from which it warns."""
TWIN = "its address leads to the server of"
NO_PRIVILEGE = "its streams cannot be read: grant pg_monitor to the role of this engine"


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


def node_lag(node: NodeFacts, leads: PostgresReading | None, ahead: int = 0) -> ReplicationLag:
    """The node's lag behind the server that leads, or why it is unknown; `ahead` as in `standby_lag`."""
    if node.postgres is None:
        return ReplicationLag(why=no_data_reason(node.postgres_seen))
    if not node.postgres.in_recovery:
        return ReplicationLag(why="writable")
    if leads is not None and leads.node == node.node:
        return upstream_lag(node.postgres)
    return standby_lag(node.postgres, leads, ahead=ahead, node=node.node, by_archive=node.by_archive)


def node_verdict(
    facts: ClusterFacts, node: NodeFacts, lag: ReplicationLag, split: SplitBrain | None, lost: LostPrimary | None
) -> NodeVerdict:
    """Judge one node by its votes, its managers and, on a standby, its lag.

    The primary that does not answer fails; a standby that only waits for it has no fault of its own.
    """
    votes = node_votes(node.node, node.postgres, facts.managers, facts.routes)
    votes += store_votes(facts, node.node) + table_votes(facts, node.node)
    role = agreed(votes)
    findings = [f for f in (_vote_finding(role, votes), *_manager_findings(facts, node)) if f is not None]
    sync, state = "", "no data"
    if first := facts.twins.get(node.node):
        findings.append((Health.UNKNOWN, f"{TWIN} {first}: nothing is known of a server of its own"))
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
        elif facts.standby_leader == node.node:
            findings += _leads_standbys(facts)
        elif (lost is not None or (facts.none_writes and not facts.standby_leader)) and _waits(node):
            findings.append(_waiting(node, lost.node if lost is not None else "a primary"))
        else:
            findings += _standby_findings(facts, node, lag)
    else:
        state = "writable"
        if not node.postgres.privileged:
            findings.append((Health.UNKNOWN, NO_PRIVILEGE))
        findings += [f for f in (sessions_finding(node.postgres),) if f is not None]
    health = worst(h for h, _ in findings) if findings else Health.PASS
    message = "; ".join(w for _, w in sorted(findings, key=lambda f: -rank(f[0])))
    return NodeVerdict(node, role, votes, health, message, lag, sync, state)


def store_votes(facts: ClusterFacts, node: str) -> tuple[Vote, ...]:
    """What the managers' store says itself: its lock holder leads. Of a node without it it says nothing."""
    if not facts.has_store or facts.standby_leader:
        return ()
    holder = facts.store.leader if facts.store is not None else ""
    if holder and holder != node:
        return ()
    return (Vote("store", PRIMARY if holder else ""),)


def _waits(node: NodeFacts) -> bool:
    """Whether all that was received is applied, so that nothing is wrong but the missing primary."""
    reading = node.postgres
    return reading is not None and not is_paused(reading) and reading.replay_lsn == reading.held is not None


def _waiting(node: NodeFacts, what: str) -> NodeFinding:
    assert node.postgres is not None
    position = node.postgres.held
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


def read_only_finding(reading: PostgresReading) -> NodeFinding | None:
    """A primary that refuses writes by its settings: it is not in recovery, and no client can write all the same.

    So services in a cloud stop the writes of a server whose disk fills up, and people those of a database that moves.
    """
    settings = reading.settings
    if reading.in_recovery or settings is None:
        return None
    if settings.refuses_writes:
        return Health.FAIL, f"{reading.node} refuses writes: default_transaction_read_only is on"
    if settings.read_only:
        said = ", ".join(settings.read_only)
        return Health.WARN, f"{reading.node} refuses writes to {said}: default_transaction_read_only is on there"
    return None


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
    if node.postgres is not None and is_paused(node.postgres):
        return "replay paused"
    if node.postgres is not None and node.postgres.receiver_state == "streaming":
        return "streaming"
    if node.postgres is not None and not node.postgres.privileged:
        return "stream not seen"
    if node.by_archive:
        return "from the archive"
    return "not streaming" if lag.replay is None else "replaying"


def _leads_standbys(facts: ClusterFacts) -> list[NodeFinding]:
    """The leader of a standby cluster is as well as its upstream is heard."""
    health, message = upstream_finding(facts)
    return [] if health is Health.PASS else [(health, message)]


def _standby_findings(facts: ClusterFacts, node: NodeFacts, lag: ReplicationLag) -> list[NodeFinding]:
    found: list[NodeFinding] = []
    reading, limit = node.postgres, facts.entry.rpo
    assert reading is not None
    if not reading.privileged:
        return [(Health.UNKNOWN, f"lag {lag.message}; {NO_PRIVILEGE}")]
    delayed = reading.settings is not None and reading.settings.apply_delay > 0
    primary = facts.primary.postgres if facts.primary is not None else None
    lower = below_primary(reading, primary)
    if lag.replay is None:
        broken = reading.receiver_state != "streaming" or facts.primary is not None
        found.append((Health.FAIL if broken else Health.UNKNOWN, f"lag {lag.message}"))
    if is_paused(reading):
        size = f", {megabytes(lag.unapplied)} unapplied" if lag.unapplied is not None else ""
        itself = f" by itself, {', '.join(lower)}: resuming it would stop the server" if lower else ""
        if reading.settings is not None and reading.settings.has_target:
            itself = f"; {AT_TARGET}"
        found.append((Health.WARN, f"replay paused{itself}{size}"))
        return found
    if lower:
        found.append((Health.WARN, f"{', '.join(lower)}: its replay stops when that change arrives"))
    if lag.unapplied is not None and lag.unapplied > limit and not delayed:
        found.append((Health.WARN, f"{megabytes(lag.unapplied)} received but not applied"))
    elif lag.replay is not None and lag.replay - (lag.unapplied or 0 if delayed else 0) > limit:
        found.append((Health.WARN, f"{megabytes(lag.replay)} behind"))
    return found


def _sync(facts: ClusterFacts, node: str) -> str:
    primary = facts.primary or facts.nodes.get(facts.standby_leader)
    if primary is None or primary.postgres is None:
        return ""
    sender = sender_of(primary.postgres, node, facts.nodes[node].postgres)
    return sender.sync_state if sender is not None else ""
