"""Who could lead where no node does, and what stands against it: what `eligibility` says, less what a failover ignores.

A failover waits for nobody: neither the manager's lag limit nor its list of synchronous standbys holds it up (Patroni,
`POST /failover` without a leader). What is lost by that is on the card; the order still prefers those that it lists.
"""

from __future__ import annotations

from state.errors import Refusal
from state.units import megabytes
from state.verdicts.eligibility import Eligibility
from state.verdicts.replication import ClusterVerdict
from state.verdicts.switchover import ADMINISTRATOR, STOP_THE_OTHER

IGNORED = frozenset({"lag-limit", "sync-member", "streaming"})
"""Rules of a switchover that a failover does not keep."""


def failover_obstacles(cluster: ClusterVerdict, to: str) -> tuple[Refusal, ...]:
    """Every reason against a failover to a node, from fresh readings, but the proof that the old primary is fenced."""
    name = cluster.facts.name
    found: list[Refusal] = []
    if cluster.split is not None:
        found.append(Refusal("single-primary", cluster.split.message, "Fence one of the two nodes first", "commander"))
    elif cluster.facts.writers:
        writer = cluster.facts.writers[0].node
        found.append(Refusal("no-leader", f"{writer} accepts writes", "Switch over: then nothing is lost", "commander"))
    if cluster.facts.outsider and not cluster.facts.writers:
        fact = f"{cluster.facts.outsider} leads according to Patroni, and is not in the estate"
        found.append(Refusal("no-leader", fact, "Add it to the estate, then switch over", "database administrator"))
    if cluster.rival:
        found.append(Refusal("one-engine", f"{name}: {cluster.rival}", STOP_THE_OTHER, ADMINISTRATOR))
    if cluster.facts.standby_leader:
        fact = f"{name} is a standby cluster led by {cluster.facts.standby_leader}: its primary is elsewhere"
        found.append(Refusal("no-leader", fact, "Ask its primary; promoting the standby cluster is another change"))
    if to and to not in cluster.eligible:
        names = ", ".join(cluster.nodes)
        found.append(Refusal("known-node", f"{to} is not a node of {name}", f"Choose one of {names}"))
    elif to:
        found += against(cluster, to)
    return tuple(found)


def against(cluster: ClusterVerdict, to: str) -> tuple[Refusal, ...]:
    """What stands against a node as the one that leads next."""
    own = cluster.eligible[to]
    found = [each for each in own.obstacles if each.rule not in IGNORED]
    if not found and (newer := _newer(cluster, to)) is not None:
        found.append(newer)
    if not found and (other := _further(cluster, own)) is not None:
        found.append(other)
    return tuple(found)


def failover_candidate(cluster: ClusterVerdict) -> str:
    """The best node that could lead; empty when there is none."""
    able = [each for each in cluster.eligible.values() if all(o.rule in IGNORED for o in each.obstacles)]
    return next((each.node for each in able if not against(cluster, each.node)), able[0].node if able else "")


def worth(cluster: ClusterVerdict, each: Eligibility) -> str:
    """Why a candidate stands where it stands, in words."""
    said = [f"{o.rule}: {o.fact}" for o in each.obstacles[:1]]
    if each.lacks is not None:
        said.append(f"lacks {megabytes(each.lacks)}" if each.lacks else "has all of the leader's WAL")
    elif each.lacks_at_least:
        said.append(f"lacks at least {megabytes(each.lacks_at_least)}")
    elif cluster.facts.nodes[each.node].postgres is not None:
        said.append("how much it lacks is not known")
    return "; ".join([*said, *each.unknowns])


def _newer(cluster: ClusterVerdict, to: str) -> Refusal | None:
    """A standby on a higher timeline: another branch, which somebody began; a number does not say which is right."""
    mine = cluster.facts.nodes[to].postgres
    for name, facts in cluster.facts.nodes.items():
        theirs = facts.postgres
        if mine is None or theirs is None or theirs.system_id != mine.system_id:
            continue
        own, other = cluster.facts.stands_on(to), cluster.facts.stands_on(name)
        if (other or 0) > (own or 0):
            fact = f"{to} is on timeline {own or 'unknown'}, {name} on {other}"
            return Refusal("same-timeline", fact, "Find out which history is the right one first", ADMINISTRATOR)
    return None


def _further(cluster: ClusterVerdict, own: Eligibility) -> Refusal | None:
    """Another node that could lead as well and has more: of the list of synchronous ones, where this one is on it."""
    mine = cluster.facts.nodes[own.node].postgres
    held = mine.held if mine is not None else None
    for each in cluster.eligible.values():
        theirs = cluster.facts.nodes[each.node].postgres
        rules = {o.rule for o in each.obstacles}
        if each.node == own.node or theirs is None or not rules <= (IGNORED if own.obstacles else frozenset()):
            continue
        if held is not None and theirs.held is not None and theirs.held > held:
            fact = f"{each.node} has {megabytes(theirs.held - held)} more than {own.node}"
            return Refusal("furthest", fact, f"Choose {each.node}")
    return None
