"""Who leads a cluster, in words: two writers, none, one that is not read, one that is still to write."""

from __future__ import annotations

from state.health import Health
from state.units import utc
from state.verdicts.cluster import ClusterFacts
from state.verdicts.evidence import no_data_reason
from state.verdicts.lost_primary import LostPrimary
from state.verdicts.node import NodeFinding
from state.verdicts.split_brain import SplitBrain
from state.verdicts.upstream import upstream_finding
from state.verdicts.votes import CONFLICT, PRIMARY, manager_role


def lead_findings(
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
        return [upstream_finding(facts)]
    if facts.none_writes:
        return [(Health.FAIL, f"no node accepts writes{_claimed(facts)}")]
    if leader == CONFLICT:
        return [(Health.UNKNOWN, f"{CONFLICT}: the witnesses do not agree on the leader")]
    return [_no_primary(facts, leader)] if facts.primary is None else []


def promoting(facts: ClusterFacts) -> str:
    """The node that leads by its own manager while its own server is still in recovery; empty when there is none."""
    if facts.writers:
        return ""
    for name, manager in facts.managers.items():
        server = facts.nodes[name].postgres
        leads = manager is not None and manager_role(manager.role, manager.state) == PRIMARY
        if leads and server is not None and server.in_recovery:
            return name
    return ""


def _claimed(facts: ClusterFacts) -> str:
    """Who leads by a manager's word, and since when it has not opened."""
    name = promoting(facts)
    if not name:
        return ""
    seen, since = facts.nodes[name].postgres_seen, facts.past.unled_mono
    known = since is not None and seen is not None and seen.at is not None and seen.mono is not None
    when = f", promoting since {utc(round(seen.at - seen.mono + since))}" if known else ""  # type: ignore[union-attr, operator]
    return f": Patroni calls {name} leader, its server is in recovery{when}"


def _outside(facts: ClusterFacts) -> str:
    """A leader that is not read here: nothing is known of its writes, least of all that there are none."""
    writers = " and ".join(n.node for n in facts.writers)
    also = f"; {writers} accepts writes too" if writers else ""
    return f"{facts.outsider} leads according to Patroni and is not in the estate, so it is not read{also}"


def _no_primary(facts: ClusterFacts, leader: str) -> NodeFinding:
    """Fails when the managers agree that no node leads; without answers it is unknown."""
    if any(m is not None and m.unlocked for m in facts.managers.values()):
        return Health.FAIL, "no node holds the leader lock"
    if leader in facts.nodes:
        node = facts.nodes[leader]
        return (
            Health.UNKNOWN,
            f"{leader} leads according to its managers; its server: {no_data_reason(node.postgres_seen)}",
        )
    return Health.UNKNOWN, "no node is known to accept writes"
