"""Why a server could not lead by what it and its primary report, and what its promotion would bring with it."""

from __future__ import annotations

from state.errors import Refusal
from state.units import megabytes, short_duration
from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.forks import same_branch
from state.verdicts.lag import ReplicationLag
from state.verdicts.managed import Managed
from state.verdicts.twins import twin_fact
from state.world.readings import PostgresReading

ADMINISTRATOR = "database administrator"
REJOIN = "Save what only it has, then let it rejoin (rewind or reinitialise)"


def server_obstacles(
    facts: ClusterFacts, node: NodeFacts, lag: ReplicationLag, word: Managed, least: int
) -> list[Refusal]:
    """Every reason of the server; none where it does not answer, which is another."""
    reading, name = node.postgres, node.node
    if reading is None:
        return []
    if not reading.in_recovery:
        return [Refusal("not-the-leader", f"{name} accepts writes already", "Choose another node")]
    if name in facts.twins:
        fact = f"{twin_fact(name, facts.twins[name])}: which of them would be promoted is not known"
        return [Refusal("own-server", fact, f"Give {name} the address of its own server in the estate", ADMINISTRATOR)]
    if reading.held is None:
        return [Refusal("candidate-answers", f"{name} reports no position", "Choose another node")]
    primary = facts.primary.postgres if facts.primary is not None else None
    found = _history(facts, name, reading, primary, lag)
    if any(each.rule == "same-system" for each in found):
        return found  # a distance between two systems means nothing
    short = below_primary(reading, primary)
    if short and is_paused(reading):
        fact = f"{name} cannot be promoted, its replay has stopped: {', '.join(short)}"
        found.append(Refusal("settings", fact, f"Raise them on {name} and restart it", ADMINISTRATOR))
    if primary is not None and not found and reading.privileged and not (streams(reading) or node.by_archive):
        fact = f"{name} does not stream: lag {lag.message}"
        found.append(Refusal("streaming", fact, "Repair its replication first", ADMINISTRATOR))
    return found + _too_far(name, lag, least, word, known=primary is not None and lag.receive is not None)


def _history(
    facts: ClusterFacts, name: str, reading: PostgresReading, primary: PostgresReading | None, lag: ReplicationLag
) -> list[Refusal]:
    """Another system, another timeline, or WAL that the primary lacks."""
    system = facts.system_id
    if system and reading.system_id != system:
        fact = f"{name} belongs to another database system, {reading.system_id}, not {system}"
        return [Refusal("same-system", fact, f"Reinitialise {name}", ADMINISTRATOR)]
    if not system:
        fact = f"{name} may belong to another database system: those that answer differ, and no primary says which"
        return [Refusal("same-system", fact, "Bring the primary back", ADMINISTRATOR)]
    if lag.ahead and primary is not None:
        fact = f"{name} holds {megabytes(lag.ahead)} of WAL that {primary.node} lacks"
        return [Refusal("same-history", fact, "Decide first which of the two histories is kept", ADMINISTRATOR)]
    if facts.outsider and primary is None:
        fact = f"{facts.outsider} leads according to Patroni and is not read: what {name} lacks is not known"
        return [Refusal("known-leader", fact, f"Add {facts.outsider} to the estate", ADMINISTRATOR)]
    if len(facts.writers) > 1:
        who = " and ".join(n.node for n in facts.writers)
        return [Refusal("single-primary", f"{who} accept writes: {name} follows one of them", "Fence one", "commander")]
    timeline, stands = facts.lead_timeline, facts.stands_on(name)
    if timeline is not None and stands != timeline:
        of = "the leader" if primary is not None else "the last leader"
        fact = f"{name} is on timeline {stands or 'unknown'}, {of} on {timeline}"
        return [Refusal("same-timeline", fact, REJOIN, ADMINISTRATOR)]
    if primary is not None and same_branch(reading, primary) is False:
        fact = f"{name} is on another timeline of the number {timeline} than {primary.node}"
        return [Refusal("same-timeline", fact, REJOIN, ADMINISTRATOR)]
    return []


