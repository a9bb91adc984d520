"""What is wrong with the lead of a database cluster: who does not lead any more, what Patroni will do by itself and
when, what a person does."""

from __future__ import annotations

from collections.abc import Sequence

from state.api.views.causes import Cause, Forecast, ForecastKind, NextStep
from state.health import Health
from state.verdicts.cause_parts import able_standbys, change, database_cause, heirs, manager_readings
from state.verdicts.cluster import NodeFacts
from state.verdicts.evidence import turned_away
from state.verdicts.hand_words import WAITS_FOR, start_words
from state.verdicts.lost_primary import LostPrimary
from state.verdicts.replication import ClusterVerdict
from state.verdicts.store import LOOP_WAIT, TTL, StoreSilence, stepped_down
from state.verdicts.upstream import upstream_finding
from state.verdicts.votes import PRIMARY, manager_role
from state.world.readings import PatroniReading

FAILOVER = "Key f opens the card of a failover, which needs proof that the old primary is fenced (n on Replication)."
STORE_SILENT = "Patroni's store (DCS) does not answer"
REPAIR_STORE = "By hand: repair Patroni's store (its own status, its quorum, its disks, the network to it)"


def lost_cause(cluster: ClusterVerdict, lost: LostPrimary) -> Cause:
    """The primary that does not answer: proven, or only by our own connection."""
    if not lost.proven:
        who = _still_reach(cluster, lost.node)
        alone = f"{who} still reach it, so the way from this engine to it may be what is broken."
        nobody = f"Nothing else tells whether it lives. {start_words(cluster.facts)}"
        steps = f"By hand: ask {lost.node} from another host. {alone if who else nobody}"
        seen = cluster.facts.nodes[lost.node].postgres_seen
        what = f"primary {lost.node} {_not_there(cluster, lost.node)} here"
        if seen is not None and turned_away(seen):
            what, steps = what.removesuffix(" here"), f"By hand on {lost.node}: {WAITS_FOR}"
        return database_cause(cluster, "unread", Health.UNKNOWN, what, steps, since=lost.since_mono)
    promoted = _elected(cluster, lost.node)
    if promoted:
        what = f"primary {lost.node} does not answer, {promoted} is being promoted"
        forecast = Forecast(ForecastKind.PROMOTION, f"Patroni has chosen {promoted}", None)
    else:
        what, forecast = f"primary {lost.node} {_not_there(cluster, lost.node)}", _promotion(cluster, lost)
    steps = _instead(cluster, lost.node, forecast)
    since = _first(lost.since_mono, cluster.facts.past.unled_mono)
    return database_cause(
        cluster, "no-writer", Health.FAIL, what, steps, forecast=forecast, since=since, key="f",
        title="failover by hand", change=_failover(cluster, steps),
    )  # fmt: skip


def _failover(cluster: ClusterVerdict, steps: str) -> NextStep | None:
    """The card of a failover to the best candidate; None where nobody could lead, or nothing is promoted before the
    store is back."""
    if cluster.store is not None or not able_standbys(cluster):
        return None
    return change("database.failover", {"database": cluster.facts.name}, "f", "failover", steps)


def _not_there(cluster: ClusterVerdict, node: str) -> str:
    seen = cluster.facts.nodes[node].postgres_seen
    said = turned_away(seen) if seen is not None else ""
    return f"runs and takes no sessions: {said}" if said else "does not answer"


def _still_reach(cluster: ClusterVerdict, node: str) -> str:
    """Who else tells that the node lives, in words; empty when nobody does."""
    facts, found = cluster.facts, []
    if facts.writes_go_to is not None and node in facts.writes_go_to:
        found.append("its balancers")
    own = facts.nodes[node].patroni
    if own is not None and manager_role(own.role, own.state):
        found.append("its Patroni")
    if any(n.postgres is not None and n.postgres.receiver_state == "streaming" for n in facts.nodes.values()):
        found.append("streams of its standbys (open for up to wal_receiver_timeout)")
    said = " and ".join(found)
    return said[:1].upper() + said[1:]


def _first(*instants: float | None) -> float | None:
    return min((each for each in instants if each is not None), default=None)


