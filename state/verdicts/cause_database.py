"""What is wrong with a database cluster, in a short sentence part: the node that is the cause, what Patroni will do by
itself and when, what a person does."""

from __future__ import annotations

from dataclasses import replace

from state.api.views.causes import Cause, Forecast, ForecastKind, NextKind, NextStep, SubjectKind
from state.health import Health
from state.units import megabytes
from state.verdicts.evidence import rank
from state.verdicts.guarantee import BLOCKED
from state.verdicts.lost_primary import LostPrimary
from state.verdicts.node import NodeFinding, NodeVerdict, sessions_finding
from state.verdicts.replication import ClusterVerdict
from state.verdicts.store import LOOP_WAIT, TTL, StoreSilence
from state.verdicts.votes import CONFLICT, PRIMARY, manager_role
from state.world.readings import PatroniReading

IN_SYNC = ("sync_standby", "quorum_standby")
NO_FAILOVER = "This version has no failover."
STORE_SILENT = "Patroni's store (DCS) does not answer"
REPAIR_STORE = "By hand: repair Patroni's store (its own status, its quorum, its disks, the network to it)"


def database_causes(cluster: ClusterVerdict) -> list[Cause]:
    """Everything that is wrong with one cluster itself, the worst first."""
    if cluster.split is not None:
        return [_split(cluster)]
    if cluster.lost is not None:
        return [_lost(cluster, cluster.lost)]
    found: list[Cause] = []
    if cluster.guarantee is not None and cluster.guarantee.kind == BLOCKED:
        found.append(_blocked(cluster))
    if cluster.unled:
        found.append(_unled(cluster))
    elif cluster.store is not None:
        found.append(_store(cluster, cluster.store))
    found += [each for node in _own_fault(cluster) if (each := _node(cluster, node)) is not None]
    if cluster.paused:
        steps = "By hand, when the maintenance is over: patronictl resume"
        found.append(_cause(cluster, "paused", Health.WARN, "Patroni is paused, nothing fails over by itself", steps))
    if cluster.risk.health is Health.FAIL and not found and cluster.risk.lost_bytes is not None:
        lost = f"a failover now could lose {megabytes(cluster.risk.lost_bytes)} of {megabytes(cluster.risk.target)}"
        found.append(_cause(cluster, "risk", Health.WARN, lost, "Wait until a standby has caught up; see Replication."))
    if cluster.health is not Health.PASS and (not found or _unexplained(cluster, found)):
        found.append(_otherwise(cluster))
    return sorted(found, key=lambda each: -rank(each.health))


def _unexplained(cluster: ClusterVerdict, found: list[Cause]) -> bool:
    """Whether it is not known how the cluster is, and nothing found says why."""
    return cluster.health is Health.UNKNOWN and all(cause.health is Health.WARN for cause in found)


def hand(title: str, message: str, key: str = "b") -> NextStep:
    """What a person does where this version has nothing for it."""
    return NextStep(NextKind.HAND, "", {}, key, title, message)


def _cause(
    cluster: ClusterVerdict,
    code: str,
    health: Health,
    what: str,
    by_hand: str,
    *,
    forecast: Forecast | None = None,
    since: float | None = None,
    title: str = "by hand",
    key: str = "b",
) -> Cause:
    name = cluster.facts.name
    sources = tuple(key for node in cluster.facts.nodes.values() for key in node.keys)
    return Cause(
        key=f"database/{name}/{code}",
        kind=SubjectKind.DATABASE,
        name=name,
        health=health,
        since_mono=since,
        what=what,
        detail=f"{name}: {cluster.message}",
        victims=(),
        forecast=forecast,
        next=hand(title, by_hand, key),
        sources=sources,
        loud=health is Health.FAIL,
    )


def _split(cluster: ClusterVerdict) -> Cause:
    split = cluster.split
    assert split is not None
    both = " and ".join(split.nodes)
    keep = _lock_holder(cluster, split.nodes)
    others = [n for n in split.nodes if n != keep] if keep else []
    past = f"; {megabytes(split.past_fork)} past the fork would be lost with the older one" if split.past_fork else ""
    if keep:
        who = " and ".join(others)
        steps = (
            f"This version fences nothing. {keep} holds the leader lock: keep it. By hand, on {who}: stop its Patroni,"
            f" then pg_ctl stop -m fast; keep its data until what is only there has been compared{past}."
        )
        title = f"fence {who} by hand"
    else:
        steps = (
            "This version fences nothing, and no node is known to hold the leader lock. By hand: choose the node to"
            f" keep, then stop Patroni and PostgreSQL (pg_ctl stop -m fast) on the other one; keep its data{past}."
        )
        title = "fence one by hand"
    made = _cause(cluster, "split-brain", Health.FAIL, "", steps, title=title, key="f")
    goes = cluster.facts.writes_go_to
    traffic = f", traffic goes to {', '.join(sorted(goes))}" if goes else ""
    return replace(made, what=f"SPLIT BRAIN, {both} both accept writes{traffic}", detail=split.message)


