"""Follows a value of many subjects and says once when it has changed for good: debounced, bounded, known after a
restart.

A subject whose value comes and goes is not told each time: after `FREE` changes within `WINDOW` it must stay as it is
for longer and longer before the next change counts, and what happened meanwhile is counted in that change.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

NORMAL = ""
"""The value of a subject with which all is well."""
WINDOW = 3600.0
"""Seconds for which a change counts against its subject."""
FREE = 6
"""Changes of one subject within the window that are told as they come."""
FIRST_CALM, LONGEST_CALM = 60.0, 600.0
"""Seconds a subject must stay as it is after `FREE` changes; doubled with every two further ones, up to the longest."""
CROWD, CROWDED = 20, 60.0
"""After so many entries of one family within ten minutes, changes are collected for so many seconds into one."""
TEN_MINUTES = 600.0
REMEMBERED = 64
"""Changes of one subject, and entries of one family, that are remembered."""
IDLE = 1_000
"""Subjects of one family that are normal and are remembered for how often they changed; of more, those that changed
last. A storm of alerts has names that never come again."""


def calm(changes: Iterable[float], now: float) -> float:
    """Seconds that a subject with these changes (monotonic instants) must stay as it is before the next one counts."""
    recent = sum(now - at <= WINDOW for at in changes)
    if recent < FREE:
        return 0.0
    return min(FIRST_CALM * 2.0 ** ((recent - FREE) // 2), LONGEST_CALM)


def remembered() -> deque[float]:
    """An empty memory of changes, as long as `calm` can use."""
    return deque(maxlen=REMEMBERED)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: how long a value must be steady to count when it is not normal (`worse`) and when it is normal again
    (`better`), and how long changes of other subjects are waited for, to tell them together (`gather`)."""

    worse: float
    better: float
    gather: float = 0.0


@dataclass(frozen=True, slots=True)
class Shift:
    """One subject whose value has changed: what was told before, what is now, since when (monotonic), how many seconds
    the former value lasted (None = not known), and how often it came and went meanwhile."""

    subject: str
    before: str
    now: str
    since: float
    lasted: float | None
    more: int


class Told(NamedTuple):
    """One subject of an entry with its value, and how many seconds before the entry that value began."""

    subject: str
    value: str
    before: float = 0.0


@dataclass(slots=True)
class _Track:
    told: str = NORMAL
    told_since: float | None = None
    seen: str | None = None
    since: float = 0.0
    moves: int = 0
    changes: tuple[float, ...] = ()


class Follower:
    """The subjects of one family: what was told about each, what is seen, and when that counts."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._tracks: dict[str, _Track] = {}
        self._entries = remembered()
        self._due_since: float | None = None
        self._due: set[str] = set()
        self._missed = 0

    def told(self, subject: str) -> str | None:
        """What is known to be told about a subject; None when nothing is."""
        track = self._tracks.get(subject)
        return None if track is None or track.told_since is None else track.told

    @property
    def open(self) -> Sequence[str]:
        """The subjects whose value is not the normal one, as told or as seen."""
        return [
            name for name, track in self._tracks.items() if track.told != NORMAL or track.seen not in (None, NORMAL)
        ]

    def tell(self, subject: str, value: str, since: float) -> None:
        """A value that needs no entry, or that one has: it is what later values are compared with."""
        track = self._tracks.setdefault(subject, _Track())
        track.told, track.told_since, track.moves = value, since, 0

    def recorded(self, values: Iterable[Told], at: float) -> None:
        """One durable entry about these subjects and their values, which began some time before it."""
        self._entries.append(at)
        for subject, value, before in values:
            self.tell(subject, value, at - before)
            track = self._tracks[subject]
            track.changes = (*track.changes, at)[-REMEMBERED:]

    def see(self, subject: str, value: str | None, now: float) -> None:
        """The value of a subject at this instant; None = not known, so nothing begins or ends."""
        track = self._tracks.get(subject)
        if track is None:
            if value in (None, NORMAL):
                return
            track = self._tracks[subject] = _Track()
        if value == track.seen:
            return
        if value is not None and value != (track.told if track.seen is None else track.seen):
            track.moves += 1
        track.seen, track.since = value, now

    def shifts(self, now: float) -> list[Shift]:
        """The changes that count now; each is returned once."""
        due = {name: track for name, track in self._tracks.items() if self._counts(track, now)}
        self._missed += len(self._due - due.keys())
        self._due = set(due)
        if not due:
            self._due_since = self._due_since if self._missed else None
            self._forget(now)
            return []
        if self._due_since is None:
            self._due_since = now
        crowded = sum(now - at <= TEN_MINUTES for at in self._entries) >= CROWD
        if now - self._due_since < (CROWDED if crowded else self._pace.gather):
            return []
        self._due_since = None
        self._due.clear()
        return [self._shift(name, track) for name, track in due.items()]

    def missed(self) -> int:
        """How many subjects changed and changed back while entries were collected, since the last call."""
        missed, self._missed = self._missed, 0
        return missed

    def _counts(self, track: _Track, now: float) -> bool:
        if track.seen is None or track.seen == track.told:
            return False
        steady = now - track.since
        if track.told == NORMAL:
            return steady >= self._pace.worse
        return steady >= max(self._pace.better, calm(track.changes, now))

    def _shift(self, name: str, track: _Track) -> Shift:
        assert track.seen is not None, "what is not known does not count"
        lasted = None if track.told_since is None else max(0.0, track.since - track.told_since)
        shift = Shift(name, track.told, track.seen, track.since, lasted, max(0, (track.moves - 1) // 2))
        track.told, track.told_since, track.moves = track.seen, track.since, 0
        return shift

    def _forget(self, now: float) -> None:
        """Subjects about which there is nothing to remember: alerts come under ever new names."""
        idle = {
            name: track.changes[-1] if track.changes else -math.inf
            for name, track in self._tracks.items()
            if track.told == NORMAL and track.seen in (None, NORMAL)
        }
        old = [name for name, last in idle.items() if now - last > WINDOW]
        if len(idle) - len(old) > IDLE:
            old = sorted(idle, key=idle.__getitem__)[:-IDLE]
        for name in old:
            del self._tracks[name]
