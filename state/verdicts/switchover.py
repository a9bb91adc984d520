"""Why Patroni would refuse a switchover: it checks lag and timeline late and answers 503 without the reason.

The conditions follow Patroni's own: position within maximum_lag_on_failover of the leader (received or replayed,
whichever is further), the leader's timeline, a candidate when paused, a DCS that answers.
"""

from __future__ import annotations

from state.errors import Refusal
from state.units import megabytes
from state.verdicts.lag import received
from state.verdicts.node import DCS_OLD
from state.verdicts.replication import ClusterVerdict
from state.world.readings import PatroniMember

DEFAULT_MAXIMUM_LAG = 1_048_576
"""Patroni's default maximum_lag_on_failover, bytes."""

ADMINISTRATOR = "database administrator"
STOP_THE_OTHER = (
    "End one of the two: recovery engine stop on its host. Where that host is gone the lease ends in half a minute"
)


def switchover_obstacles(cluster: ClusterVerdict, to: str) -> tuple[Refusal, ...]:
    """Every reason against a switchover to a node, from fresh readings; `to` empty = let Patroni choose."""
    name = cluster.facts.name
    found: list[Refusal] = []
    if cluster.split is not None:
        found.append(Refusal("single-primary", cluster.split.message, "Fence one of the two nodes first", "commander"))
    if cluster.rival:
        found.append(Refusal("one-engine", f"{name}: {cluster.rival}", STOP_THE_OTHER, ADMINISTRATOR))
    if cluster.facts.primary is None and cluster.split is None:
        found.append(Refusal("known-leader", f"{name}: {cluster.message}", "A switchover needs a leader that answers"))
    if cluster.paused and not to:
        found.append(Refusal("candidate-when-paused", f"{name}: Patroni is paused", "Name the node that is to lead"))
    found += _dcs_obstacles(cluster)
    if to:
        found += _candidate_obstacles(cluster, to)
    return tuple(found)


def switchover_unknowns(cluster: ClusterVerdict, to: str) -> tuple[str, ...]:
    """What is not known beforehand and may still make Patroni refuse."""
    unknown = [] if to else ["which node Patroni would choose"]
    if to and not _listed(cluster, to):
        unknown.append(f"whether {to} carries the tag nofailover")
    if all(m is None or m.dcs_age is None for m in cluster.facts.managers.values()):
        unknown.append("when the DCS was last seen")
    return tuple(unknown)


def _listed(cluster: ClusterVerdict, node: str) -> list[PatroniMember]:
    """What the managers that answer list of a node."""
    readings = [m for m in cluster.facts.managers.values() if m is not None]
    return [row for reading in readings for row in reading.members if row.name == node]


def _dcs_obstacles(cluster: ClusterVerdict) -> list[Refusal]:
    readings = [m for m in cluster.facts.managers.values() if m is not None]
    if not readings:
        return [Refusal("manager-answers", "no Patroni node answers", "Wait until one does, or fail over by hand")]
    old = [m.node for m in readings if m.dcs_age is not None and m.dcs_age > DCS_OLD]
    found: list[Refusal] = []
    if old:
        fact = f"{', '.join(old)}: no contact to the DCS for over {DCS_OLD:.0f} s"
        found.append(
            Refusal("dcs-answers", fact, "Restore the DCS; without it Patroni cannot move the lead", ADMINISTRATOR)
        )
    if any(m.unlocked for m in readings):
        found.append(
            Refusal("leader-lock", "no node holds the leader lock", "A switchover needs a leader; see failover")
        )
    return found


def _candidate_obstacles(cluster: ClusterVerdict, to: str) -> list[Refusal]:
    node = cluster.nodes.get(to)
    if node is None:
        names = ", ".join(cluster.nodes)
        return [Refusal("known-node", f"{to} is not a node of {cluster.facts.name}", f"Choose one of {names}")]
    if any(row.nofailover for row in _listed(cluster, to)):
        fact = f"{to} carries the tag nofailover: Patroni does not let it lead"
        return [Refusal("may-lead", fact, "Choose another node")]
    if cluster.leader == to:
        return [Refusal("not-the-leader", f"{to} leads already", "Choose another node")]
    reading = node.facts.postgres
    if reading is None or received(reading) is None:
        return [Refusal("candidate-answers", f"{to}: {node.message}", "Choose a node that answers")]
    found: list[Refusal] = []
    timeline = cluster.timeline
    if timeline is not None and reading.timeline != timeline:
        fact = f"{to} is on timeline {reading.timeline or 'unknown'}, the leader on {timeline}"
        found.append(
            Refusal(
                "same-timeline",
                fact,
                "Save what only it has, then let it rejoin (rewind or reinitialise)",
                ADMINISTRATOR,
            )
        )
    if reading.receiver_state != "streaming":
        found.append(
            Refusal(
                "streaming",
                f"{to} does not stream: lag {node.lag.message}",
                "Repair its replication first",
                ADMINISTRATOR,
            )
        )
    found += _lag_obstacles(cluster, to)
    return found


def _lag_obstacles(cluster: ClusterVerdict, to: str) -> list[Refusal]:
    node = cluster.nodes[to]
    limits = [m.maximum_lag for m in cluster.facts.managers.values() if m is not None and m.maximum_lag is not None]
    limit = min(limits, default=DEFAULT_MAXIMUM_LAG)
    behind = node.lag.receive if node.lag.receive is not None else node.lag.at_least
    if behind is None:
        return [Refusal("known-lag", f"{to}: lag {node.lag.message}", "Wait until its lag is known")]
    if behind <= limit:
        return []
    fact = f"{to} is {megabytes(behind)} behind, Patroni allows {megabytes(limit)} (maximum_lag_on_failover)"
    return [Refusal("lag-limit", fact, "Wait until it has caught up, or choose another node")]