def _instead(cluster: ClusterVerdict, node: str, forecast: Forecast) -> str:
    """What a person does about a primary that is gone; a failover only where somebody could take over."""
    repair = f"repair {node}: resume or restart its PostgreSQL"
    if cluster.store is not None:
        return f"{FAILOVER} {forecast.message}. {REPAIR_STORE}; then {repair}."
    candidates = able_standbys(cluster) if cluster.facts.managers else []
    if not candidates:
        return f"{FAILOVER} {forecast.message}. By hand: {repair}."
    ask = f"patronictl failover {cluster.facts.scope} --candidate {candidates[0]}"
    by_hand = "If that does not happen, by hand" if forecast.kind is ForecastKind.PROMOTION else "By hand"
    return (
        f"{FAILOVER} {forecast.message}. {by_hand} on a node of the cluster: {ask}"
        f" (it may lose what {node} wrote last). Afterwards {repair}."
    )


def unled_cause(cluster: ClusterVerdict) -> Cause:
    """Servers answer and none accepts writes: whether anybody will, and what a person does."""
    failed = cluster.health is Health.FAIL
    what = "no node accepts writes" if failed else "no node is known to accept writes"
    nothing, since = ForecastKind.NOTHING, cluster.facts.past.unled_mono
    if cluster.store is not None:
        what = f"{what}, {STORE_SILENT}"
        since = _first(since, cluster.store.since_mono)
        forecast = Forecast(nothing, "Nothing is promoted until the store is back", None)
        steps = f"{REPAIR_STORE}. Patroni then elects a leader by itself."
        title = "repair the store by hand"
    else:
        candidates, chosen = able_standbys(cluster), heirs(cluster)
        who = " or ".join(chosen)
        if cluster.promoting:
            return _promoting(cluster, cluster.promoting, what, since)
        holder = stepped_down(cluster.facts)
        if cluster.paused:
            forecast = Forecast(nothing, "Patroni is paused: nothing happens by itself", None)
        elif trouble := store_trouble(cluster):
            return _stuck(cluster, f"{what}, {trouble}", since)
        elif cluster.facts.managers and chosen:
            message, due = f"Patroni promotes {who}", _lock_ends(cluster) if holder else None
            message += f" when the lock of {holder} ends" if holder else ""
            forecast = Forecast(ForecastKind.PROMOTION, message, due)
        else:
            forecast = Forecast(nothing, "No standby could be promoted", None)
        ask = (
            f"patronictl failover {cluster.facts.scope} --candidate {candidates[0]}"
            if candidates and cluster.facts.managers
            else "read the logs of its nodes, each says why it does not lead"
        )
        wait = "If that does not happen, by hand" if forecast.kind is ForecastKind.PROMOTION else "By hand"
        steps, title = f"{FAILOVER} {forecast.message}. {wait}: {ask}.", "by hand"
    health = Health.FAIL if failed else Health.UNKNOWN
    return database_cause(
        cluster, "no-writer", health, what, steps, forecast=forecast, since=since, title=title,
        change=_failover(cluster, steps),
    )  # fmt: skip


def store_trouble(cluster: ClusterVerdict) -> str:
    """What keeps the store from its work, as a sentence part; empty where nothing is known.

    A lock that outlives its time at a node that has stepped down means that nobody can write there: Raft without a
    majority still answers reads.
    """
    if cluster.store is not None:
        return STORE_SILENT
    holder = stepped_down(cluster.facts) if cluster.unled else ""
    ends = _lock_ends(cluster)
    if not holder or cluster.paused or ends is None or cluster.facts.now_mono <= ends:
        return ""
    return f"Patroni's store (DCS) may take no writes: {holder} has stepped down and its lock does not end"


def _lock_ends(cluster: ClusterVerdict) -> float | None:
    """When the lock of a leader that has stepped down ends at the latest; None = not known."""
    managers, since = manager_readings(cluster), cluster.facts.past.unled_mono
    return since + _lock_time(managers) if managers and since is not None else None