def _lock_holder(cluster: ClusterVerdict, nodes: tuple[str, ...]) -> str:
    """The one of these nodes that the managers which answer name as the leader; empty when they name none or two."""
    named = {
        m.name
        for reading in cluster.facts.managers.values()
        if reading is not None
        for m in reading.members
        if manager_role(m.role, "running") == PRIMARY
    }
    return named.pop() if len(named) == 1 and named <= set(nodes) else ""


def _lost(cluster: ClusterVerdict, lost: LostPrimary) -> Cause:
    if not lost.proven:
        steps = (
            f"By hand: ask {lost.node} from another host. Its balancers or its Patroni still reach it, so the way from"
            " this engine to it may be what is broken."
        )
        return _cause(
            cluster, "unread", Health.UNKNOWN, f"primary {lost.node} does not answer here", steps, since=lost.since_mono
        )
    promoted = _elected(cluster, lost.node)
    if promoted:
        what = f"primary {lost.node} does not answer, {promoted} is being promoted"
        forecast = Forecast(ForecastKind.PROMOTION, f"Patroni has chosen {promoted}", None)
    else:
        what, forecast = f"primary {lost.node} does not answer", _promotion(cluster, lost)
    steps = _instead(cluster, lost.node, forecast)
    return _cause(
        cluster, "no-writer", Health.FAIL, what, steps, forecast=forecast, since=lost.since_mono, key="f",
        title="failover by hand",
    )  # fmt: skip


def _instead(cluster: ClusterVerdict, node: str, forecast: Forecast) -> str:
    """What a person does about a primary that is gone; a failover only where somebody could take over."""
    repair = f"repair {node}: resume or restart its PostgreSQL"
    if cluster.store is not None:
        return f"{NO_FAILOVER} {forecast.message}. {REPAIR_STORE}; then {repair}."
    candidates = _candidates(cluster) if cluster.facts.managers else []
    if not candidates:
        return f"{NO_FAILOVER} {forecast.message}. By hand: {repair}."
    ask = f"patronictl failover {cluster.facts.scope} --candidate {candidates[0]}"
    by_hand = "If that does not happen, by hand" if forecast.kind is ForecastKind.PROMOTION else "By hand"
    return (
        f"{NO_FAILOVER} {forecast.message}. {by_hand} on a node of the cluster: {ask}"
        f" (it may lose what {node} wrote last). Afterwards {repair}."
    )


def _unled(cluster: ClusterVerdict) -> Cause:
    """Servers answer and none accepts writes: whether anybody will, and what a person does."""
    failed = cluster.health is Health.FAIL
    what = "no node accepts writes" if failed else "no node is known to accept writes"
    nothing, since = ForecastKind.NOTHING, None
    if cluster.store is not None:
        what, since = f"{what}, {STORE_SILENT}", cluster.store.since_mono
        forecast = Forecast(nothing, "Nothing is promoted until the store is back", None)
        steps = f"{REPAIR_STORE}. Patroni then elects a leader by itself."
        title = "repair the store by hand"
    else:
        candidates = _candidates(cluster)
        who = " or ".join(candidates)
        if cluster.paused:
            forecast = Forecast(nothing, "Patroni is paused: nothing happens by itself", None)
        elif cluster.facts.managers and candidates:
            forecast = Forecast(ForecastKind.PROMOTION, f"Patroni promotes {who}", None)
        else:
            forecast = Forecast(nothing, "No standby could be promoted", None)
        ask = (
            f"patronictl failover {cluster.facts.scope} --candidate {candidates[0]}"
            if candidates and cluster.facts.managers
            else "read the logs of its nodes, each says why it does not lead"
        )
        wait = "If that does not happen, by hand" if forecast.kind is ForecastKind.PROMOTION else "By hand"
        steps, title = f"{NO_FAILOVER} {forecast.message}. {wait}: {ask}.", "by hand"
    health = Health.FAIL if failed else Health.UNKNOWN
    return _cause(cluster, "no-writer", health, what, steps, forecast=forecast, since=since, title=title)


