"""What is wrong with a database cluster, in a short sentence part: the node that is the cause, what Patroni will do by
itself and when, what a person does."""

from __future__ import annotations

from dataclasses import replace

from state.api.views.causes import Cause, NextStep
from state.health import Health
from state.units import megabytes
from state.verdicts.attested import attested_causes
from state.verdicts.cause_danger import danger_causes
from state.verdicts.cause_leader import (
    agent_cause,
    lost_cause,
    outside_cause,
    standby_cluster_causes,
    store_cause,
    unled_cause,
)
from state.verdicts.cause_node import node_cause
from state.verdicts.cause_parts import change, database_cause
from state.verdicts.evidence import rank
from state.verdicts.fork_words import past_words
from state.verdicts.guarantee import BLOCKED
from state.verdicts.node import NodeVerdict
from state.verdicts.replication import ClusterVerdict
from state.verdicts.transport import certificate_causes, transport_causes
from state.verdicts.votes import CONFLICT, PRIMARY, manager_role


def database_causes(cluster: ClusterVerdict) -> list[Cause]:
    """Everything that is wrong with one cluster itself, the worst first."""
    if cluster.split is not None:
        return [_split(cluster)]
    if cluster.lost is not None:
        return [lost_cause(cluster, cluster.lost)]
    found = _lead(cluster) + danger_causes(cluster) + transport_causes(cluster) + certificate_causes(cluster)
    found += attested_causes(cluster)
    found += [each for node in _own_fault(cluster) if (each := node_cause(cluster, node)) is not None]
    if strangers := cluster.facts.strangers - {cluster.facts.outsider}:
        found.append(_strangers(cluster, sorted(strangers)))
    if cluster.rival:
        steps = "Nothing is changed here by this engine. End one of the two: recovery engine stop on its host."
        found.append(database_cause(cluster, "rival", Health.WARN, f"another engine: {cluster.rival}", steps))
    if cluster.paused:
        steps = "By hand, when the maintenance is over: patronictl resume"
        found.append(
            database_cause(cluster, "paused", Health.WARN, "Patroni is paused, nothing fails over by itself", steps)
        )
    if cluster.risk.health is Health.FAIL and not found and cluster.risk.lost_bytes is not None:
        lost = f"a failover now could lose {megabytes(cluster.risk.lost_bytes)} of {megabytes(cluster.risk.target)}"
        found.append(
            database_cause(cluster, "risk", Health.WARN, lost, "Wait until a standby has caught up; see Replication.")
        )
    if cluster.health is not Health.PASS and not _agents_only(cluster) and (not found or _unexplained(cluster, found)):
        found.append(_otherwise(cluster))
    return sorted(found, key=lambda each: -rank(each.health))


def _lead(cluster: ClusterVerdict) -> list[Cause]:
    """Who leads, and whether it can: without a writer, without its manager, or where commits wait."""
    found: list[Cause] = []
    if cluster.guarantee is not None and cluster.guarantee.kind == BLOCKED:
        found.append(_blocked(cluster))
    if cluster.facts.outsider:
        found.append(outside_cause(cluster))
    elif cluster.facts.standby_leader:
        found += standby_cluster_causes(cluster)
    elif cluster.unled:
        found.append(unled_cause(cluster))
    elif cluster.store is not None:
        found.append(store_cause(cluster, cluster.store))
    return found + [agent_cause(cluster, n) for n in cluster.facts.writers if n.agent_silent and not n.failing]


def _agents_only(cluster: ClusterVerdict) -> bool:
    """Whether nothing is wrong but managers that are silent: each of them is a source, and a cause as such."""
    ill = [n for n in cluster.nodes.values() if n.health is not Health.PASS]
    alone = all(n.facts.agent_silent and not n.facts.failing and n.health is Health.WARN for n in ill)
    return bool(ill) and alone and cluster.health is Health.WARN


def _unexplained(cluster: ClusterVerdict, found: list[Cause]) -> bool:
    """Whether it is not known how the cluster is, and nothing found says why."""
    return cluster.health is Health.UNKNOWN and all(cause.health is Health.WARN for cause in found)


