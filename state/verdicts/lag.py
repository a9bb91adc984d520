"""How far a standby is behind, in bytes against the primary's own position. Unknown is never 0."""

from __future__ import annotations

import math
from dataclasses import dataclass

from state.units import megabytes
from state.verdicts.forks import same_branch, wrote_past
from state.verdicts.senders import UNSENT, sender_of
from state.world.readings import PostgresReading

UNSEEN = "whether it streams is not seen"
"""Of a server whose role of this engine may not read the streams."""


@dataclass(frozen=True, slots=True)
class ReplicationLag:
    """Distances in bytes; None = unknown, with `why`.

    `replay` is what is not applied yet, `receive` what would be lost with the primary, `at_least` the part that is
    certain when the total is not, `unapplied` what was received but not applied, `ahead` what the standby holds and the
    primary lacks. `seconds` is how old the newest applied commit is by the primary's own clock, 0 when none is missing:
    without traffic that age grows and means nothing.
    """

    replay: int | None = None
    receive: int | None = None
    at_least: int | None = None
    unapplied: int | None = None
    seconds: float | None = None
    why: str = ""
    ahead: int = 0

    @property
    def message(self) -> str:
        """For people: a size, or `unknown, at least 13.2 MB: not streaming`."""
        if self.replay is not None:
            return megabytes(self.replay)
        least = f", at least {megabytes(self.at_least)}" if self.at_least else ""
        return f"unknown{least}: {self.why}"


def lsn(position: int) -> str:
    """A WAL position as PostgreSQL writes it: `0/5000148`."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def standby_lag(
    standby: PostgresReading,
    primary: PostgresReading | None,
    *,
    ahead: int = 0,
    node: str = "",
    by_archive: bool = False,
) -> ReplicationLag:
    """The distance of a standby to a primary, both read just now (primary None = its position is not known).

    `ahead` are bytes that it is proven to hold past the primary; `node` is how the primary may know it.
    `by_archive`: it is not meant to stream.
    """
    received, replayed = standby.held, standby.replay_lsn
    if received is None or replayed is None:
        return ReplicationLag(why="the standby reports no position")
    unapplied = received - replayed
    if primary is None or primary.write_lsn is None:
        return ReplicationLag(unapplied=unapplied, why="the primary's position is not known")
    if standby.system_id != primary.system_id:
        return ReplicationLag(why=f"it belongs to another database system, {standby.system_id}")
    if ahead or same_branch(standby, primary) is False:
        apart = f"its timeline {standby.timeline} is not that of {primary.node}: the two were promoted apart"
        why = f"it holds {megabytes(ahead)} of WAL that {primary.node} lacks" if ahead else apart
        return ReplicationLag(unapplied=unapplied, why=why, ahead=ahead)
    held = max(received, _flushed(primary, node or standby.node, standby))
    written = max(primary.write_lsn, held)  # the standby may have been read after the primary
    behind = written - replayed
    if standby.privileged and standby.receiver_state != "streaming" and _older(standby, primary):
        # Without a receiver the timeline comes from the control file, which is behind replay: it proves no divergence.
        why = f"{_apart(standby)}, last known {_timelines(standby, primary)}"
        return ReplicationLag(at_least=behind, unapplied=unapplied, why=why)
    if standby.timeline != primary.timeline:
        least = None if _diverged(standby, primary) else behind
        return ReplicationLag(at_least=least, unapplied=unapplied, why=_timeline_message(standby, primary))
    if standby.receiver_state != "streaming" and not by_archive:
        return ReplicationLag(at_least=behind, unapplied=unapplied, why=_apart(standby))
    return ReplicationLag(behind, written - held, behind, unapplied, _seconds(standby, primary, behind))


def _older(standby: PostgresReading, primary: PostgresReading) -> bool:
    return (standby.timeline or 0) < (primary.timeline or 0)


def _apart(standby: PostgresReading) -> str:
    if standby.receiver_state == UNSENT:
        return "it says that it streams, and no server sends to it"
    return "not streaming" if standby.privileged else UNSEEN


def _flushed(primary: PostgresReading, node: str, standby: PostgresReading) -> int:
    """How far the standby had confirmed to the primary when the primary was read: the two at one instant."""
    sender = sender_of(primary, node, standby)
    return (sender.flush_lsn or 0) if sender is not None and sender.state in ("streaming", "catchup") else 0


def _seconds(standby: PostgresReading, primary: PostgresReading, behind: int) -> float | None:
    if behind == 0 or (standby.next_xid is not None and standby.next_xid == primary.next_xid):
        return 0.0
    if primary.clock is None or standby.replayed_at is None:
        return None
    age = primary.clock - standby.replayed_at
    return max(0.0, age) if math.isfinite(age) else None


def _diverged(standby: PostgresReading, primary: PostgresReading) -> bool:
    return bool(wrote_past(standby, primary))


def _timeline_message(standby: PostgresReading, primary: PostgresReading) -> str:
    past = wrote_past(standby, primary)
    message = _timelines(standby, primary)
    return f"{message}, diverged by {megabytes(past)}" if past else message


def _timelines(standby: PostgresReading, primary: PostgresReading) -> str:
    return f"timeline {standby.timeline or 'unknown'}, primary on {primary.timeline or 'unknown'}"
