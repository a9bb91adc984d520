"""The verdict on a database cluster: roles by votes, lag of every standby, the alarm for two writers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.api.views.header import DataRisk
from state.estate.model import DatabaseEntry
from state.health import Health
from state.verdicts.cluster import ClusterFacts, gather
from state.verdicts.evidence import no_data_reason, rank, worst
from state.verdicts.guarantee import Guarantee, guarantee
from state.verdicts.lost_primary import LostPrimary, lost_primary
from state.verdicts.node import NodeFinding, NodeVerdict, node_lag, node_verdict, sessions_finding
from state.verdicts.past import NO_PAST, DatabasePast
from state.verdicts.risk import Candidate, best_candidate, data_risk
from state.verdicts.split_brain import SplitBrain, split_brain
from state.verdicts.store import StoreSilence, store_silence
from state.verdicts.votes import CONFLICT, PRIMARY, STANDBY, UNKNOWN
from state.world.world import World


@dataclass(frozen=True, slots=True)
class ClusterVerdict:
    """The verdict on one cluster: the leader by votes, the guarantee, who could take over and what would be lost.

    `unled`: servers answer, none accepts writes, and no node is known that should. `store`: no manager reaches it.
    """

    facts: ClusterFacts
    health: Health
    message: str
    leader: str
    nodes: Mapping[str, NodeVerdict]
    split: SplitBrain | None
    guarantee: Guarantee | None
    candidate: Candidate | None
    risk: DataRisk
    paused: bool
    lost: LostPrimary | None
    unled: bool = False
    store: StoreSilence | None = None

    @property
    def holds_up(self) -> bool:
        """Whether what needs it waits for it: it fails, or its primary is silent."""
        return self.health is Health.FAIL or self.lost is not None

    @property
    def trouble(self) -> str:
        """Why requests of those that need it may have failed just now, in a word or two; else empty."""
        if self.holds_up:
            return "failed"
        return "changed its leader" if self.unled or self.leader == CONFLICT else ""

    @property
    def rivals(self) -> Mapping[str, str]:
        """The engine that has the lease of a server in place of this one, by node, from fresh readings."""
        servers = {node: facts.postgres for node, facts in self.facts.nodes.items()}
        return {node: seen.other_engine for node, seen in servers.items() if seen is not None and seen.other_engine}

    @property
    def rival(self) -> str:
        """The same as text: empty when there is none."""
        return "; ".join(f"{engine} has the lease of {node}" for node, engine in self.rivals.items())

    @property
    def timeline(self) -> int | None:
        """The timeline of the node that accepts writes, by its own WAL; None without exactly one."""
        primary = self.facts.primary
        return primary.postgres.timeline if primary is not None and primary.postgres is not None else None


def cluster_verdict(
    name: str,
    entry: DatabaseEntry,
    world: World,
    now_mono: float,
    past: DatabasePast = NO_PAST,
    asked: float = 0.0,
) -> ClusterVerdict:
    """Judge one cluster from fresh readings; `past` and `asked` as in `ClusterFacts`."""
    facts = gather(name, entry, world, now_mono, past, asked)
    split = split_brain(facts)
    primary = facts.primary.postgres if facts.primary is not None else None
    lags = {n.node: node_lag(n, primary) for n in facts.nodes.values()}
    lost = lost_primary(facts) if split is None else None
    nodes = {n.node: node_verdict(facts, n, lags[n.node], split, lost) for n in facts.nodes.values()}
    sync = guarantee(primary) if primary is not None else None
    candidate = best_candidate(facts, lags, sync)
    risk = data_risk(facts, candidate, sync, split=split is not None)
    leader = facts.outsider if facts.outsider and not facts.writers else _leader(nodes)
    paused = any(m is not None and m.paused for m in facts.managers.values())
    led = bool(facts.writers or facts.standby_leader) or leader == CONFLICT
    unled = lost is None and not led and _any_server(facts)
    findings = _findings(facts, nodes, leader, split, lost, sync, risk, paused)
    full = sessions_finding(primary) if primary is not None else None
    if full is not None and full[0] is Health.FAIL:
        findings.append((Health.FAIL, f"{leader} accepts no new client"))
    store = store_silence(facts)
    if store is not None and not any(m is not None and m.failsafe for m in facts.managers.values()):
        findings.append((Health.WARN, "Patroni's store (DCS) does not answer"))
    health = worst(h for h, _ in findings) if findings else Health.PASS
    message = "; ".join(w for _, w in sorted(findings, key=lambda f: -rank(f[0])))
    message = message or "one primary, standbys stream"
    return ClusterVerdict(
        facts, health, message, leader, nodes, split, sync, candidate, risk, paused, lost, unled, store
    )


def _any_server(facts: ClusterFacts) -> bool:
    return any(n.postgres is not None for n in facts.nodes.values())


def _leader(nodes: Mapping[str, NodeVerdict]) -> str:
    leaders = [n for n, v in nodes.items() if v.role == PRIMARY]
    if len(leaders) > 1 or any(v.role == CONFLICT for v in nodes.values()):
        return CONFLICT
    if leaders:
        return leaders[0]
    return "none" if all(v.role == STANDBY for v in nodes.values()) else UNKNOWN


def _findings(
    facts: ClusterFacts,
    nodes: Mapping[str, NodeVerdict],
    leader: str,
    split: SplitBrain | None,
    lost: LostPrimary | None,
    sync: Guarantee | None,
    risk: DataRisk,
    paused: bool,
) -> list[NodeFinding]:
    found = _lead_findings(facts, leader, split, lost)
    told = {n: v for n, v in nodes.items() if lost is None or n != lost.node}
    found += [(Health.WARN, f"{n}: {v.message}") for n, v in told.items() if v.health is not Health.PASS and v.message]
    if sync is not None and sync.kind == "blocked":
        found.append((Health.FAIL, sync.message))
    if risk.health is Health.FAIL:
        found.append((Health.WARN, f"a failover could lose {risk.message}"))
    if rivals := [n.postgres.other_engine for n in facts.nodes.values() if n.postgres and n.postgres.other_engine]:
        found.append((Health.WARN, f"another engine acts here: {', '.join(sorted(set(rivals)))}"))
    if paused:
        found.append((Health.WARN, "Patroni is paused: no automatic failover"))
    if any(m is not None and m.failsafe for m in facts.managers.values()):
        found.append((Health.WARN, "Patroni is in failsafe mode: the DCS does not answer"))
    if strangers := facts.strangers - {facts.outsider}:
        found.append((Health.WARN, f"members that are not in the estate: {', '.join(sorted(strangers))}"))
    return found


def _lead_findings(
    facts: ClusterFacts, leader: str, split: SplitBrain | None, lost: LostPrimary | None
) -> list[NodeFinding]:
    """Two writers, none, or one that is not read; nothing while one primary accepts writes."""
    if split is not None:
        return [(Health.FAIL, split.message)]
    if lost is not None and lost.proven:
        seen = facts.nodes[lost.node].postgres_seen
        return [(Health.FAIL, f"no node accepts writes: primary {lost.node}, {no_data_reason(seen)}")]
    if facts.outsider:
        return [(Health.UNKNOWN, _outside(facts))]
    if facts.standby_leader:
        return [(Health.UNKNOWN, f"standby cluster, led by {facts.standby_leader}: it follows a primary elsewhere")]
    if leader == CONFLICT:
        return [(Health.UNKNOWN, f"{CONFLICT}: the witnesses do not agree on the leader")]
    return [_no_primary(facts, leader)] if facts.primary is None else []


def _outside(facts: ClusterFacts) -> str:
    """A leader that is not read here: nothing is known of its writes, least of all that there are none."""
    writers = " and ".join(n.node for n in facts.writers)
    also = f"; {writers} accepts writes too" if writers else ""
    return f"{facts.outsider} leads according to Patroni and is not in the estate, so it is not read{also}"


def _no_primary(facts: ClusterFacts, leader: str) -> NodeFinding:
    """Fails when all servers report standby or the managers agree that no node leads; without answers it is unknown."""
    if leader == "none" and all(n.postgres is not None for n in facts.nodes.values()):
        return Health.FAIL, "no node accepts writes"
    if any(m is not None and m.unlocked for m in facts.managers.values()):
        return Health.FAIL, "no node holds the leader lock"
    if leader in facts.nodes:
        node = facts.nodes[leader]
        return (
            Health.UNKNOWN,
            f"{leader} leads according to its managers; its server: {no_data_reason(node.postgres_seen)}",
        )
    return Health.UNKNOWN, "no node is known to accept writes"