def _stuck(cluster: ClusterVerdict, what: str, since: float | None) -> Cause:
    """Nobody can take the lock, and nobody has it."""
    forecast = Forecast(ForecastKind.NOTHING, "Nothing is promoted until the store takes writes", None)
    steps = (
        f"{REPAIR_STORE}: has it a majority? Patroni then elects a leader by itself. If the store is well, the logs of"
        " Patroni on its nodes say why none leads."
    )
    return database_cause(
        cluster, "no-writer", Health.FAIL if cluster.health is Health.FAIL else Health.UNKNOWN, what, steps,
        forecast=forecast, since=since, title="repair the store by hand",
    )  # fmt: skip


def _promoting(cluster: ClusterVerdict, name: str, what: str, since: float | None) -> Cause:
    """It holds the lock and does not write yet: a second order would only disturb it."""
    forecast = Forecast(ForecastKind.PROMOTION, f"Patroni has chosen {name}", None)
    steps = (
        f"{forecast.message}; order nothing else meanwhile. If it does not open, by hand on {name}: the"
        " logs of Patroni and PostgreSQL say what the promotion waits for (recovery, a hook, a standby.signal)."
    )
    said = f"{what}, {name} holds the leader lock and is still in recovery"
    return database_cause(
        cluster, "no-writer", Health.FAIL, said, steps, forecast=forecast, since=since, title="read its log"
    )


def outside_cause(cluster: ClusterVerdict) -> Cause:
    """Patroni names a leader that the estate does not have. It is not read, so it may well accept writes."""
    name, who, writers = cluster.facts.name, cluster.facts.outsider, [n.node for n in cluster.facts.writers]
    what = f"{who} leads according to Patroni, and is not in the estate"
    if writers:
        both = " and ".join(writers)
        what = f"{both} accepts writes, and {what}"
        steps = (
            f"This may be a split brain: ask {who} by hand (select pg_is_in_recovery()). If it accepts writes, stop"
            " Patroni and PostgreSQL on the node that does not hold the leader lock, and keep its data. Add"
            f" {who} to the nodes of {name} in the estate."
        )
    else:
        steps = (
            f"Add {who} to the nodes of {name} in the estate: writes probably go on there, and nothing of it is read."
            " No failover is needed for this."
        )
    return database_cause(cluster, "outside", Health.UNKNOWN, what, steps, title="add it to the estate")


def standby_cluster_causes(cluster: ClusterVerdict) -> list[Cause]:
    """By its own manager it leads a standby cluster: that nobody writes is its purpose. Only silence is a fault."""
    leader = cluster.facts.standby_leader
    health, what = upstream_finding(cluster.facts)
    if health is Health.PASS:
        return []
    steps = (
        f"By hand: ask the primary outside and the network to it. On {leader}, pg_stat_wal_receiver and the log of"
        " PostgreSQL name it. A promotion here while it lives makes a split brain."
    )
    return [database_cause(cluster, "standby-cluster", health, what, steps, title="ask its primary")]


def agent_cause(cluster: ClusterVerdict, node: NodeFacts) -> Cause:
    """A primary without its manager goes on writing while another node is promoted: the lock ends by itself."""
    name, seen = node.node, node.patroni_seen
    since = seen.mono if seen is not None else None
    forecast = _without_agent(cluster, name, since)
    what = f"Patroni of primary {name} does not answer, its PostgreSQL accepts writes"
    if forecast.kind is ForecastKind.PROMOTION:
        steps = (
            f"{forecast.message}, and {name} would still accept writes: a split brain. By hand on {name}, before that:"
            " start its Patroni (systemctl start patroni), or stop its PostgreSQL (pg_ctl stop -m fast)."
            " If its Patroni runs and only this engine does not reach it, nothing is promoted."
        )
    else:
        steps = (
            f"{forecast.message}. By hand on {name}: does its Patroni run? If not, start it (systemctl start patroni);"
            f" without it {name} neither steps down nor fails over."
        )
    return database_cause(
        cluster, f"{name}/agent", Health.WARN, what, steps, forecast=forecast, since=since, title="start its Patroni"
    )


