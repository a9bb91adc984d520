"""What every change of the leader has in common: what is lost by it, who could lead, and what else it means."""

from __future__ import annotations

import asyncio

from state.api.card import CardWarning, Fact, FactKind, WarningKind
from state.changes.sight import Sight
from state.errors import ReadFailure
from state.health import Health
from state.ports.database import CanTellFork, CanTellPromotion, Database, PromotionFacts
from state.units import ago, counted, megabytes, utc
from state.verdicts.cause_database import database_causes
from state.verdicts.failover import IGNORED, worth
from state.verdicts.lag import lsn
from state.verdicts.replication import ClusterVerdict
from state.world.readings import PostgresReading

NAMED = 5
"""Databases that are named where there are many."""


async def written_by(database: Database, node: str, deadline: float) -> int | None:
    """How far a node has written; None when it does not tell."""
    try:
        return (await database.read_node(node, deadline=deadline)).write_lsn
    except ReadFailure:
        return None


async def measured_loss(
    database: Database, written: int | None, leader: str, timeline: int | None, deadline: float
) -> tuple[int | None, str]:
    """Bytes that the old leader was read to have written past the fork; None when one of the two is unknown."""
    fork: int | None = None
    if isinstance(database, CanTellFork) and timeline is not None:
        try:
            fork = await database.fork(leader, timeline, deadline=deadline)
        except ReadFailure:
            fork = None
    if fork is None or written is None:
        return None, "data loss: not measured, the fork or the old leader's last position is not known"
    lost = max(0, written - fork)
    return lost, f"data loss: {megabytes(lost)}; last seen written {lsn(written)}, forked at {lsn(fork)}"


def ended_past(sight: Sight, candidate: str) -> int | None:
    """How many transactions with a number of their own had ended on the old leader, when it was last read, of which a
    candidate has not got the end: commits, and those that were rolled back. None where one of the two did not tell."""
    last, server = sight.last.reading if sight.last is not None else None, sight.servers.get(candidate)
    if last is None or server is None or last.next_xid is None or server.next_xid is None:
        return None
    return max(0, last.next_xid - server.next_xid)


def transactions_words(ended: int | None) -> str:
    """The same as evidence."""
    if ended is None:
        return "transactions lost: not measured, the old leader or the candidate was not read"
    return f"transactions lost: at most {ended} of those that had ended when the old leader was last read"


def gap(sight: Sight) -> tuple[float | None, str]:
    """For how long no node was read to accept writes, and the same as evidence."""
    if sight.last is None or sight.last.gap is None:
        return None, "downtime: not measured, nobody read the old leader"
    return round(sight.last.gap, 1), f"downtime: no node was read to accept writes for {sight.last.gap:.1f} s"


def by_itself(cluster: ClusterVerdict, sight: Sight) -> tuple[str, ...]:
    """What happens if nobody acts, and by when on the clock: for a card, which does not count down."""
    if cluster.facts.writers:
        return ()
    causes = database_causes(cluster)
    forecast = next((each.forecast for each in causes if each.forecast is not None), None)
    if forecast is None:
        return ()
    last = sight.last
    if forecast.by_mono is None or last is None:
        return (f"by itself: {forecast.message}",)
    due = last.at + last.age + forecast.by_mono
    return (f"by itself: {forecast.message}, by {utc(due)} at the latest",)


def candidates(cluster: ClusterVerdict, *, lossy: bool = False) -> tuple[Fact, ...]:
    """The ranking, for the card; `lossy`: of a failover, which a limit of the manager does not hold up."""
    rows = [each for each in cluster.eligible.values() if each.node != cluster.leader]
    ignored = IGNORED if lossy else frozenset[str]()
    return tuple(
        Fact(
            FactKind.CANDIDATE,
            each.node,
            worth(cluster, each),
            health=None if all(o.rule in ignored for o in each.obstacles) else Health.WARN,
            name=str(place),
        )
        for place, each in enumerate(rows, 1)
    )


