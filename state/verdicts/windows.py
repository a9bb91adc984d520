"""Which protected windows are open now, and which one comes next.

Clocks that go forward or back shorten no window: where an hour is skipped it begins when the clocks go on, and where
one comes twice both of them are protected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim

from state.estate.windows import WindowEntry, zone_of

TWICE = 7201
"""Seconds: more than any hour that comes twice, and the one after it."""
SHOWN = 3
"""So many of its next occurrences are shown where an estate is checked."""
LOOKED_BACK = 3
"""So many of its last beginnings are looked at."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a window is open: from `start` until `end`, epoch seconds. `local` is its beginning and its end in
    the window's own zone, for people."""

    name: str
    title: str
    start: float
    end: float
    local: str


def open_now(name: str, entry: WindowEntry, wall: float) -> Occurrence | None:
    """The occurrence that is open at a wall time in epoch seconds: the one that ends last."""
    found = [each for each in _before(name, entry, wall) if each.start <= wall < each.end]
    return max(found, key=lambda each: each.end, default=None)


def coming(name: str, entry: WindowEntry, wall: float) -> Occurrence | None:
    """The next one that begins later than now; None where no more comes."""
    zone = zone_of(entry.zone)
    if zone is None:
        return None
    try:
        for begin in CronSim(entry.cron, datetime.fromtimestamp(int(wall), zone)):
            if begin.timestamp() > wall:
                return _occurrence(name, entry, begin)
    except (StopIteration, OverflowError):
        return None
    return None


def all_open(windows: Mapping[str, WindowEntry], wall: float) -> tuple[Occurrence, ...]:
    """Every window that is open, the one that ends last at the end."""
    found = [each for name, entry in windows.items() if (each := open_now(name, entry, wall)) is not None]
    return tuple(sorted(found, key=lambda each: (each.end, each.name)))


def next_of_all(windows: Mapping[str, WindowEntry], wall: float) -> Occurrence | None:
    """The one that begins first."""
    found = [each for name, entry in windows.items() if (each := coming(name, entry, wall)) is not None]
    return min(found, key=lambda each: (each.start, each.name), default=None)


def dates(windows: Mapping[str, WindowEntry], wall: float) -> tuple[str, ...]:
    """A line for each window with its next occurrences, for the person who wrote it."""
    found: list[str] = []
    for name, entry in windows.items():
        told, now = list[str](), wall
        while len(told) < SHOWN and (following := coming(name, entry, now)) is not None:
            told.append(following.local)
            now = following.start
        found.append(f"windows.{name}: {'; '.join(told) or 'never again'}")
    return tuple(found)


def _before(name: str, entry: WindowEntry, wall: float) -> list[Occurrence]:
    """Its last beginnings, the newest first."""
    zone = zone_of(entry.zone)
    if zone is None:
        return []
    # From later than now: in an hour that comes twice the clock shows the same time before and after.
    ticks = CronSim(entry.cron, datetime.fromtimestamp(int(wall) + TWICE, zone), reverse=True)
    found: list[Occurrence] = []
    try:
        while len(found) < LOOKED_BACK:
            begin = next(ticks)
            if begin.timestamp() <= wall:
                found.append(_occurrence(name, entry, begin))
    except (StopIteration, OverflowError):
        pass
    return found


def _occurrence(name: str, entry: WindowEntry, begin: datetime) -> Occurrence:
    """Its end is the later one of its time as it passes and of its time by the clock."""
    lasts = timedelta(seconds=entry.duration)
    passed = begin.astimezone(UTC) + lasts
    by_clock = (begin.replace(tzinfo=None) + lasts).replace(tzinfo=begin.tzinfo, fold=1)
    end = max(passed.timestamp(), by_clock.timestamp())
    until = datetime.fromtimestamp(end, begin.tzinfo)
    same = until.date() == begin.date()
    local = f"{begin:%a %d %b %H:%M} to {until:{'%H:%M' if same else '%a %d %b %H:%M'}} {entry.zone}"
    return Occurrence(name, entry.title or name, begin.timestamp(), end, local)
