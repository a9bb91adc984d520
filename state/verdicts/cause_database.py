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
from state.verdicts.node import DCS_OLD, NodeVerdict
from state.verdicts.replication import ClusterVerdict
from state.verdicts.votes import CONFLICT, PRIMARY, manager_role
from state.world.readings import PatroniReading

TTL = 30.0
LOOP_WAIT = 10.0
"""Patroni's defaults, in seconds, where its configuration was not read."""
IN_SYNC = ("sync_standby", "quorum_standby")
NO_FAILOVER = "This version has no failover."


def database_causes(cluster: ClusterVerdict) -> list[Cause]:
    """Everything that is wrong with one cluster itself, the worst first."""
    if cluster.split is not None:
        return [_split(cluster)]
    if cluster.lost is not None:
        return [_lost(cluster, cluster.lost)]
    found: list[Cause] = []
    if cluster.guarantee is not None and cluster.guarantee.kind == BLOCKED:
        found.append(_blocked(cluster))
    found += [each for node in cluster.nodes.values() if (each := _node(cluster, node)) is not None]
    if cluster.paused:
        steps = "By hand, when the maintenance is over: patronictl resume"
        found.append(_cause(cluster, "paused", Health.WARN, "Patroni is paused, nothing fails over by itself", steps))
    if cluster.risk.health is Health.FAIL and not found and cluster.risk.lost_bytes is not None:
        lost = f"a failover now could lose {megabytes(cluster.risk.lost_bytes)} of {megabytes(cluster.risk.target)}"
        found.append(_cause(cluster, "risk", Health.WARN, lost, "Wait until a standby has caught up; see Replication."))
    if not found and cluster.health is not Health.PASS:
        found.append(_otherwise(cluster))
    return sorted(found, key=lambda each: -rank(each.health))


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
    name = cluster.facts.name
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
    candidates = " or ".join(_candidates(cluster))
    ask = f"patronictl failover {name} --candidate {candidates.split(' or ')[0] if candidates else 'NODE'}"
    steps = (
        f"{NO_FAILOVER} {forecast.message}. If that does not happen, by hand on a node of the cluster: {ask}"
        f" (it may lose what {lost.node} wrote last). Afterwards repair {lost.node}: resume or restart its PostgreSQL."
    )
    return _cause(
        cluster, "no-writer", Health.FAIL, what, steps, forecast=forecast, since=lost.since_mono, key="f",
        title="failover by hand",
    )  # fmt: skip


def _promotion(cluster: ClusterVerdict, lost: LostPrimary) -> Forecast:
    """What Patroni does about a leader that is silent: its lock ends `ttl` after it was last renewed."""
    managers = [m for n, m in cluster.facts.managers.items() if m is not None and n != lost.node]
    nothing = ForecastKind.NOTHING
    if not cluster.facts.managers:
        return Forecast(nothing, "Nothing happens by itself: no manager watches this cluster", None)
    if not managers:
        return Forecast(nothing, "No other Patroni answers: nothing may happen by itself", None)
    if cluster.paused:
        return Forecast(nothing, "Patroni is paused: nothing happens by itself", None)
    if any(m.failsafe for m in managers) or all(m.dcs_age is not None and m.dcs_age > DCS_OLD for m in managers):
        return Forecast(nothing, "Patroni has no contact to its DCS: nothing happens by itself", None)
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
        return None
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
            f" patronictl reinit {cluster.facts.name} {name}"
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
        return None  # its manager is a source of its own
    return _cause(cluster, f"{name}/other", node.health, f"{name}: {node.message}", "See Replication for the details.")


def _silent(cluster: ClusterVerdict, node: NodeVerdict) -> Cause:
    name, manager, seen = node.facts.node, node.facts.patroni, node.facts.postgres_seen
    since = seen.mono if seen is not None else None
    if manager is not None and manager_role(manager.role, manager.state):
        what = f"PostgreSQL {name} does not answer here, its Patroni says {manager.state}"
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
