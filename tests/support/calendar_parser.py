"""The parser of calendar files, for the table of parsers."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from adapters.calendars.events import events_in
from adapters.calendars.scan import pieces
from adapters.calendars.spans import spans_of
from state.estate.calendars import calendar_times

SINCE = 1_767_225_600.0
"""The beginning of 2026 in UTC."""
UNTIL = SINCE + 400 * 86_400
CALENDAR = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
BEGIN:VTIMEZONE\r
TZID:Werk Nord\r
BEGIN:STANDARD\r
DTSTART:19701025T030000\r
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r
TZOFFSETFROM:+0200\r
TZOFFSETTO:+0100\r
END:STANDARD\r
BEGIN:DAYLIGHT\r
DTSTART:19700329T020000\r
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r
TZOFFSETFROM:+0100\r
TZOFFSETTO:+0200\r
END:DAYLIGHT\r
END:VTIMEZONE\r
BEGIN:VEVENT\r
UID:a@x\r
SUMMARY:winter \r
 freeze\r
DTSTART;TZID=Europe/Berlin:20260105T090000\r
DURATION:PT1H\r
RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;UNTIL=20260901T000000Z\r
EXDATE;TZID=Europe/Berlin:20260109T090000\r
RDATE;VALUE=PERIOD:20260301T000000Z/PT6H,20260302T000000Z/20260302T010000Z\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:a@x\r
SEQUENCE:1\r
RECURRENCE-ID;TZID=Europe/Berlin:20260119T090000\r
DTSTART;TZID=Werk Nord:20260119T150000\r
DTEND;TZID=Werk Nord:20260119T170000\r
BEGIN:VALARM\r
TRIGGER:-PT5M\r
END:VALARM\r
END:VEVENT\r
BEGIN:VEVENT\r
DTSTART;VALUE=DATE:20261224\r
RRULE:FREQ=YEARLY;COUNT=3\r
TRANSP:OPAQUE\r
END:VEVENT\r
END:VCALENDAR\r
"""


def calendar(data: bytes) -> None:
    """What the reader's process does with a file; all that it gives is inside what was asked for."""
    found = spans_of(list(events_in(pieces(data), ZoneInfo("Europe/Berlin"), "")), SINCE, UNTIL)
    times = calendar_times("a.ics", "", 0.0, (SINCE, UNTIL), found.spans)
    assert all(each.start < UNTIL and each.end > SINCE for each in times.spans)
    assert len(times.spans) == len(found.spans)