def _store(cluster: ClusterVerdict, store: StoreSilence) -> Cause:
    """The primary still leads: until its lock has ended, unless Patroni is told to keep it."""
    leader, nothing = cluster.leader, ForecastKind.NOTHING
    if any(m.failsafe for m in _readings(cluster)):
        forecast = Forecast(nothing, f"Failsafe mode: {leader} leads while it reaches every member", None)
    elif cluster.paused:
        forecast = Forecast(nothing, f"Patroni is paused: {leader} goes on without its store", None)
    else:
        forecast = Forecast(ForecastKind.DEMOTION, f"{leader} steps down", store.ends_mono)
    steps = f"{REPAIR_STORE}. Nothing fails over and nothing can be switched over until it is back."
    return _cause(
        cluster, "store", Health.WARN, STORE_SILENT, steps, forecast=forecast, since=store.since_mono,
        title="repair the store by hand",
    )  # fmt: skip


def _own_fault(cluster: ClusterVerdict) -> list[NodeVerdict]:
    """The nodes whose state is a fault of their own: without a primary, no standby can be near it."""
    nodes = list(cluster.nodes.values())
    return [n for n in nodes if n.facts.postgres is None or n.state == "replay paused"] if cluster.unled else nodes


def _promotion(cluster: ClusterVerdict, lost: LostPrimary) -> Forecast:
    """What Patroni does about a leader that is silent: its lock ends `ttl` after it was last renewed."""
    managers = [m for n, m in cluster.facts.managers.items() if m is not None and n != lost.node]
    nothing = ForecastKind.NOTHING
    if not cluster.facts.managers:
        return Forecast(nothing, "Nothing happens by itself: no manager watches this cluster", None)
    if not managers:
        return Forecast(nothing, "No other Patroni answers: nothing is known to happen by itself", None)
    if cluster.paused:
        return Forecast(nothing, "Patroni is paused: nothing happens by itself", None)
    if cluster.store is not None or any(m.failsafe for m in managers):
        return Forecast(nothing, f"{STORE_SILENT}: nothing is promoted until it is back", None)
    own = cluster.facts.nodes[lost.node].patroni
    if own is not None and manager_role(own.role, own.state) == PRIMARY and not any(m.unlocked for m in managers):
        return Forecast(
            nothing, f"Patroni {lost.node} still holds the leader lock: no promotion until it gives up", None
        )
    candidates = _candidates(cluster)
    if not candidates:
        return Forecast(nothing, "No standby could be promoted", None)
    message = f"Patroni promotes {' or '.join(candidates)}"
    if lost.since_mono is None:
        return Forecast(ForecastKind.PROMOTION, message, None)
    ttl = max((m.ttl if m.ttl is not None else TTL) for m in managers)
    loop = max((m.loop_wait if m.loop_wait is not None else LOOP_WAIT) for m in managers)
    return Forecast(ForecastKind.PROMOTION, message, lost.since_mono + ttl + loop)


def _elected(cluster: ClusterVerdict, lost: str) -> str:
    """Another node that its own manager reports as the leader already, while its server still says standby."""
    for name, manager in cluster.facts.managers.items():
        if manager is not None and name != lost and manager_role(manager.role, manager.state) == PRIMARY:
            return name
    return ""


def _candidates(cluster: ClusterVerdict) -> list[str]:
    """Standbys that answer, with a manager that runs; where commits are synchronous only those in sync."""
    able = [
        n.node
        for n in cluster.facts.nodes.values()
        if n.postgres is not None
        and n.postgres.in_recovery
        and (n.patroni_seen is None or (n.patroni is not None and bool(manager_role(n.patroni.role, n.patroni.state))))
    ]
    synced = {m.name for r in _readings(cluster) for m in r.members if m.role in IN_SYNC}
    return [n for n in able if n in synced] if synced else able


def _readings(cluster: ClusterVerdict) -> list[PatroniReading]:
    return [m for m in cluster.facts.managers.values() if m is not None]


def _blocked(cluster: ClusterVerdict) -> Cause:
    assert cluster.guarantee is not None
    steps = (
        "By hand: bring a synchronous standby back; or let commits go on without one: set synchronous_standby_names to"
        " '' (patronictl edit-config), knowing that a failover may then lose commits."
    )
    return _cause(cluster, "blocked", Health.FAIL, f"commits wait, {cluster.guarantee.detail}", steps)


