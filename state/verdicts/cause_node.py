"""What is wrong with one node of a database cluster, and what a person does about it without losing data."""

from __future__ import annotations

from state.api.views.causes import Cause, Forecast, ForecastKind
from state.errors import Trouble
from state.health import Health
from state.text import cut_middle
from state.units import megabytes
from state.verdicts.cause_parts import database_cause
from state.verdicts.eligible_server import below_primary
from state.verdicts.evidence import SHOWN, turned_away
from state.verdicts.forks import wrote_past
from state.verdicts.hand_words import WAITS_FOR, rebuild_words, start_words
from state.verdicts.managed import managed
from state.verdicts.node import AT_TARGET, NodeFinding, NodeVerdict, sessions_finding
from state.verdicts.replication import ClusterVerdict
from state.verdicts.votes import manager_role
from state.world.readings import PatroniReading, PostgresReading

TRY = "recovery check --connect tries them."


def node_cause(cluster: ClusterVerdict, node: NodeVerdict) -> Cause | None:
    """What is wrong with one standby; nothing when it has no fault of its own."""
    name, facts, reading = node.facts.node, node.facts, node.facts.postgres
    leader = cluster.leader if cluster.leader in cluster.nodes else "the primary"
    if node.health is Health.PASS or (reading is not None and reading.in_recovery and not reading.privileged):
        return None  # of the missing right of this engine the cluster tells once
    if reading is None or not reading.in_recovery or name in cluster.facts.twins:
        return _away(cluster, node) if reading is None else _writer(cluster, node, reading)
    if node.state == "replay paused":
        size = f", {megabytes(node.lag.unapplied)} not applied" if node.lag.unapplied is not None else ""
        steps = f"By hand on {name}: select pg_wal_replay_resume()"
        primary = cluster.facts.primary
        lower = below_primary(reading, primary.postgres if primary is not None else None)
        if lower:
            steps = f"Do not resume it, that stops the server. By hand on {name}: raise {', '.join(lower)}; restart it."
            size = f", {', '.join(lower)}{size}"
        if reading.settings is not None and reading.settings.has_target:
            steps = f"Do not resume it: {AT_TARGET}. By hand on {name}: unset recovery_target_*; restart it."
        return database_cause(cluster, f"{name}/paused", Health.WARN, f"replay on {name} is paused{size}", steps)
    if node.lag.replay is None and cluster.facts.primary is not None:
        least = f", at least {megabytes(node.lag.at_least)} behind" if node.lag.at_least else ""
        diverged = reading.timeline != cluster.timeline and reading.receiver_state != "streaming"
        if diverged and kept_data(cluster, node):
            return _kept(cluster, node)
        steps = (
            f"By hand: check the network way from {name} to {leader} and both PostgreSQL logs. It connects again by"
            f" itself as soon as it can; if its log says that WAL is missing: {rebuild_words(cluster.facts, name)}."
            " If it says that its timeline diverged, save a copy of its data directory first: a new copy discards what"
            " only it has."
        )
        forecast = Forecast(ForecastKind.RETRY, f"{name} tries again by itself", None)
        note = f", timeline {reading.timeline}" if diverged else ""
        what = f"standby {name} gets no WAL from {leader}{least}{note}"
        return database_cause(cluster, f"{name}/cut", Health.WARN, what, steps, forecast=forecast)
    if node.lag.replay is not None and node.lag.replay > cluster.facts.entry.rpo:
        steps = f"By hand: look at the load of {name} and of the network between {name} and {leader}."
        what = f"standby {name} is {megabytes(node.lag.replay)} behind {leader}"
        return database_cause(cluster, f"{name}/behind", Health.WARN, what, steps)
    if facts.patroni_seen is not None and facts.patroni is None:
        # Alone its manager is a source of its own; together with its server it is the node.
        return _silent(cluster, node) if facts.failing else None
    return database_cause(
        cluster, f"{name}/other", node.health, f"{name}: {node.message}", "See Replication for the details."
    )


def _twin(cluster: ClusterVerdict, name: str, first: str) -> Cause:
    steps = f"Correct the addresses of {first} and {name} in the nodes of {cluster.facts.name} in the estate."
    what = f"{name} and {first} are one server by its own word"
    return database_cause(cluster, f"{name}/twin", Health.UNKNOWN, what, steps, title="correct the estate")


def kept_data(cluster: ClusterVerdict, node: NodeVerdict) -> bool:
    """Whether a node holds commits that exist nowhere else, as far as is known: it took part in a split brain that is
    not cleared, or its WAL goes past the point where the timeline of the primary began."""
    return node.facts.node in cluster.facts.past.split or bool(_past_fork(cluster, node))


def _wrote(cluster: ClusterVerdict, node: NodeVerdict) -> bool:
    """Whether it accepted writes when it was last read, while another node leads now."""
    last = node.facts.last_postgres
    wrote = node.facts.node in cluster.facts.past.wrote if last is None else not last.in_recovery
    return wrote and bool(cluster.facts.writers)


def _past_fork(cluster: ClusterVerdict, node: NodeVerdict) -> int | None:
    """Bytes that it is known to have past the point where the primary's timeline began."""
    last, primary = node.facts.last_postgres, cluster.facts.primary
    if last is None or primary is None or primary.postgres is None:
        return None
    return wrote_past(last, primary.postgres)


