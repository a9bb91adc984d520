"""A standby cluster: who leads it, and whether the primary outside that it follows still sends."""

from __future__ import annotations

from dataclasses import replace

from state.health import Health
from state.units import utc
from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.evidence import no_data_reason
from state.verdicts.lag import ReplicationLag
from state.world.readings import PostgresReading

QUIET = 45.0
"""An idle upstream sends at least every half of wal_receiver_timeout, 30 s by default."""
QUIET_ARCHIVE = 330.0
"""From an archive something comes with each file, every archive_timeout, commonly up to five minutes."""
ALARM = 60.0
"""Seconds of silence after which it is an alarm."""


def upstream_finding(facts: ClusterFacts) -> tuple[Health, str]:
    """Of a standby cluster: healthy while its leader hears from outside; silence is unknown first, then an alarm."""
    leader = facts.nodes[facts.standby_leader]
    reading, named = leader.postgres, f"standby cluster, led by {leader.node}"
    if reading is None:
        return Health.UNKNOWN, f"{named}: {no_data_reason(leader.postgres_seen)}"
    quiet, receiver = reading.upstream_quiet, reading.receiver
    at = f" ({receiver.host})" if receiver is not None and receiver.host else ""
    streams = reading.receiver_state == "streaming"
    restores = reading.settings is not None and reading.settings.restores
    if streams and (quiet is None or quiet <= QUIET):
        return Health.PASS, f"{named}, follows a primary outside{at}"
    if not streams and restores and quiet is not None and quiet <= QUIET_ARCHIVE:
        return Health.PASS, f"{named}, follows a primary outside by its archive"
    since = _since(leader, quiet)
    if quiet is None or quiet < ALARM:
        return Health.UNKNOWN, f"{named}: nothing comes from its upstream{at}{since}"
    return Health.FAIL, f"{named}: its upstream{at} is silent{since}"


def _since(leader: NodeFacts, quiet: float | None) -> str:
    seen = leader.postgres_seen
    known = quiet is not None and seen is not None and seen.at is not None
    return f" since {utc(round(seen.at - quiet))}" if known and seen and seen.at and quiet is not None else ""


def reference(facts: ClusterFacts) -> PostgresReading | None:
    """The server against which standbys are measured: the primary; in a standby cluster its leader, as far as it is."""
    if facts.primary is not None:
        return facts.primary.postgres
    leader = facts.nodes.get(facts.standby_leader)
    reading = leader.postgres if leader is not None else None
    return None if reading is None else replace(reading, write_lsn=reading.held)


def upstream_lag(reading: PostgresReading) -> ReplicationLag:
    """How far the leader of a standby cluster is behind its upstream, by the upstream's last message."""
    held, applied = reading.held, reading.replay_lsn
    upstream = reading.receiver.upstream_lsn if reading.receiver is not None else None
    if held is None or applied is None:
        return ReplicationLag(why="it reports no position")
    if reading.receiver_state != "streaming" or upstream is None:
        return ReplicationLag(unapplied=held - applied, why="it hears nothing from its upstream")
    end = max(upstream, held)  # what came since is newer than the message
    seconds = 0.0 if end == applied else None
    return ReplicationLag(end - applied, end - held, end - applied, held - applied, seconds)
