"""When the events of a calendar are, as instants between two others: rules worked out, exceptions taken out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from dateutil.rrule import rrule, rrulestr

from adapters.calendars.events import UNREADABLE, CalendarEvent, Lasting
from adapters.calendars.instants import EARLIEST, LAST, WallTime, beginning, ending
from adapters.calendars.scan import UnfitCalendar, quoted
from state.estate.calendars import Span

MOST_TIMES = 50_000
"""Occurrences of all events of a file that are looked at."""
ASIDE = timedelta(days=2)
"""More than any zone is away from another one."""
STEPS = {"WEEKLY": 7 * 86_400, "DAILY": 86_400, "HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}
"""Seconds of the steps of rules that may be begun later without being another rule."""


@dataclass(slots=True)
class WorkedOut:
    """What comes out: the times, and how many events protect nothing because they are free or cancelled, or have no
    length; `free_days` are the free ones of whole days. `looked_at` are all occurrences so far."""

    spans: list[Span] = field(default_factory=list)
    free: int = 0
    free_days: int = 0
    without_length: int = 0
    looked_at: int = 0

    def look(self, line: int) -> None:
        """Count one more. Raises UnfitCalendar where there are too many."""
        self.looked_at += 1
        if self.looked_at > MOST_TIMES:
            raise UnfitCalendar(line, f"at most {MOST_TIMES:,} occurrences in the 400 days to come", "more of them")


def spans_of(events: Sequence[CalendarEvent], since: float, until: float) -> WorkedOut:
    """Every occurrence that is open at some instant between two, in epoch seconds. Raises UnfitCalendar."""
    found, instead = WorkedOut(), _replaced(events)
    for event in events:
        if event.replaces is not None:
            if instead[(event.uid, beginning(event.replaces))] is not event:
                continue
            taken_out = frozenset[float]()
        else:
            taken_out = frozenset(at for uid, at in instead if uid == event.uid)
        if not event.protects:
            found.free += 1
            found.free_days += event.free_day
        elif _no_length(event):
            found.without_length += 1
        else:
            found.spans += _occurrences(event, taken_out, (since, until), found)
    return found


def _replaced(events: Sequence[CalendarEvent]) -> dict[tuple[str, float], CalendarEvent]:
    """For each occurrence that another event takes the place of, that one: of several the one that was made last."""
    found: dict[tuple[str, float], CalendarEvent] = {}
    for event in events:
        if event.replaces is None:
            continue
        key = event.uid, beginning(event.replaces)
        if key not in found or found[key].sequence <= event.sequence:
            found[key] = event
    return found


def _no_length(event: CalendarEvent) -> bool:
    """Whether it ends as it begins. Raises UnfitCalendar for one that ends before."""
    start, end = beginning(event.begin), _end(event.begin, event.begin, event.lasting, alone=True)
    if end < start:
        raise UnfitCalendar(event.line, "an event that ends after its beginning", "DTEND before DTSTART")
    return end == start and not any(lasting is not None for _, lasting in event.more)


def _occurrences(
    event: CalendarEvent, taken_out: frozenset[float], between: tuple[float, float], found: WorkedOut
) -> Iterator[Span]:
    """Its times, those apart that are excepted or have another event in their place."""
    but = taken_out | {beginning(each) for each in event.but}
    alone = not event.rules and not event.more
    seen: set[float] = set()
    since, until = between
    for begin, lasting in _begins(event, since, until):
        found.look(event.line)
        start = beginning(begin)
        if start in but or start in seen:
            continue
        end = _end(event.begin, begin, lasting or event.lasting, alone=alone or lasting is not None)
        if start < until and end > since and end != start:
            seen.add(start)
            yield Span(start, end, event.title)


def _begins(event: CalendarEvent, since: float, until: float) -> Iterator[tuple[WallTime, Lasting | None]]:
    yield event.begin, None
    yield from event.more
    longest = max(_end(event.begin, event.begin, event.lasting, alone=False) - beginning(event.begin), 0.0)
    first = max(_utc(since - longest), EARLIEST) - ASIDE
    last = min(_utc(until), LAST) + ASIDE
    for text, written in event.rules:
        rule = _rule(text, event, first)
        for shown in rule.xafter(first, inc=True):
            begin = event.begin.at(shown)
            if shown > last or _over(begin, written):
                break
            yield begin, None


def _rule(text: str, event: CalendarEvent, first: datetime) -> rrule:
    """The rule by what the clock shows. One without a count is begun a whole number of its steps later, so that what
    began long ago costs nothing."""
    begin = event.begin.shown
    parts = dict(part.partition("=")[::2] for part in text.upper().split(";"))
    step = STEPS.get(parts.get("FREQ", ""))
    try:
        if step is not None and "COUNT" not in parts and begin < first:
            step *= int(parts.get("INTERVAL", "1"))
            begin += timedelta(seconds=step) * ((first - begin) // timedelta(seconds=step))
        found = rrulestr(text, dtstart=begin)
    except UNREADABLE as error:
        raise UnfitCalendar(event.line, "a rule that can be read", quoted(f"{text}: {error}")) from error
    if not isinstance(found, rrule):
        raise UnfitCalendar(event.line, "one rule", quoted(text))
    return found


def _over(begin: WallTime, until: date | datetime | None) -> bool:
    """Whether an occurrence is later than its rule's UNTIL; a date there means until its end."""
    if until is None:
        return False
    if not EARLIEST.year <= until.year < LAST.year:  # written for "no end", or for none at all
        return until.year < EARLIEST.year
    if begin.whole_day or not isinstance(until, datetime):
        return begin.shown.date() > (until.date() if isinstance(until, datetime) else until)
    limit = until.timestamp() if until.tzinfo is not None else ending(begin.at(min(max(until, EARLIEST), LAST)))
    return beginning(begin) > limit


def _end(first: WallTime, begin: WallTime, lasting: Lasting, *, alone: bool) -> float:
    """When an occurrence is over. One that is alone ends when it says. Of others the later one of two instants: their
    length as time passes, and by the clock."""
    if lasting.end is not None and alone:
        return ending(lasting.end)
    if lasting.end is None:
        by_clock = lasting.length
        passed = lasting.length.total_seconds()
    else:
        same = lasting.end.zone == first.zone
        passed = ending(lasting.end) - beginning(first)
        by_clock = lasting.end.shown - first.shown if same else timedelta(seconds=passed)
    clocked = ending(begin.moved(by_clock))
    return clocked if begin.whole_day else max(clocked, ending(begin) + passed)


def _utc(instant: float) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=instant)).replace(tzinfo=None)