async def means(
    database: Database, sight: Sight, leader: str, candidate: str, deadline: float
) -> tuple[CardWarning, ...]:
    """What a new leader means besides WAL: logical slots, unlogged tables, prepared transactions. `leader` is empty
    where none is known to answer."""
    if not candidate or not isinstance(database, CanTellPromotion):
        return ()
    new, old = await asyncio.gather(
        _facts(database, candidate, deadline), _facts(database, leader, deadline) if leader else _nothing()
    )
    last = sight.last.reading if sight.last is not None else None
    former = sight.servers.get(leader) or last
    said = [*_of_candidate(candidate, new), *_of_slots(candidate, sight.servers.get(candidate), former)]
    return tuple(CardWarning(kind, database.name, text) for kind, text in [*said, *_of_leader(leader, old)])


def _of_candidate(candidate: str, new: PromotionFacts | None) -> list[tuple[WarningKind, str]]:
    if new is None or new.unlogged is None:
        return [(WarningKind.UNKNOWN, f"which tables a promotion of {candidate} empties")]
    found = []
    if new.unlogged:
        said = f"{counted(new.unlogged, 'unlogged table')} will be empty on {candidate}"
        found.append((WarningKind.EFFECT, said))
    if new.unread:
        named = ", ".join(new.unread[:NAMED]) + (
            f" and {len(new.unread) - NAMED} more" if len(new.unread) > NAMED else ""
        )
        said = f"which tables a promotion of {candidate} empties in databases that this engine may not read: {named}"
        found.append((WarningKind.UNKNOWN, said))
    return found


def _of_slots(
    candidate: str, new: PostgresReading | None, old: PostgresReading | None
) -> list[tuple[WarningKind, str]]:
    """Logical slots that the candidate does not have, or has in a form that a promotion drops or that is lost already.
    Of an old leader that does not answer, those that it had when it was last read."""
    if old is None or new is None:
        return [(WarningKind.UNKNOWN, "which logical slots are lost, and so which consumers lose or repeat changes")]
    there = {slot.name: slot for slot in new.slots}
    logical = [slot for slot in old.slots if slot.slot_type == "logical" and not slot.temporary and not slot.lost]
    missing = [slot.name for slot in logical if slot.name not in there]
    copies = [(slot, there[slot.name]) for slot in logical if slot.name in there]
    lost = [own.name for _, own in copies if own.lost]
    unready = [
        own.name for slot, own in copies if not own.lost and (own.temporary or (slot.failover and own.synced is False))
    ]
    found = []
    if missing:
        said = f"logical slots that {candidate} does not have: {', '.join(missing)}; their consumers lose changes"
        found.append((WarningKind.EFFECT, said))
    if lost:
        said = f"logical slots that are lost on {candidate} already: {', '.join(lost)}; their consumers cannot go on"
        found.append((WarningKind.EFFECT, said))
    if unready:
        said = f"logical slots that are not ready on {candidate} and dropped at promotion: {', '.join(unready)}"
        found.append((WarningKind.EFFECT, said))
    return found


def _of_leader(leader: str, old: PromotionFacts | None) -> list[tuple[WarningKind, str]]:
    if old is None:
        return [(WarningKind.UNKNOWN, f"prepared transactions of {leader or 'the old leader'}, which lock afterwards")]
    found = []
    if old.prepared:
        said = (
            f"{counted(old.prepared, 'prepared transaction')} of {leader}: each holds its locks on the new leader too"
        )
        found.append((WarningKind.EFFECT, said))
    return found


async def _facts(database: CanTellPromotion, node: str, deadline: float) -> PromotionFacts | None:
    try:
        return await database.promotion(node, deadline=deadline)
    except ReadFailure:
        return None


async def _nothing() -> None:
    return None


def last_seen(sight: Sight) -> str:
    """Since when the last writer is not read, for a card; empty when it is."""
    last = sight.last
    if last is None:
        return "the last writer was not read by this engine"
    if sight.servers.get(last.reading.node) is not None:
        return ""
    return (
        f"what {last.reading.node} wrote since it was last read, {ago(last.age)} ago, is not known to be anywhere else"
    )
