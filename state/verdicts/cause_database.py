"""What is wrong with a database cluster, in a short sentence part: the node that is the cause, what Patroni will do by
itself and when, what a person does."""

from __future__ import annotations

from dataclasses import replace

from state.api.views.causes import Cause, Forecast, ForecastKind, NextStep
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
from state.verdicts.danger import store_stranger
from state.verdicts.evidence import rank
from state.verdicts.fork_words import past_words
from state.verdicts.guarantee import BLOCKED, STORED
from state.verdicts.hand_words import stop_words, unsynced_words
from state.verdicts.node import NodeVerdict
from state.verdicts.replication import ClusterVerdict
from state.verdicts.transport import certificate_causes, transport_causes
from state.verdicts.votes import CONFLICT, PRIMARY, manager_role
from state.world.manager_parts import SyncMode


def database_causes(cluster: ClusterVerdict) -> list[Cause]:
    """Everything that is wrong with one cluster itself, the worst first."""
    if cluster.split is not None:
        return [_split(cluster)]
    if cluster.lost is not None:
        return [lost_cause(cluster, cluster.lost)]
    found = _lead(cluster) + danger_causes(cluster) + transport_causes(cluster) + certificate_causes(cluster)
    found += attested_causes(cluster)
    found += [each for node in _own_fault(cluster) if (each := node_cause(cluster, node)) is not None]
    if blind := [n.node for n in cluster.facts.nodes.values() if n.postgres is not None and not n.postgres.privileged]:
        found.append(_unseen(cluster, blind))
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
    if cluster.guarantee is not None and cluster.guarantee.kind == STORED:
        found.append(_stored(cluster))
    if (other := store_stranger(cluster.facts)) and cluster.facts.system_id:
        found.append(_other_store(cluster, other))
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


def _other_store(cluster: ClusterVerdict, what: str) -> Cause:
    """What Patroni goes by is not this cluster: nothing it does from now on can be trusted."""
    scope = cluster.facts.scope
    steps = (
        f"By hand: do not start, restart or reinitialise a Patroni of {scope} meanwhile. Who wrote to the store, or"
        f" which store do they use? Pause them (patronictl pause {scope}), put back /initialize"
        f" ({cluster.facts.system_id}) or the right store, then resume."
    )
    return database_cause(cluster, "other-store", Health.WARN, what, steps, title="repair the store by hand")


def _unseen(cluster: ClusterVerdict, names: list[str]) -> Cause:
    """A right of this engine is missing, which says nothing about the servers."""
    steps = "By hand on the primary: GRANT pg_monitor TO the role of this engine (`user` of the estate)."
    what = f"this engine may not read the streams of {', '.join(names)}"
    return database_cause(cluster, "unseen", Health.WARN, what, steps, title="grant pg_monitor")


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
            f"{keep} holds the leader lock: keep it. Stop {who}, {stop_words(cluster.facts, others)}; keep its data"
            f" until what is only there has been compared{past}."
        )
        title = f"fence {who} by hand"
    else:
        lock = " (no node is known to hold the leader lock)" if cluster.facts.managers else ""
        steps = (
            f"Choose the node to keep{lock} and fence the other (n on Replication), or stop it, {_either(cluster)};"
            f" keep its data{past}. recovery db lost {cluster.facts.name} lists what each has."
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


def _either(cluster: ClusterVerdict) -> str:
    """How one of the two is stopped, before it is known which one."""
    assert cluster.split is not None
    fenced = all(cluster.facts.entry.nodes[n].fence is not None for n in cluster.split.nodes)
    return f"recovery db fence {cluster.facts.name} NODE" if fenced else stop_words(cluster.facts, ())


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
    steps = (
        "By hand: bring a synchronous standby back; or let commits go on without one, knowing that a failover may then"
        f" lose commits: {unsynced_words(cluster.facts)}."
    )
    what = f"commits wait, {cluster.guarantee.detail}"
    return database_cause(cluster, "blocked", Health.FAIL, what, steps, forecast=_unblocked(cluster))


def _stored(cluster: ClusterVerdict) -> Cause:
    assert cluster.guarantee is not None
    steps = "By hand: name standbys in synchronous_standby_names, and neither archive receivers nor subscribers."
    what = f"commits are confirmed by {cluster.guarantee.detail} alone, which could not lead"
    return database_cause(cluster, "stored", Health.WARN, what, steps, title="name a standby")


def _unblocked(cluster: ClusterVerdict) -> Forecast:
    """Whether the manager lets commits go on by itself: it drops a standby that it loses, the last unless strict."""
    managers, nothing = [m for m in cluster.facts.managers.values() if m is not None], ForecastKind.NOTHING
    if not any(m.sync_mode not in (None, SyncMode.OFF) for m in managers):
        return Forecast(nothing, "Nothing lets them go on by itself", None)
    if any(m.sync_strict for m in managers):
        return Forecast(nothing, "Patroni keeps one synchronous standby at least (synchronous_mode_strict)", None)
    if cluster.paused or cluster.store is not None:
        return Forecast(nothing, "Patroni changes nothing now", None)
    return Forecast(nothing, "Patroni drops a standby whose Patroni or stream it loses, and commits go on", None)


def _otherwise(cluster: ClusterVerdict) -> Cause:
    """A verdict without one of the known causes: its own words."""
    what = "the witnesses do not agree on the leader" if cluster.leader == CONFLICT else cluster.message
    return database_cause(
        cluster, "other", cluster.health, what, "See Replication for the votes and the ages of its sources."
    )