def _without_agent(cluster: ClusterVerdict, name: str, since: float | None) -> Forecast:
    """What follows from a primary's silent manager: if it is dead, its lock ends `ttl` after it was last renewed."""
    managers, nothing = manager_readings(cluster), ForecastKind.NOTHING
    if not managers:
        return Forecast(nothing, "No other Patroni answers: nothing is known to happen by itself", None)
    if cluster.paused:
        return Forecast(nothing, "Patroni is paused: nothing happens by itself", None)
    if cluster.store is not None or any(m.failsafe for m in managers):
        return Forecast(nothing, f"{STORE_SILENT}: nothing is promoted until it is back", None)
    promoted = heirs(cluster)
    if not promoted:
        return Forecast(nothing, "No standby could be promoted", None)
    message = f"Patroni promotes {' or '.join(promoted)}"
    if any(m.unlocked for m in managers) or since is None:
        return Forecast(ForecastKind.PROMOTION, message, None)
    due = since + _lock_time(managers)
    if cluster.facts.now_mono > due and _holds_lock(name, managers):
        held = (
            f"{name} still holds the leader lock by the other nodes, so its Patroni runs and is not reached from here"
        )
        return Forecast(nothing, held, None)
    return Forecast(ForecastKind.PROMOTION, message, due)


def _holds_lock(name: str, managers: Sequence[PatroniReading]) -> bool:
    """Whether every manager that answers names this node as the leader."""
    return all(any(m.name == name and manager_role(m.role, "running") == PRIMARY for m in r.members) for r in managers)


def _lock_time(managers: Sequence[PatroniReading]) -> float:
    """Seconds from the last word of a leader's manager until another node is promoted, at most."""
    ttl = max((m.ttl if m.ttl is not None else TTL) for m in managers)
    return ttl + max((m.loop_wait if m.loop_wait is not None else LOOP_WAIT) for m in managers)


def store_cause(cluster: ClusterVerdict, store: StoreSilence) -> Cause:
    """The primary still leads: until its lock has ended, unless Patroni is told to keep it."""
    leader, nothing = cluster.leader, ForecastKind.NOTHING
    if any(m.failsafe for m in manager_readings(cluster)):
        forecast = Forecast(nothing, f"Failsafe mode: {leader} leads while it reaches every member", None)
    elif cluster.paused:
        forecast = Forecast(nothing, f"Patroni is paused: {leader} goes on without its store", None)
    else:
        forecast = Forecast(ForecastKind.DEMOTION, f"{leader} steps down", store.ends_mono)
    steps = f"{REPAIR_STORE}. Nothing fails over and nothing can be switched over until it is back."
    return database_cause(
        cluster, "store", Health.WARN, STORE_SILENT, steps, forecast=forecast, since=store.since_mono,
        title="repair the store by hand",
    )  # fmt: skip


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
    if kept := _keeps_lock(cluster, lost.node, managers):
        return Forecast(nothing, kept, None)
    candidates = heirs(cluster)
    if not candidates:
        return Forecast(nothing, "No standby could be promoted", None)
    message = f"Patroni promotes {' or '.join(candidates)}"
    if lost.since_mono is None:
        return Forecast(ForecastKind.PROMOTION, message, None)
    return Forecast(ForecastKind.PROMOTION, message, lost.since_mono + _lock_time(managers))


def _keeps_lock(cluster: ClusterVerdict, name: str, managers: Sequence[PatroniReading]) -> str:
    """Why the lock of a leader whose server does not answer does not end: its Patroni lives and renews it."""
    own = cluster.facts.nodes[name].patroni
    if own is None:
        return ""
    if manager_role(own.role, own.state) == PRIMARY and not any(m.unlocked for m in managers):
        return f"Patroni {name} still holds the leader lock: no promotion until it gives up"
    if own.start_timeout and _holds_lock(name, managers):
        limit = f"up to {own.start_timeout:.0f} s a start (primary_start_timeout)"
        return f"Patroni of {name} starts its PostgreSQL again and keeps the leader lock meanwhile, {limit}"
    return ""


def _elected(cluster: ClusterVerdict, lost: str) -> str:
    """Another node that its own manager reports as the leader already, while its server still says standby."""
    for name, manager in cluster.facts.managers.items():
        if manager is not None and name != lost and manager_role(manager.role, manager.state) == PRIMARY:
            return name
    return ""
