"""What a failover now could lose: what the best node that may lead lacks, or unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.api.views.header import DataRisk
from state.health import Health
from state.units import megabytes, utc
from state.verdicts.cluster import ClusterFacts
from state.verdicts.eligibility import Eligibility
from state.verdicts.guarantee import Guarantee
from state.verdicts.lag import ReplicationLag
from state.verdicts.upstream import upstream_finding

AMBER = 0.75
"""Share of the RPO from which the risk warns."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The node that would lead next: `position` is how far it has WAL, `lag` how far it is behind, `lacks` as there."""

    node: str
    position: int
    lag: ReplicationLag
    lacks: int | None


def best_candidate(
    facts: ClusterFacts, lags: Mapping[str, ReplicationLag], eligible: Mapping[str, Eligibility]
) -> Candidate | None:
    """The first in rank of those that may lead, as far as is known; else of those that are only too far behind for the
    manager: a person could still choose one. None where there is none."""
    able = [e for e in eligible.values() if e.may_lead is not False]
    able = able or [e for e in eligible.values() if {r.rule for r in e.obstacles} == {"lag-limit"}]
    for each in able:
        reading = facts.nodes[each.node].postgres
        if reading is not None and reading.held is not None:
            return Candidate(each.node, reading.held, lags[each.node], each.lacks)
    return None


def data_risk(
    facts: ClusterFacts,
    candidate: Candidate | None,
    sync: Guarantee | None,
    eligible: Mapping[str, Eligibility],
    ahead: Mapping[str, int],
    *,
    split: bool = False,
) -> DataRisk:
    """What the candidate had not received when its primary was read. What is written from then on is not counted."""
    sources = tuple(n.postgres_key for n in facts.nodes.values())
    if split:
        return _unknown(facts, "unknown: two nodes accept writes", sources)
    if ahead:
        who = ", ".join(f"{node} holds {megabytes(size)}" for node, size in ahead.items())
        return _unknown(facts, f"unknown: {who} that the primary lacks", sources)
    if facts.standby_leader:
        return _elsewhere(facts, sources)
    primary = facts.primary
    if candidate is None:
        return _unknown(facts, _nobody(facts, eligible), sources)
    if primary is None or primary.postgres is None or primary.postgres.write_lsn is None:
        return _unknown(facts, _without_primary(facts, candidate), sources)
    if candidate.lacks is None:
        return _unknown(facts, f"{candidate.node}: {candidate.lag.message}", sources)
    sources = tuple(n.postgres_key for n in facts.nodes.values() if n.postgres is not None)
    if sync is not None and sync.survives(candidate.node, _no_further(facts, candidate)):
        return _known(facts, 0, f"none: every acknowledged commit is on {candidate.node} ({sync.message})", sources)
    lost = candidate.lacks
    return _known(facts, lost, f"{megabytes(lost)} not received by {candidate.node}", sources)


def _elsewhere(facts: ClusterFacts, sources: tuple[str, ...]) -> DataRisk:
    """A standby cluster has no writes of its own; what its primary elsewhere would lose is known there."""
    health, said = upstream_finding(facts)
    if health is Health.PASS:
        return _known(facts, 0, "nothing is written here: its primary is outside", sources)
    return _unknown(facts, f"unknown: {said}", sources)


def _no_further(facts: ClusterFacts, candidate: Candidate) -> list[str]:
    """The nodes that are read and have no more WAL than the candidate."""
    held = {n.node: n.postgres.held for n in facts.nodes.values() if n.postgres is not None}
    return [node for node, at in held.items() if at is not None and at <= candidate.position]


def _nobody(facts: ClusterFacts, eligible: Mapping[str, Eligibility]) -> str:
    """No node may lead: the first reason of each, and what is certain to be lacking at the best of them."""
    reasons = [
        e.obstacles[0].fact for e in eligible.values() if e.obstacles and e.obstacles[0].rule != "not-the-leader"
    ]
    best = next((e for e in eligible.values() if facts.nodes[e.node].postgres is not None and e.lacks_at_least), None)
    least = f", at least {megabytes(best.lacks_at_least)}" if best is not None else ""
    return f"unknown{least}: no standby could take over" + (f" ({'; '.join(reasons)})" if reasons else "")


def _without_primary(facts: ClusterFacts, candidate: Candidate) -> str:
    """The message without a reading of the primary: the minimum that its last reading proves."""
    last = [
        (n, n.postgres_seen, r.write_lsn)
        for n in facts.nodes.values()
        if (r := n.last_postgres) is not None and not r.in_recovery and n.postgres is None and r.write_lsn is not None
    ]
    if not last:
        return "unknown: the primary's position is not known"
    node, seen, position = max(last, key=lambda s: s[2])
    since = f" since {utc(seen.at)}" if seen is not None and seen.at is not None else ""
    missing = position - candidate.position
    least = f", at least {megabytes(missing)}" if missing > 0 else ""
    return f"unknown{least}: no data from {node.node}{since}, its later writes would be lost"


def _known(facts: ClusterFacts, lost: int, message: str, sources: tuple[str, ...]) -> DataRisk:
    target = facts.entry.rpo
    health = Health.FAIL if lost > target else Health.WARN if lost > AMBER * target else Health.PASS
    return DataRisk(facts.name, lost, target, health, message, sources)


def _unknown(facts: ClusterFacts, message: str, sources: tuple[str, ...]) -> DataRisk:
    return DataRisk(facts.name, None, facts.entry.rpo, Health.UNKNOWN, message, sources)
