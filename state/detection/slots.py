"""The logical slots of each writer, kept in the journal: a failover while no engine ran tells nothing of what it lost.

A server does not say when a slot was made, nor which ones another server had. What is known here is what was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from state.journal.events import WORDS, Event, Observation, Recorded, event
from state.journal.needed import About
from state.journal.projection import FoldSetting, Projection
from state.units import counted
from state.verdicts.cluster import ClusterFacts
from state.verdicts.past import SLOTS_TOLD_FOR, SlotPast
from state.world.readings import PostgresReading

EVERY = 3600.0
"""Seconds after which positions that have moved are recorded anew."""
LEAST, CALM = 10.0, 600.0
"""Seconds between two entries of one database, but for another writer: of the first `OFTEN` within an hour, and of
more, where something makes and drops slots all the time."""
OFTEN = 3
MOST = 500
"""Slots of one database that are kept."""
OWN_COPY = "_sync_"
"""Within the names of slots that PostgreSQL makes while a subscription copies a table."""


@dataclass(frozen=True, slots=True)
class SeenSlot:
    """A logical slot of a writer, and how far its consumer had confirmed (bytes, None = not told)."""

    name: str
    lsn: int | None


@event("slots.seen")
@dataclass(frozen=True, slots=True)
class LogicalSlotsSeen(Observation):
    """The logical slots of the node that accepts writes, on its timeline; `copies` are those of the others, as
    `node/slot`; `missed` those that it lacks or that were made anew since another node wrote."""

    message: str = field(metadata=WORDS)
    database: str
    node: str
    timeline: int | None
    slots: tuple[SeenSlot, ...]
    copies: tuple[str, ...] = ()
    missed: tuple[SlotPast, ...] = ()

    @property
    def place(self) -> tuple[str, int | None]:
        """The writer and its timeline."""
        return self.node, self.timeline

    @property
    def names(self) -> frozenset[str]:
        """The slots by name."""
        return frozenset(each.name for each in self.slots)


class SlotMemory:
    """Follows the writers, and hands what they lack to the judge."""

    def __init__(self, setting: FoldSetting) -> None:
        self._setting = setting
        self._last: dict[str, tuple[LogicalSlotsSeen, float]] = {}
        self._times: dict[str, list[float]] = {}
        self._newest: dict[str, LogicalSlotsSeen] = {}

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry; of an erased one nothing is known."""
        body = recorded.body
        if isinstance(body, LogicalSlotsSeen) and not recorded.erased:
            self._last[body.database] = body, self._setting.mono(recorded)
            self._newest[body.database] = body
            self._setting.judge.missed(body.database, body.missed)

    def notice(self, now_mono: float) -> list[Event]:
        """Each writer with other slots than those on record, and from time to time how far they are."""
        found: list[Event] = []
        for name, cluster in self._setting.judge.at(now_mono).clusters.items():
            last, at = self._last.get(name, (None, float("-inf")))
            newest = self._newest.get(name)  # what is not worth an entry counts too while this process runs
            seen = _seen(cluster.facts, newest, self._setting.clock.wall()) if cluster.split is None else None
            lately = [each for each in self._times.get(name, ()) if now_mono - each < EVERY]
            least = LEAST if len(lately) < OFTEN else CALM
            if seen is None:
                continue
            self._newest[name] = seen
            if not _differs(seen, last, now_mono - at, least):
                continue
            self._last[name], self._times[name] = (seen, now_mono), [*lately, now_mono]
            found.append(Event(seen, self._setting.actor))
        return found


def _differs(seen: LogicalSlotsSeen, last: LogicalSlotsSeen | None, age: float, least: float) -> bool:
    """Whether it is worth an entry, `age` seconds after the last one."""
    if last is None:
        return bool(seen.slots)
    if seen.place != last.place:
        return bool(seen.slots or last.slots or last.missed)
    if (seen.names, seen.copies, seen.missed) != (last.names, last.copies, last.missed):
        return age >= least
    return seen.slots != last.slots and age >= EVERY


def _seen(facts: ClusterFacts, last: LogicalSlotsSeen | None, wall: float) -> LogicalSlotsSeen | None:
    """What the one writer has now; None without one."""
    primary = facts.primary
    if primary is None or primary.postgres is None:
        return None
    slots = tuple(sorted(_logical(primary.postgres), key=lambda each: each.name))[:MOST]
    copies: list[str] = []
    for node in facts.nodes.values():
        if node is primary:
            continue
        former = [] if last is None else [each for each in last.copies if each.startswith(f"{node.node}/")]
        own = None if node.postgres is None else [f"{node.node}/{each.name}" for each in _logical(node.postgres)]
        copies += former if own is None else own
    made = LogicalSlotsSeen(
        "", facts.name, primary.node, primary.postgres.timeline, slots, tuple(sorted(copies))[:MOST]
    )
    made = replace(made, missed=tuple(_missed(made, last, wall)))
    lacks = f", {counted(len(made.missed), 'slot')} lost or made anew" if made.missed else ""
    return replace(made, message=f"{primary.node} of {facts.name} has {counted(len(slots), 'logical slot')}{lacks}")


def _logical(reading: PostgresReading) -> Iterator[SeenSlot]:
    for slot in reading.slots:
        if slot.slot_type == "logical" and not slot.temporary and OWN_COPY not in slot.name:
            yield SeenSlot(slot.name, slot.confirmed_lsn)


def _missed(now: LogicalSlotsSeen, last: LogicalSlotsSeen | None, wall: float) -> Iterator[SlotPast]:
    """What was told before and still holds, and what the new writer lacks of the former one's slots. One that goes
    while the same node writes was dropped there."""
    if last is None:
        return
    places = {each.name: each.lsn for each in now.slots}
    again = {each.name for each in last.slots} if now.place != last.place else set[str]()
    for told in last.missed:
        if wall - told.at >= SLOTS_TOLD_FOR or told.name in again:
            continue
        if told.anew is None and told.name not in places:
            yield told
        elif told.anew is None:
            yield from _anew(told, places[told.name])
        elif told.name in places:
            yield told
    for slot in last.slots if again else ():
        past = SlotPast(slot.name, last.node, slot.lsn, wall)
        if slot.name not in places:
            yield past
        elif now.node != last.node and f"{now.node}/{slot.name}" not in last.copies:
            yield from _anew(past, places[slot.name])


def _anew(past: SlotPast, lsn: int | None) -> Iterator[SlotPast]:
    """It is there again: what its consumer had not confirmed up to where it begins was never sent."""
    if past.lsn is not None and lsn is not None and lsn > past.lsn:
        yield replace(past, anew=lsn)


def _subjects(recorded: Recorded) -> Iterator[About]:
    """The newest of each database."""
    if isinstance(recorded.body, LogicalSlotsSeen):
        yield About(("slots", recorded.body.database))


SLOTS = Projection(
    SlotMemory, SlotMemory, (LogicalSlotsSeen,), SlotMemory.fold, notice=SlotMemory.notice, subjects=_subjects
)