def _too_far(name: str, lag: ReplicationLag, least: int, word: Managed, *, known: bool) -> list[Refusal]:
    """The manager compares with the limit what the leader wrote last, as far as it knows it."""
    if lag.ahead or not word.readings or least <= word.maximum_lag:
        return []
    far = megabytes(least) if known else f"at least {megabytes(least)}"
    fact = f"{name} is {far} behind, Patroni allows {megabytes(word.maximum_lag)} (maximum_lag_on_failover)"
    return [Refusal("lag-limit", fact, "Wait until it has caught up, or choose another node")]


def streams(reading: PostgresReading) -> bool:
    """Whether it receives WAL from another server now."""
    return reading.receiver_state == "streaming"


def is_paused(reading: PostgresReading) -> bool:
    """Whether it applies nothing, or is about to stop."""
    return reading.replay_pause not in (None, "", "not paused")


def applies_late(reading: PostgresReading) -> bool:
    """Whether it has more than it shows: its replay is paused, or delayed by its settings."""
    return is_paused(reading) or (reading.settings is not None and reading.settings.apply_delay > 0)


def server_unknowns(facts: ClusterFacts, node: NodeFacts) -> tuple[str, ...]:
    """What its server does not tell this engine."""
    reading = node.postgres
    if reading is None or reading.privileged or facts.primary is None:
        return ()
    return (f"whether {node.node} streams (grant pg_monitor)",)


def below_primary(standby: PostgresReading, primary: PostgresReading | None) -> tuple[str, ...]:
    """Settings that are lower on a standby than on its primary: replay stops where the primary's change is applied."""
    if primary is None or primary.settings is None or standby.settings is None:
        return ()
    own, theirs = standby.settings.limits, primary.settings.limits
    return tuple(f"{n} is {own[n]}, on {primary.node} {theirs[n]}" for n in theirs if n in own and own[n] < theirs[n])


def notes_of(facts: ClusterFacts, node: NodeFacts, word: Managed) -> tuple[str, ...]:
    """What its promotion would bring with it."""
    reading, name, found = node.postgres, node.node, []
    if reading is not None and reading.settings is not None and reading.settings.apply_delay:
        delay = short_duration(reading.settings.apply_delay)
        found.append(f"{name} applies {delay} late by its settings: a promotion applies all that it received at once")
    elif node.by_archive:
        found.append(f"{name} takes WAL from the archive only: it lacks what is not archived")
    elif reading is not None and is_paused(reading) and not below_primary(reading, _primary(facts)):
        found.append(f"replay on {name} is paused: a promotion applies all that it received at once")
    if word.any_tag(name, "pending_restart") or (node.patroni is not None and node.patroni.pending_restart):
        found.append(f"{name} waits for a restart: it would lead with its old settings")
    timeline = facts.lead_timeline
    unchecked = word.readings and not any(m.check_timeline for m in word.readings)
    if reading is not None and unchecked and None is not timeline != facts.stands_on(name):
        found.append(f"Patroni could still choose {name} on its other timeline: check_timeline is off")
    found += _no_archive(name, reading, _primary(facts))
    for other in facts.nodes:
        if other != name and word.source(other) == name:
            found.append(f"{other} streams from {name} by its tag replicatefrom")
    return tuple(found)


def _no_archive(name: str, reading: PostgresReading | None, primary: PostgresReading | None) -> list[str]:
    """Of a node that would not go on with its primary's archive: archive_mode changes only with a restart."""
    theirs = primary.archiver if primary is not None else None
    own = reading.archiver if reading is not None else None
    if own is None or theirs is None or theirs.mode == "off" or not theirs.configured:
        return []
    if own.mode != "off" and own.configured:
        return []
    why = "archive_mode is off" if own.mode == "off" else "it has no command for it"
    return [f"{name} archives nothing ({why}): what it writes as the leader cannot be restored"]


def _primary(facts: ClusterFacts) -> PostgresReading | None:
    return facts.primary.postgres if facts.primary is not None else None