def _node(cluster: ClusterVerdict, node: NodeVerdict) -> Cause | None:
    """What is wrong with one standby; nothing when it has no fault of its own."""
    name, facts, reading = node.facts.node, node.facts, node.facts.postgres
    leader = cluster.leader if cluster.leader in cluster.nodes else "the primary"
    if node.health is Health.PASS:
        return None
    if reading is None:
        return _silent(cluster, node)
    if not reading.in_recovery:
        full = sessions_finding(reading)
        return _silent(cluster, node) if full is None and facts.failing else _sessions(cluster, name, full)
    if node.state == "replay paused":
        size = f", {megabytes(node.lag.unapplied)} not applied" if node.lag.unapplied is not None else ""
        steps = f"By hand on {name}: select pg_wal_replay_resume()"
        return _cause(cluster, f"{name}/paused", Health.WARN, f"replay on {name} is paused{size}", steps)
    if node.lag.replay is None and cluster.facts.primary is not None:
        least = f", at least {megabytes(node.lag.at_least)} behind" if node.lag.at_least else ""
        diverged = reading.timeline != cluster.timeline and reading.receiver_state != "streaming"
        steps = (
            f"By hand: check the network way from {name} to {leader} and both PostgreSQL logs. It connects again by"
            f" itself as soon as it can; if its log says that WAL is missing or its timeline diverged:"
            f" patronictl reinit {cluster.facts.scope} {name}"
        )
        forecast = Forecast(ForecastKind.RETRY, f"{name} tries again by itself", None)
        note = f", timeline {reading.timeline}" if diverged else ""
        what = f"standby {name} gets no WAL from {leader}{least}{note}"
        return _cause(cluster, f"{name}/cut", Health.WARN, what, steps, forecast=forecast)
    if node.lag.replay is not None and node.lag.replay > cluster.facts.entry.rpo:
        steps = f"By hand: look at the load of {name} and of the network between {name} and {leader}."
        what = f"standby {name} is {megabytes(node.lag.replay)} behind {leader}"
        return _cause(cluster, f"{name}/behind", Health.WARN, what, steps)
    if facts.patroni_seen is not None and facts.patroni is None:
        # Alone its manager is a source of its own; together with its server it is the node.
        return _silent(cluster, node) if facts.failing else None
    return _cause(cluster, f"{name}/other", node.health, f"{name}: {node.message}", "See Replication for the details.")


def _sessions(cluster: ClusterVerdict, name: str, full: NodeFinding | None) -> Cause | None:
    """New clients of the primary are refused, or nearly so."""
    if full is None:
        return None
    steps = (
        f"By hand on {name}, in a session that is open or as superuser: pg_stat_activity tells whose they are. End what"
        " should not be open (pg_terminate_backend), or restart the pool that keeps it open."
    )
    return _cause(cluster, f"{name}/sessions", full[0], f"{name}: {full[1]}", steps)


def _silent(cluster: ClusterVerdict, node: NodeVerdict) -> Cause:
    name, manager, seen = node.facts.node, node.facts.patroni, node.facts.postgres_seen
    since = seen.mono if seen is not None else None
    if manager is not None and manager_role(manager.role, manager.state):
        what = f"PostgreSQL {name} does not answer here, its Patroni says {manager.state}"
        steps = f"By hand: ask {name} from another host; the way from this engine to it may be what is broken."
    elif name == cluster.leader:
        what = f"primary {name} does not answer here"
        steps = f"By hand: ask {name} from another host; the way from this engine to it may be what is broken."
    else:
        what = f"{name} does not answer" if node.facts.patroni_seen is None else f"{name} is down or cut off"
        steps = (
            f"By hand on {name}: is the host up? Start its Patroni (systemctl start patroni); it starts PostgreSQL and"
            " follows the leader by itself."
        )
    return _cause(cluster, f"{name}/silent", Health.WARN, what, steps, since=since)


def _otherwise(cluster: ClusterVerdict) -> Cause:
    """A verdict without one of the known causes: its own words."""
    what = "the witnesses do not agree on the leader" if cluster.leader == CONFLICT else cluster.message
    return _cause(cluster, "other", cluster.health, what, "See Replication for the votes and the ages of its sources.")
