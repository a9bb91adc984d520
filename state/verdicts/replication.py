"""The verdict on a database cluster: roles by votes, lag of every standby, the alarm for two writers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.api.views.header import DataRisk
from state.estate.model import DatabaseEntry
from state.health import Health
from state.verdicts.ahead import ahead_of_primary
from state.verdicts.cluster import ClusterFacts, gather
from state.verdicts.danger import danger_findings, scheduled_text
from state.verdicts.eligibility import Eligibility, eligibility
from state.verdicts.evidence import rank, worst
from state.verdicts.guarantee import BLOCKED, Guarantee, guarantee
from state.verdicts.lead import lead_findings, promoting
from state.verdicts.lost_primary import LostPrimary, lost_primary
from state.verdicts.node import (
    NodeFinding,
    NodeVerdict,
    node_lag,
    node_verdict,
    read_only_finding,
    sessions_finding,
)
from state.verdicts.past import NO_PAST, DatabasePast
from state.verdicts.risk import Candidate, best_candidate, data_risk
from state.verdicts.slots import SlotFault, slot_faults
from state.verdicts.split_brain import SplitBrain, split_brain
from state.verdicts.store import StoreSilence, store_silence
from state.verdicts.upstream import reference
from state.verdicts.votes import CONFLICT, PRIMARY, STANDBY, UNKNOWN
from state.world.world import World


@dataclass(frozen=True, slots=True)
class ClusterVerdict:
    """The verdict on one cluster: the leader by votes, the guarantee, who could take over and what would be lost.

    `unled`: servers answer, none accepts writes, and no node is known that should. `store`: no manager reaches it.
    `eligible` is every node as a leader to be, the best first; `ahead` are bytes that a node has and the primary lacks.
    `halted`: it does not serve now, not only is in danger. `promoting` holds the leader lock and does not write yet.
    `scheduled` is a hand-over to come, in words.
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
    eligible: Mapping[str, Eligibility] = field(default_factory=dict)
    ahead: Mapping[str, int] = field(default_factory=dict)
    slots: tuple[SlotFault, ...] = ()
    halted: bool = False
    promoting: str = ""
    scheduled: str = ""

    @property
    def holds_up(self) -> bool:
        """Whether what needs it waits for it: it does not serve, or its primary is silent."""
        return self.halted or self.lost is not None

    @property
    def trouble(self) -> str:
        """Why requests of those that need it may have failed just now, in a word or two; else empty."""
        moving = self.unled and self.leader == CONFLICT
        if self.holds_up and not moving:
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
    wall: float | None = None,
) -> ClusterVerdict:
    """Judge one cluster from fresh readings; `past`, `asked` and `wall` as in `ClusterFacts`."""
    facts = gather(name, entry, world, now_mono, past, asked, wall)
    split = split_brain(facts)
    primary = facts.primary.postgres if facts.primary is not None else None
    leads, ahead = reference(facts), ahead_of_primary(facts)
    lags = {n.node: node_lag(n, leads, ahead.get(n.node, 0)) for n in facts.nodes.values()}
    lost = lost_primary(facts) if split is None else None
    nodes = {n.node: node_verdict(facts, n, lags[n.node], split, lost) for n in facts.nodes.values()}
    sync = guarantee(primary, facts) if primary is not None and primary.privileged else None
    eligible = eligibility(facts, lags, sync)
    candidate = best_candidate(facts, lags, eligible)
    risk = data_risk(facts, candidate, sync, eligible, ahead, split=split is not None)
    leader = facts.outsider if facts.outsider and not facts.writers else _leader(facts, nodes)
    paused = any(m is not None and m.paused for m in facts.managers.values())
    led = bool(facts.writers or facts.standby_leader) or (leader == CONFLICT and not facts.none_writes)
    unled = lost is None and not led and _any_server(facts)
    store, slots = store_silence(facts), slot_faults(facts)
    findings = lead_findings(facts, leader, split, lost)
    findings += _serving(facts, leader, sync)
    halted = any(health is Health.FAIL for health, _ in findings)
    findings += _findings(facts, nodes, lost, risk, paused)
    findings += danger_findings(facts, ahead, slots, sync, eligible, paused=paused)
    if store is not None and not any(m is not None and m.failsafe for m in facts.managers.values()):
        findings.append((Health.WARN, "Patroni's store (DCS) does not answer"))
    health = worst(h for h, _ in findings) if findings else Health.PASS
    scheduled = scheduled_text(facts)
    message = "; ".join(w for _, w in sorted(findings, key=lambda f: -rank(f[0])))
    message = "; ".join(filter(None, (message or _well(facts), scheduled)))
    return ClusterVerdict(
        facts, health, message, leader, nodes, split, sync, candidate, risk, paused, lost, unled, store,
        eligible, ahead, slots, halted, promoting(facts), scheduled,
    )  # fmt: skip


def _well(facts: ClusterFacts) -> str:
    return "one primary, standbys stream" if len(facts.nodes) > 1 else "it accepts writes; the estate names no standby"


def _any_server(facts: ClusterFacts) -> bool:
    return any(n.postgres is not None for n in facts.nodes.values())


def _leader(facts: ClusterFacts, nodes: Mapping[str, NodeVerdict]) -> str:
    told = {n: v for n, v in nodes.items() if n not in facts.twins}
    leaders = [n for n, v in told.items() if v.role == PRIMARY]
    if len(leaders) > 1 or any(v.role == CONFLICT for v in told.values()):
        return CONFLICT
    if leaders:
        return leaders[0]
    if facts.standby_leader:
        return facts.standby_leader
    return "none" if all(v.role == STANDBY for v in nodes.values()) else UNKNOWN


def _serving(facts: ClusterFacts, leader: str, sync: Guarantee | None) -> list[NodeFinding]:
    """What keeps clients from their commits although a primary accepts writes."""
    found: list[NodeFinding] = []
    if sync is not None and sync.kind == BLOCKED:
        found.append((Health.FAIL, sync.message))
    primary = facts.primary.postgres if facts.primary is not None else None
    if primary is not None and (refused := read_only_finding(primary)) is not None:
        found.append(refused)
    full = sessions_finding(primary) if primary is not None else None
    if full is not None and full[0] is Health.FAIL:
        found.append((Health.FAIL, f"{leader} accepts no new client"))
    return found


def _findings(
    facts: ClusterFacts, nodes: Mapping[str, NodeVerdict], lost: LostPrimary | None, risk: DataRisk, paused: bool
) -> list[NodeFinding]:
    told = {n: v for n, v in nodes.items() if lost is None or n != lost.node}
    found = [(Health.WARN, f"{n}: {v.message}") for n, v in told.items() if v.health is not Health.PASS and v.message]
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
