"""What the readings of a cluster have shown while this process read them: who wrote last, and who held the lock."""

from __future__ import annotations

import time
from dataclasses import replace

from state.ports.database import LeaderLease, SeenWriter
from state.world.readings import PatroniReading, PostgresReading

LOOPS = 3
"""Loops of a manager: with a longer gap between two readings of a free lock, somebody may have had it meanwhile."""
LEAST_GAP = 10.0
MOST_SLOTS = 500
"""Names of slots that are remembered of one server."""
TOLD_FOR = 86_400.0
"""Seconds for which it is told what a slot has skipped: whether its consumer was copied anew nobody can see."""


class LastWriter:
    """The last good reading of the node that accepted writes last.

    Of two writers it is the one on the higher timeline, as long as it is read to write: of a split brain whose second
    writer is fenced, or follows again, the first one wrote last, whatever the numbers.
    """

    def __init__(self) -> None:
        self._reading: PostgresReading | None = None
        self._mono = self._at = 0.0
        self._gap: float | None = None
        self._follows = False

    def saw(self, reading: PostgresReading) -> None:
        """One reading of a server."""
        last, now = self._reading, time.monotonic()
        if reading.in_recovery or reading.write_lsn is None:
            self._follows |= last is not None and last.node == reading.node and reading.in_recovery
            return
        lower = last is not None and (reading.timeline or 0) < (last.timeline or 0)
        if lower and not self._follows and now - self._mono < LEAST_GAP:
            return  # an old primary that is still there is not the one that wrote last
        if last is not None and (last.node, last.timeline) != (reading.node, reading.timeline):
            self._gap = None if lower else now - self._mono  # a fenced second writer: this one wrote all the time
        self._reading, self._mono, self._at, self._follows = reading, now, time.time(), False

    def told(self) -> SeenWriter | None:
        """The reading with its age now."""
        if self._reading is None:
            return None
        return SeenWriter(self._reading, time.monotonic() - self._mono, self._at, self._gap)


class SlotsSeen:
    """Names of the slots that each node has or has had: where nothing was ever seen of a name, it is a mistake. And how
    far the consumer of each logical slot was on the last node that accepted writes and had it."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, None]] = {}
        self._there: dict[str, frozenset[str]] = {}
        self._confirmed: dict[str, int] = {}
        self._skipped: dict[tuple[str, str], tuple[tuple[int, int], float]] = {}

    def saw(self, reading: PostgresReading) -> PostgresReading:
        """One reading of a server, and the same with what slots that were made anew have skipped."""
        self._name(reading)
        logical = [each for each in reading.slots if each.slot_type == "logical" and not each.temporary]
        before = self._there.get(reading.node)
        self._there[reading.node] = frozenset(each.name for each in logical)
        if reading.in_recovery:
            return reading
        for slot in logical:
            key, had, now = (reading.node, slot.name), self._confirmed.get(slot.name), slot.confirmed_lsn
            if before is not None and slot.name not in before:
                self._skipped.pop(key, None)
                if had is not None and now is not None and now > had:
                    self._skipped[key] = (had, now), time.monotonic()
            if now is not None:
                self._confirmed[slot.name] = now
        self._forget(reading.node)
        skipped = {name: gap for (node, name), (gap, _) in self._skipped.items() if node == reading.node}
        if not skipped:
            return reading
        return replace(reading, slots=tuple(replace(each, skipped=skipped.get(each.name)) for each in reading.slots))

    def _forget(self, node: str) -> None:
        """What was told for a day, and slots that are gone; of the names of slots only so many."""
        now, there = time.monotonic(), self._there[node]
        self._skipped = {
            key: told
            for key, told in self._skipped.items()
            if now - told[1] < TOLD_FOR and (key[0] != node or key[1] in there)
        }
        while len(self._confirmed) > max(MOST_SLOTS, len(there)):
            del self._confirmed[next(iter(self._confirmed))]

    def _name(self, reading: PostgresReading) -> None:
        mine = self._seen.setdefault(reading.node, {})
        for slot in reading.slots:
            mine.pop(slot.name, None)  # the ones that are there now are forgotten last
            mine[slot.name] = None
        while len(mine) > max(MOST_SLOTS, len(reading.slots)):
            del mine[next(iter(mine))]

    def told(self, node: str) -> tuple[str, ...]:
        """The names of a node."""
        return tuple(self._seen.get(node, ()))


class HighestTimeline:
    """The timeline of one server. Without a receiver a standby's is that of its control file, which is behind what it
    has applied, perhaps by hours; it never goes back while one process is in recovery."""

    def __init__(self) -> None:
        self._process: object = None
        self._highest = 0

    def of(self, process: object, timeline: int | None, *, in_recovery: bool) -> int | None:
        """Of a standby the highest timeline that this process was read to be on."""
        if process != self._process:
            self._process, self._highest = process, 0
        self._highest = max(self._highest, timeline or 0)
        return (self._highest or None) if in_recovery else timeline


class LeaseWatch:
    """The leader lock, as members told it that were in contact with their store.

    A member's word that nobody has the lock counts only when its last contact has just moved on between two readings
    (`dcs_age` 0): one that does not reach its store says the same.
    """

    def __init__(self) -> None:
        self._holder = ""
        self._ttl: float | None = None
        self._gap = LEAST_GAP
        self._free: tuple[float, float] | None = None
        self._binding = False

    def saw(self, reading: PatroniReading) -> None:
        """One reading of a member."""
        now = time.monotonic()
        self._ttl = reading.ttl if reading.ttl is not None else self._ttl
        self._gap = max(LEAST_GAP, LOOPS * (reading.loop_wait or 0.0))
        holders = [member.name for member in reading.members if member.role == "leader"]
        if not reading.unlocked:
            self._free = None
            if holders:
                self._holder = holders[0]
                self._binding = not reading.paused and not reading.failsafe
        elif reading.dcs_age == 0.0:
            self._binding = self._binding and not reading.paused and not reading.failsafe
            since, last = self._free or (now, now)
            self._free = (since, now) if now - last <= self._gap else (now, now)

    def told(self) -> LeaderLease:
        """The lock now."""
        if self._free is None or time.monotonic() - self._free[1] > self._gap:
            return LeaderLease(self._holder, None, self._ttl, self._binding)
        return LeaderLease(self._holder, self._free[1] - self._free[0], self._ttl, self._binding)
