"""Events of a calendar file as it has them: each with its times, its rule and its exceptions, nothing worked out."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from icalendar import Event as ParsedEvent
from icalendar import Timezone
from icalendar.prop import vBroken

from adapters.calendars.instants import WallTime, beginning, ending, wall_time
from adapters.calendars.scan import Piece, UnfitCalendar, quoted

UNDERSTOOD = (
    *("UID", "SUMMARY", "STATUS", "TRANSP", "SEQUENCE"),
    *("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"),
)
"""Properties that decide when an event is; what else it has may be whatever it is."""
SINGLE = frozenset({"UID", "SUMMARY", "STATUS", "TRANSP", "SEQUENCE", "DTSTART", "DTEND", "DURATION", "RECURRENCE-ID"})
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)
"""What the parsers raise for what they do not understand."""
LONGEST_TITLE = 60
LONGEST = timedelta(days=3660)
"""The most that a DURATION may be."""


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long an event lasts: until an end of its own, or for a time."""

    end: WallTime | None = None
    length: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """One VEVENT. `replaces` is the occurrence that it takes the place of. `rules` are RRULE values without UNTIL, each
    with its UNTIL as it is written; `more` and `but` its RDATE and EXDATE. `free_day`: of whole days, and free."""

    line: int
    uid: str
    title: str
    protects: bool
    begin: WallTime
    lasting: Lasting
    sequence: int = 0
    replaces: WallTime | None = None
    rules: tuple[tuple[str, date | datetime | None], ...] = ()
    more: tuple[tuple[WallTime, Lasting | None], ...] = ()
    but: tuple[WallTime, ...] = ()
    free_day: bool = False


@dataclass
class Zones:
    """The zones that times name: those of this machine by their name, else as the file itself defines them. `own` is
    the zone of times that name none."""

    own: tzinfo
    written: Mapping[str, Piece]
    _built: dict[str, tzinfo] = field(default_factory=dict)

    def of(self, value: Any, params: Mapping[str, Any], line: int) -> WallTime:
        """A time or date of a property. Raises UnfitCalendar."""
        named = str(params.get("TZID", ""))
        if not isinstance(value, date):
            raise UnfitCalendar(line, "a date, or a date with a time", quoted(str(value)))
        zone = self.own
        if isinstance(value, datetime) and value.tzinfo is None and named:
            zone = self._defined(named, line)
        try:
            return wall_time(value, zone)
        except ValueError as error:
            raise UnfitCalendar(line, "a year from 1900 to 2199", str(error)) from error

    def _defined(self, name: str, line: int) -> tzinfo:
        """A zone that this machine does not know."""
        piece = self.written.get(name)
        if piece is None:
            raise UnfitCalendar(line, "a zone of this machine, or one that a VTIMEZONE defines", quoted(name))
        if name not in self._built:
            try:
                self._built[name] = _built(piece)
            except UNREADABLE as error:
                raise UnfitCalendar(piece.line, "a VTIMEZONE that can be read", quoted(name)) from error
        return self._built[name]


def _built(piece: Piece) -> tzinfo:
    """A zone by its definition. Raises what the parser raises."""
    found = Timezone.from_ical(piece.text)
    if not isinstance(found, Timezone):
        raise TypeError(piece.kind)
    zone: tzinfo = found.to_tz()
    return zone


def events_in(found: Sequence[Piece], own: tzinfo, named: str) -> Iterator[CalendarEvent]:
    """The events whose title has the text `named` in it, whatever its case, and those that take the place of one of
    theirs. Raises UnfitCalendar for one of these that cannot be understood."""
    zones = Zones(own, _defined(found))
    parsed = [(piece, _parsed(piece)) for piece in found if piece.kind == "VEVENT"]
    wanted = folded(named)
    kept = {_text(event, "UID", piece.line) for piece, event in parsed if _about(event, wanted)} - {""}
    for piece, event in parsed:
        about = _about(event, wanted)
        if about or (_text(event, "UID", piece.line) in kept and "RECURRENCE-ID" in event):
            yield _event(event, piece.line, zones, about)


def _parsed(piece: Piece) -> ParsedEvent:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of a zone's name that begins with its maker's: read as the name that it ends with
        try:
            found = ParsedEvent.from_ical(piece.text)
        except (*UNREADABLE, OSError) as error:  # the name of a zone may be too long for that of a file
            raise UnfitCalendar(piece.line, "an event that can be read", quoted(str(error))) from error
    if not isinstance(found, ParsedEvent):
        raise UnfitCalendar(piece.line, "an event", quoted(piece.kind))
    return found


def _defined(found: Sequence[Piece]) -> Mapping[str, Piece]:
    """The definitions of zones by their names. A file made of several has more than one of a name, as
    `Customized Time Zone`: raises UnfitCalendar where they differ, for nobody knows which one a time means."""
    made: dict[str, Piece] = {}
    for piece in found:
        if piece.kind == "VTIMEZONE":
            first = made.setdefault(_tzid(piece), piece)
            if first.text != piece.text:
                told = f"another definition of {quoted(_tzid(piece))}, which line {first.line} has"
                raise UnfitCalendar(piece.line, "one definition of each zone", told)
    return made


def _tzid(piece: Piece) -> str:
    """Its name as parameters have it: those have no escapes (RFC 5545 3.1, 3.3.11)."""
    lines = (line for line in piece.text.split("\r\n") if line.upper().startswith("TZID"))
    name = next((line.partition(":")[2].strip() for line in lines), "")
    return re.sub(r"\\([\\;,])", r"\1", name)