def _kept(cluster: ClusterVerdict, node: NodeVerdict) -> Cause:
    """To start it would rewind it: nothing is lost only while it is left as it is, or after its data are saved."""
    name, seen, past = node.facts.node, node.facts.postgres_seen, _past_fork(cluster, node)
    leader = cluster.leader if cluster.leader in cluster.nodes else "another node"
    split = name in cluster.facts.past.split
    how = f"accepted writes beside {leader}" if split else f"accepted writes before {leader} led"
    size = f", {megabytes(past)} past the fork" if past else ""
    agent, again = ("Patroni or ", "reinit") if cluster.facts.managers else ("", "rebuild")
    what = f"{name} {how}{size}; it may hold commits that exist nowhere else"
    steps = (
        f"Do not start {agent}PostgreSQL on {name}, and do not {again} it: that discards what only it has. By hand:"
        f" copy its data directory and compare the copy with {leader}, where no client reaches it. After that:"
        f" j on Replication rejoins it; or {rebuild_words(cluster.facts, name)}"
        f"{', or start its Patroni, which rewinds it' if agent else ''}."
    )
    return database_cause(
        cluster, f"{name}/kept", Health.WARN, what, steps, since=seen.mono if seen is not None else None,
        title="save its data by hand",
    )  # fmt: skip


def _away(cluster: ClusterVerdict, node: NodeVerdict) -> Cause:
    return _kept(cluster, node) if kept_data(cluster, node) else _silent(cluster, node)


def _writer(cluster: ClusterVerdict, node: NodeVerdict, reading: PostgresReading) -> Cause | None:
    if first := cluster.facts.twins.get(node.facts.node):
        return _twin(cluster, node.facts.node, first)
    full = sessions_finding(reading)
    silent = full is None and node.facts.failing
    return _silent(cluster, node) if silent else _sessions(cluster, node.facts.node, full)


def _sessions(cluster: ClusterVerdict, name: str, full: NodeFinding | None) -> Cause | None:
    """New clients of the primary are refused, or nearly so."""
    if full is None:
        return None
    steps = (
        f"By hand on {name}, in a session that is open or as superuser: pg_stat_activity tells whose they are. End what"
        " should not be open (pg_terminate_backend), or restart the pool that keeps it open."
    )
    return database_cause(cluster, f"{name}/sessions", full[0], f"{name}: {full[1]}", steps)


def _silent(cluster: ClusterVerdict, node: NodeVerdict) -> Cause:
    name, manager, seen = node.facts.node, node.facts.patroni, node.facts.postgres_seen
    since = seen.mono if seen is not None else None
    if seen is not None and seen.error is not None and seen.error.trouble is Trouble.DENIED:
        said = cut_middle(seen.error.message.removeprefix(f"PostgreSQL {name}: "), SHOWN)
        what = f"PostgreSQL {name} refuses this engine: {said}"
        steps = f"By hand: are the password, the rights and the pg_hba.conf for this engine at {name} right? {TRY}"
        return database_cause(cluster, f"{name}/refused", Health.WARN, what, steps, since=since)
    if seen is not None and (busy := turned_away(seen)):
        what = f"PostgreSQL {name} runs and takes no sessions: {busy}"
        steps = f"By hand on {name}: {WAITS_FOR}"
    elif seen is not None and seen.error is not None and seen.error.trouble is Trouble.ERROR:
        said = cut_middle(seen.error.message.removeprefix(f"PostgreSQL {name}: "), SHOWN)
        what = f"PostgreSQL {name} was reached and gives no reading: {said}"
        steps = f"By hand: mend at {name} what it says. {TRY}"
    elif manager is not None and manager_role(manager.role, manager.state):
        what = f"PostgreSQL {name} does not answer here, its Patroni says {manager.state}"
        steps = f"By hand: ask {name} from another host; the way from this engine to it may be what is broken."
    elif name == cluster.leader:
        what = f"primary {name} does not answer here"
        steps = f"By hand: ask {name} from another host; the way from this engine to it may be what is broken."
    else:
        what = f"{name} does not answer" if node.facts.patroni_seen is None else f"{name} is down or cut off"
        start = start_words(cluster.facts)
        if _nowhere(cluster, node):
            what = f"{name} was never reached and is no member of its cluster"
            start = f"If it was renamed or removed, correct the nodes of {cluster.facts.name} in the estate. {start}"
        if manager is not None:
            what = f"PostgreSQL {name} does not run, its Patroni says {manager.state}"
            start = _kept_down(manager)
        if _wrote(cluster, node):
            start = (
                f"It accepted writes before {cluster.leader} led, and its last commits may exist nowhere else: where"
                f" they matter, copy its data directory first, because following discards them. {start}"
            )
        steps = f"By hand on {name}: {'' if manager is not None else 'is the host up? '}{start}"
    return database_cause(cluster, f"{name}/silent", Health.WARN, what, steps, since=since)


def _nowhere(cluster: ClusterVerdict, node: NodeVerdict) -> bool:
    """Whether nothing but the estate knows of it: never read, and in no list of the managers that list members."""
    word, facts = managed(cluster.facts), node.facts
    read = [s for s in (facts.postgres_seen, facts.patroni_seen) if s is not None and s.value is not None]
    return bool(word.rows) and not word.lists(facts.node) and not read


def _kept_down(manager: PatroniReading) -> str:
    """Of a node whose manager runs and its server does not: who starts it, and where the reason is."""
    if manager.paused:
        return (
            "Patroni is paused and starts nothing: read PostgreSQL's log, then start the server with Patroni"
            " (patronictl restart), or end the pause when the maintenance is over (patronictl resume)."
        )
    return (
        "Patroni's log says why it does not start PostgreSQL; it tries again by itself. Read PostgreSQL's log as well."
    )