def _strangers(cluster: ClusterVerdict, names: list[str]) -> Cause:
    who = ", ".join(names)
    steps = f"Add {who} to the nodes of {cluster.facts.name} in the estate; until then nothing of it is read or judged."
    return database_cause(cluster, "strangers", Health.WARN, f"members that are not in the estate: {who}", steps)


def _own_fault(cluster: ClusterVerdict) -> list[NodeVerdict]:
    """The nodes whose state is a fault of their own: without a primary, no standby can be near it."""
    nodes, unled = [n for n in cluster.nodes.values() if n.facts.node not in cluster.ahead], cluster.unled
    if cluster.facts.standby_leader:
        nodes = [n for n in nodes if n.facts.node != cluster.facts.standby_leader]
    return [n for n in nodes if n.facts.postgres is None or n.state == "replay paused"] if unled else nodes


def _split(cluster: ClusterVerdict) -> Cause:
    split = cluster.split
    assert split is not None
    both = " and ".join(split.nodes)
    keep = _lock_holder(cluster, split.nodes)
    others = [n for n in split.nodes if n != keep] if keep else []
    step = _fence(cluster, others) if keep else None
    past = f" (past the fork each has what the other lacks: {past_words(split.fork)})" if split.fork is not None else ""
    if keep:
        who = " and ".join(others)
        steps = (
            f"{keep} holds the leader lock: keep it. By hand, on {who}: stop its Patroni,"
            f" then pg_ctl stop -m fast; keep its data until what is only there has been compared{past}."
        )
        title = f"fence {who} by hand"
    else:
        steps = (
            "No node is known to hold the leader lock. Choose the node to keep; fence the other one (n on Replication),"
            f" or by hand stop its Patroni and PostgreSQL (pg_ctl stop -m fast); keep its data{past}."
        )
        title = "fence one by hand"
    made = database_cause(cluster, "split-brain", Health.FAIL, "", steps, title=title, key="f", change=step)
    goes = cluster.facts.writes_go_to
    traffic = f", traffic goes to {', '.join(sorted(goes))}" if goes else ""
    return replace(made, what=f"SPLIT BRAIN, {both} both accept writes{traffic}", detail=split.message)


def _fence(cluster: ClusterVerdict, others: list[str]) -> NextStep | None:
    """The card that fences the one node without the lock, where the estate names a command for it."""
    name = others[0] if len(others) == 1 else ""
    place = cluster.facts.entry.nodes.get(name)
    if place is None or place.fence is None:
        return None
    said = (
        f"Key n opens the card that fences {name}: it is stopped, and its reading is the proof. The other one holds"
        f" the leader lock and stays. What only {name} has is kept in its data until it is rejoined or rebuilt."
    )
    return change("database.fence", {"database": cluster.facts.name, "node": name}, "n", f"fence {name}", said)


def _lock_holder(cluster: ClusterVerdict, nodes: tuple[str, ...]) -> str:
    """The one of these nodes that holds the lock by the store itself, else by every manager that answers and names one;
    empty when they name none or two."""
    store = cluster.facts.store
    if store is not None and store.leader in nodes:
        return store.leader
    named = {
        m.name
        for reading in cluster.facts.managers.values()
        if reading is not None
        for m in reading.members
        if manager_role(m.role, "running") == PRIMARY
    }
    return named.pop() if len(named) == 1 and named <= set(nodes) else ""


def _blocked(cluster: ClusterVerdict) -> Cause:
    assert cluster.guarantee is not None
    strict = any(m is not None and m.sync_strict for m in cluster.facts.managers.values())
    off = " Patroni's synchronous_mode_strict is on, so it does not let them go on by itself." if strict else ""
    steps = (
        "By hand: bring a synchronous standby back; or let commits go on without one: set synchronous_standby_names to"
        " '' (patronictl edit-config), knowing that a failover may then lose commits."
    )
    return database_cause(cluster, "blocked", Health.FAIL, f"commits wait, {cluster.guarantee.detail}", steps + off)


def _otherwise(cluster: ClusterVerdict) -> Cause:
    """A verdict without one of the known causes: its own words."""
    what = "the witnesses do not agree on the leader" if cluster.leader == CONFLICT else cluster.message
    return database_cause(
        cluster, "other", cluster.health, what, "See Replication for the votes and the ages of its sources."
    )