def _about(event: ParsedEvent, wanted: str) -> bool:
    """Whether its title has a text in it. One that cannot be read is left out by none: it is refused later."""
    title = event.get("SUMMARY", "")
    return isinstance(title, vBroken | list) or wanted in folded(str(title))


def folded(text: str) -> str:
    """A text as people read it: programs write the same letters in several ways (composed or not, with spaces that do
    not break, marks that are not seen). What looks the same must not be left out."""
    letters = unicodedata.normalize("NFKD", text).casefold()
    seen = (each for each in unicodedata.normalize("NFKD", letters) if unicodedata.category(each) not in ("Mn", "Cf"))
    return " ".join("".join(seen).split())


def _event(event: ParsedEvent, line: int, zones: Zones, about: bool) -> CalendarEvent:
    for name in UNDERSTOOD:
        values = _all(event, name)
        if any(isinstance(value, vBroken) for value in values):
            raise UnfitCalendar(line, f"an event whose {name} can be read", quoted(str(values[0])))
        if name in SINGLE and len(values) > 1:
            raise UnfitCalendar(line, f"an event with one {name}", str(len(values)))
    if "DTSTART" not in event:
        raise UnfitCalendar(line, "an event with DTSTART", "none")
    begin = _time(event["DTSTART"], zones, line)
    replaced = event.get("RECURRENCE-ID")
    if replaced is not None and "RANGE" in replaced.params:
        raise UnfitCalendar(line, "RECURRENCE-ID of one occurrence", f"RANGE={replaced.params['RANGE']}")
    free, cancelled = _text(event, "TRANSP", line) == "TRANSPARENT", _text(event, "STATUS", line) == "CANCELLED"
    return CalendarEvent(
        line=line,
        uid=str(event.get("UID", "")) or f"line {line}",
        title=" ".join(str(event.get("SUMMARY", "")).split())[:LONGEST_TITLE],
        protects=about and not (free or cancelled),
        begin=begin,
        lasting=_lasting(event, begin, zones, line),
        sequence=int(event.get("SEQUENCE", 0)),
        replaces=None if replaced is None else _time(replaced, zones, line),
        rules=tuple(_rule(value, line) for value in _all(event, "RRULE")),
        more=tuple(_more(event, zones, line)),
        but=tuple(_listed(each, value, zones, line) for value in _all(event, "EXDATE") for each in value.dts),
        free_day=about and free and not cancelled and begin.whole_day,
    )


def _all(event: ParsedEvent, name: str) -> list[Any]:
    value = event.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(event: ParsedEvent, name: str, line: int) -> str:
    """A property in one word, without regard to its case but in an identifier."""
    value = event.get(name, "")
    if isinstance(value, vBroken | list):
        raise UnfitCalendar(line, f"an event with one {name}", quoted(str(value)))
    return str(value) if name == "UID" else str(value).strip().upper()


def _time(value: Any, zones: Zones, line: int) -> WallTime:
    return zones.of(value.dt, value.params, line)


def _listed(each: Any, listing: Any, zones: Zones, line: int) -> WallTime:
    """A time of a list: the list has the zone."""
    return zones.of(each.dt, listing.params, line)


def _lasting(event: ParsedEvent, begin: WallTime, zones: Zones, line: int) -> Lasting:
    if "DTEND" in event:
        end = _time(event["DTEND"], zones, line)
        one_day = begin.whole_day and end == begin  # so some write the day itself
        return Lasting(length=timedelta(days=1)) if one_day else Lasting(end)
    if "DURATION" in event:
        return Lasting(length=_length(_all(event, "DURATION")[0].dt, line))
    return Lasting(length=timedelta(days=1) if begin.whole_day else timedelta())


def _length(value: Any, line: int) -> timedelta:
    if not isinstance(value, timedelta) or not timedelta() <= value <= LONGEST:
        raise UnfitCalendar(line, f"a DURATION of at most {LONGEST.days} days", quoted(str(value)))
    return value


def _rule(value: Any, line: int) -> tuple[str, date | datetime | None]:
    """A rule without its UNTIL, which is compared as an instant."""
    parts = [part for part in value.to_ical().decode().split(";") if not part.upper().startswith("UNTIL=")]
    until = value.get("UNTIL") or [None]
    for name in ("INTERVAL", "COUNT"):
        if any(number < 1 for number in value.get(name) or []):
            raise UnfitCalendar(line, f"a rule whose {name} is 1 or more", quoted(";".join(parts)))
    if len(until) != 1 or not isinstance(until[0], date | None):
        raise UnfitCalendar(line, "a rule with one UNTIL, a date or a time", quoted(str(until)))
    return ";".join(parts), until[0]


def _more(event: ParsedEvent, zones: Zones, line: int) -> Iterator[tuple[WallTime, Lasting | None]]:
    """Its RDATE: times, or periods with an end or a length of their own."""
    for listing in _all(event, "RDATE"):
        for each in listing.dts:
            if not isinstance(each.dt, tuple):
                yield _listed(each, listing, zones, line), None
                continue
            start, end = each.dt
            begin = zones.of(start, listing.params, line)
            if isinstance(end, timedelta):
                lasts = Lasting(length=_length(end, line))
            else:
                lasts = Lasting(zones.of(end, listing.params, line))
                if lasts.end is not None and ending(lasts.end) < beginning(begin):
                    raise UnfitCalendar(line, "an RDATE that ends after its beginning", quoted(str(end)))
            yield begin, lasts
