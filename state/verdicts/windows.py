"""Which protected windows are open now, and which one comes next.

Clocks that go forward or back shorten no window: where an hour is skipped it begins when the clocks go on, and where
one comes twice both of them are protected.

Of a window with a calendar it may be unknown whether it is open: then it is neither open nor closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim

from state.estate.calendars import Span
from state.estate.windows import WindowEntry, zone_of
from state.units import file_of, utc_date

TWICE = 7201
"""Seconds: more than any hour that comes twice, and the one after it."""
SHOWN = 3
"""So many of its next occurrences are shown where an estate is checked."""
LOOKED_BACK = 3
"""So many of its last beginnings are looked at."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a window is open: from `start` until `end`, epoch seconds. `local` is its beginning and its end in
    the window's own zone, for people. `file` is the calendar that it is from, last changed at `written`."""

    name: str
    title: str
    start: float
    end: float
    local: str
    file: str = ""
    written: float = 0.0

    @property
    def source(self) -> str:
        """From which calendar, and how old that is, in brackets; nothing for one by cron."""
        return file_of(self.file, self.written)


def open_now(name: str, entry: WindowEntry, wall: float) -> Occurrence | None:
    """The occurrence that is open at a wall time in epoch seconds: the one that ends last."""
    if entry.calendar is not None:
        return _of_calendar(name, entry, entry.times.open_at(wall) if entry.times.knows(wall) else None)
    found = [each for each in _before(name, entry, wall) if each.start <= wall < each.end]
    return max(found, key=lambda each: each.end, default=None)


def coming(name: str, entry: WindowEntry, wall: float) -> Occurrence | None:
    """The next one that begins later than now; None where no more comes, or none is known."""
    if entry.calendar is not None:
        return _of_calendar(name, entry, entry.times.after(wall) if entry.times.knows(wall) else None)
    zone = zone_of(entry.zone)
    if zone is None or entry.cron is None:
        return None
    try:
        for begin in CronSim(entry.cron, datetime.fromtimestamp(int(wall), zone)):
            if begin.timestamp() > wall:
                return _by_cron(name, entry, begin)
    except (StopIteration, OverflowError):
        return None
    return None


def why_unknown(entry: WindowEntry, wall: float) -> str:
    """Why nobody knows whether a window is open, in whole words; empty where it is known."""
    if entry.calendar is None or entry.times.knows(wall):
        return ""
    times = entry.times
    if times.problem:
        return f"its calendar cannot be read: {times.problem}"
    return f"{times.file} was worked out from {utc_date(times.since)} to {utc_date(times.until)}, which is not now"


def unknown_windows(windows: Mapping[str, WindowEntry], wall: float) -> dict[str, str]:
    """The windows of which nobody knows whether they are open, and why."""
    return {name: why for name, entry in windows.items() if (why := why_unknown(entry, wall))}


def all_open(windows: Mapping[str, WindowEntry], wall: float) -> tuple[Occurrence, ...]:
    """Every window that is open, the one that ends last at the end."""
    found = [each for name, entry in windows.items() if (each := open_now(name, entry, wall)) is not None]
    return tuple(sorted(found, key=lambda each: (each.end, each.name)))


def next_of_all(windows: Mapping[str, WindowEntry], wall: float) -> Occurrence | None:
    """The one that begins first."""
    found = [each for name, entry in windows.items() if (each := coming(name, entry, wall)) is not None]
    return min(found, key=lambda each: (each.start, each.name), default=None)


def dates(windows: Mapping[str, WindowEntry], wall: float) -> tuple[str, ...]:
    """A line for each window: the occurrence that is open and the next ones, for the person who wrote it."""
    found: list[str] = []
    for name, entry in windows.items():
        if why_unknown(entry, wall):
            continue  # it is among the problems
        told, now = list[str](), wall
        while len(told) < SHOWN and (following := coming(name, entry, now)) is not None:
            titled = f"{following.title}, " if entry.calendar is not None else ""
            told.append(titled + following.local)
            now = following.start
        is_open = open_now(name, entry, wall)
        first = [f"open now: {is_open.title}, {is_open.local}"] if is_open is not None else []
        found.append(f"windows.{name}: {'; '.join([*first, *(told or [_none_comes(entry)])])}{_of_file(entry)}")
    return tuple(found)


def _none_comes(entry: WindowEntry) -> str:
    return "never again" if entry.calendar is None else f"none until {utc_date(entry.times.until)}"


def _of_file(entry: WindowEntry) -> str:
    """Of which day the file is, as nobody may fetch it any more, and what in it protects nothing."""
    if entry.calendar is None:
        return ""
    nothing = f"; protects nothing: {entry.times.left_out}" if entry.times.left_out else ""
    return f" (file of {utc_date(entry.times.written)[:10]}{nothing})"


def _of_calendar(name: str, entry: WindowEntry, span: Span | None) -> Occurrence | None:
    zone = zone_of(entry.zone)
    if span is None or zone is None:
        return None
    title = ": ".join(each for each in (entry.title or name, span.title) if each)
    local = _local(datetime.fromtimestamp(span.start, zone), datetime.fromtimestamp(span.end, zone), entry.zone)
    return Occurrence(name, title, span.start, span.end, local, entry.times.file, entry.times.written)


def _before(name: str, entry: WindowEntry, wall: float) -> list[Occurrence]:
    """Its last beginnings, the newest first."""
    zone = zone_of(entry.zone)
    if zone is None or entry.cron is None:
        return []
    # From later than now: in an hour that comes twice the clock shows the same time before and after.
    ticks = CronSim(entry.cron, datetime.fromtimestamp(int(wall) + TWICE, zone), reverse=True)
    found: list[Occurrence] = []
    try:
        while len(found) < LOOKED_BACK:
            begin = next(ticks)
            if begin.timestamp() <= wall:
                found.append(_by_cron(name, entry, begin))
    except (StopIteration, OverflowError):
        pass
    return found


def _by_cron(name: str, entry: WindowEntry, begin: datetime) -> Occurrence:
    """Its end is the later one of its time as it passes and of its time by the clock."""
    lasts = timedelta(seconds=entry.duration or 0.0)
    passed = begin.astimezone(UTC) + lasts
    by_clock = (begin.replace(tzinfo=None) + lasts).replace(tzinfo=begin.tzinfo, fold=1)
    end = max(passed.timestamp(), by_clock.timestamp())
    local = _local(begin, datetime.fromtimestamp(end, begin.tzinfo), entry.zone)
    return Occurrence(name, entry.title or name, begin.timestamp(), end, local)


def _local(begin: datetime, until: datetime, zone: str) -> str:
    same = until.date() == begin.date()
    return f"{begin:%a %d %b %H:%M} to {until:{'%H:%M' if same else '%a %d %b %H:%M'}} {zone}"
