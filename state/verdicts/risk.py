"""What a failover now could lose: the proven worst case, or unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass

from state.api.views.header import DataRisk
from state.health import Health
from state.units import megabytes, utc
from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.guarantee import Guarantee
from state.verdicts.lag import ReplicationLag, received

AMBER = 0.75
"""Share of the RPO from which the risk warns."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The standby that would lose least: `position` is its WAL position, `lag` how far it is behind."""

    node: str
    position: int
    lag: ReplicationLag


def best_candidate(facts: ClusterFacts, lags: dict[str, ReplicationLag], sync: Guarantee | None) -> Candidate | None:
    """The best standby: on the primary's timeline (without one: on the newest), furthest position, in sync first."""
    standbys = [
        (node, reading, position)
        for node in facts.nodes.values()
        if (reading := node.postgres) is not None
        and reading.in_recovery
        and (position := received(reading)) is not None
    ]
    primary = facts.primary.postgres if facts.primary is not None else None
    if primary is not None:
        able = [s for s in standbys if (s[1].timeline, s[1].system_id) == (primary.timeline, primary.system_id)]
    else:
        newest = max((s[1].timeline or 0 for s in standbys), default=0)
        able = [s for s in standbys if (s[1].timeline or 0) == newest]
    if not able:
        return None
    members = sync.members if sync is not None else ()
    node, _, position = min(able, key=lambda s: (-s[2], s[0].node not in members, s[0].node))
    return Candidate(node.node, position, lags[node.node])


def data_risk(
    facts: ClusterFacts, candidate: Candidate | None, sync: Guarantee | None, *, split: bool = False
) -> DataRisk:
    """Worst case of a failover to the candidate: bytes it has not received plus what was written since the sample."""
    sources = tuple(n.postgres_key for n in facts.nodes.values())
    if split:
        return _unknown(facts, "unknown: two nodes accept writes", sources)
    if candidate is None:
        return _unknown(facts, "unknown: no standby could take over", sources)
    primary = facts.primary
    if primary is None or primary.postgres is None or primary.postgres.write_lsn is None:
        return _unknown(facts, _without_primary(facts, candidate), sources)
    if candidate.lag.receive is None:
        return _unknown(facts, f"{candidate.node}: {candidate.lag.message}", sources)
    reachable = [n.node for n in facts.nodes.values() if n.postgres is not None]
    if sync is not None and sync.survives(candidate.node, reachable):
        return _known(facts, 0, f"none: every acknowledged commit is on {candidate.node} ({sync.message})", sources)
    rate = facts.write_rates.get(primary.node)
    if rate is None:
        least = f", at least {megabytes(candidate.lag.receive)}" if candidate.lag.receive else ""
        return _unknown(facts, f"unknown{least}: write rate not known yet", sources)
    since = _written_since(primary, rate, facts.now_mono)
    lost = candidate.lag.receive + since
    message = f"{megabytes(lost)} to {candidate.node}: {megabytes(candidate.lag.receive)} not received"
    return _known(facts, lost, f"{message}, {megabytes(since)} written since" if since else message, sources)


def _written_since(primary: NodeFacts, rate: float, now_mono: float) -> int:
    """Bytes that may have been written since the primary was read; whole seconds, so the figure changes rarely."""
    age = primary.postgres_seen.age(now_mono) if primary.postgres_seen is not None else None
    return math.ceil(max(0.0, rate) * math.ceil(age or 0.0))


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
