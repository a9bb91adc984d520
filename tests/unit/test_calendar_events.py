"""Calendar files: what their events mean, as instants, through rules, exceptions, zones and changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.calendars.child import answer

SINCE, UNTIL = "2026-01-01T00:00", "2027-02-05T00:00"
CUSTOM = """BEGIN:VTIMEZONE
TZID:Werk Nord
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
"""


def stamp(text: str) -> float:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def event(text: str) -> str:
    return f"BEGIN:VEVENT\n{text.strip()}\nEND:VEVENT\n"


def read(folder: Path, *events: str, around: str = "", named: str = "", zone: str = "Europe/Berlin") -> list[str]:
    """Begin and end of all that a calendar with these events protects, in UTC."""
    file = folder / "calendar.ics"
    file.write_text("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//\n" + around + "".join(events) + "END:VCALENDAR\n")
    found = answer(file, zone, named, stamp(SINCE), stamp(UNTIL))
    assert "problem" not in found, found
    return [f"{_utc(start)} {_utc(end)}" for start, end, _ in sorted(found["spans"])]


def refused(folder: Path, *events: str, around: str = "", named: str = "") -> tuple[int, str, str]:
    file = folder / "calendar.ics"
    file.write_text("BEGIN:VCALENDAR\nVERSION:2.0\n" + around + "".join(events) + "END:VCALENDAR\n")
    line, expected, was = answer(file, "Europe/Berlin", named, stamp(SINCE), stamp(UNTIL))["problem"]
    return line, expected, was


def _utc(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("DTSTART:20260301T100000Z\nDTEND:20260301T120000Z", ["03-01T10:00 03-01T12:00"]),
        ("DTSTART;TZID=Europe/Berlin:20260301T100000\nDURATION:PT2H", ["03-01T09:00 03-01T11:00"]),
        ("DTSTART:20260701T100000\nDURATION:PT2H", ["07-01T08:00 07-01T10:00"]),
        ("DTSTART;TZID=America/New_York:20260301T100000\nDTEND:20260301T160000Z", ["03-01T15:00 03-01T16:00"]),
        ("DTSTART;TZID=W. Europe Standard Time:20260701T100000\nDURATION:PT1H", ["07-01T08:00 07-01T09:00"]),
        ("DTSTART;TZID=/maker.example/x/Europe/Berlin:20260701T100000\nDURATION:PT1H", ["07-01T08:00 07-01T09:00"]),
        ("DTSTART;VALUE=DATE:20261224", ["12-23T23:00 12-24T23:00"]),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261224", ["12-23T23:00 12-24T23:00"]),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227", ["12-23T23:00 12-26T23:00"]),
        ("DTSTART;VALUE=DATE:20260329", ["03-28T23:00 03-29T22:00"]),
        ("DTSTART;VALUE=DATE:20251230\nDURATION:P3D", ["12-29T23:00 01-01T23:00"]),
    ],
    ids=[
        "utc",
        "zone",
        "floating",
        "two-zones",
        "windows",
        "global",
        "day",
        "same-day",
        "days",
        "short-day",
        "spanning",
    ],
)
def test_single_events_in_every_way_of_writing_their_times(tmp_path: Path, text: str, spans: list[str]) -> None:
    assert read(tmp_path, event(text)) == spans


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("DTSTART:20260329T023000\nDURATION:PT1H", ["03-29T01:00 03-29T02:30"]),  # skipped: as the clocks go on
        ("DTSTART:20260329T013000\nDTEND:20260329T023000", ["03-29T00:30 03-29T01:30"]),
        ("DTSTART:20261025T023000\nDTEND:20261025T024000", ["10-25T00:30 10-25T01:40"]),  # twice: both passes
        ("DTSTART:20261025T013000\nDURATION:PT1H", ["10-24T23:30 10-25T01:30"]),
    ],
)
def test_trap_67_an_event_in_the_skipped_or_repeated_hour_still_protects(
    tmp_path: Path, text: str, spans: list[str]
) -> None:
    assert read(tmp_path, event(text)) == spans
    zoned = text.replace("DTSTART:", "DTSTART;TZID=Werk Nord:").replace("DTEND:", "DTEND;TZID=Werk Nord:")
    assert read(tmp_path, event(zoned), around=CUSTOM, zone="Asia/Tokyo") == spans, "by the file's own definition"


def test_a_nightly_rule_keeps_to_the_clock_through_both_changes(tmp_path: Path) -> None:
    found = read(tmp_path, event("DTSTART;TZID=Europe/Berlin:19700101T220000\nDURATION:PT1H\nRRULE:FREQ=DAILY"))
    assert len(found) == 400
    assert "03-28T21:00 03-28T22:00" in found
    assert "03-29T20:00 03-29T21:00" in found
    assert "10-25T21:00 10-25T22:00" in found


@pytest.mark.parametrize(
    ("rule", "begins"),
    [
        ("FREQ=DAILY;COUNT=3", ["01-05", "01-06", "01-07"]),
        ("FREQ=DAILY;INTERVAL=2;UNTIL=20260109T080000Z", ["01-05", "01-07", "01-09"]),
        ("FREQ=DAILY;INTERVAL=2;UNTIL=20260109T075959Z", ["01-05", "01-07"]),
        ("FREQ=DAILY;UNTIL=20260107", ["01-05", "01-06", "01-07"]),
        ("FREQ=WEEKLY;BYDAY=MO,FR;COUNT=4", ["01-05", "01-09", "01-12", "01-16"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU;COUNT=2", ["01-05", "01-06", "01-20"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=2", ["01-05", "01-30", "02-27"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;UNTIL=20260301", ["01-05", "01-31", "02-28"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=2", ["01-05", "01-30", "02-27"]),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=1", ["01-05", "11-26"]),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=1", ["01-05", "05-11"]),
    ],
)
def test_rules_as_they_are_written(tmp_path: Path, rule: str, begins: list[str]) -> None:
    """Times that are counted are those of the rule; the beginning itself always protects."""
    found = read(tmp_path, event(f"DTSTART:20260105T090000\nDURATION:PT1H\nRRULE:{rule}"))
    assert [each[:5] for each in found] == begins


def test_a_rule_of_long_ago_is_the_same_rule_whenever_it_is_begun(tmp_path: Path) -> None:
    """Every eleventh day and every third week since 1970, against what a plain count of days gives."""
    eleven = read(tmp_path, event("DTSTART:19700105T120000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;INTERVAL=11"))
    first = datetime(1970, 1, 5, 12, tzinfo=UTC).timestamp()
    step = 11 * 86_400
    begins = [first + step * n for n in range(3000) if stamp(SINCE) <= first + step * n < stamp(UNTIL)]
    assert [each[:11] for each in eleven] == [_utc(each) for each in begins]
    weeks = read(tmp_path, event("DTSTART:19700105T120000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;INTERVAL=3;BYDAY=WE,SU"))
    days = [(stamp("2026-01-01") + 86_400 * n) for n in range(400)]
    wanted = [d for d in days if datetime.fromtimestamp(d, UTC).weekday() in (2, 6) and _weeks(d) % 3 == 0]
    assert [each[:5] for each in weeks] == [_utc(each)[:5] for each in wanted]


def _weeks(epoch: float) -> int:
    return int((epoch - datetime(1970, 1, 5, tzinfo=UTC).timestamp()) // (7 * 86_400))


MASTER = "UID:a@x\nSUMMARY:freeze\nDTSTART;TZID=Europe/Berlin:20260105T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=4"
SECOND = "UID:a@x\nSUMMARY:freeze\nRECURRENCE-ID;TZID=Europe/Berlin:20260106T090000"


@pytest.mark.parametrize(
    ("other", "begins"),
    [
        (f"{SECOND}\nDTSTART;TZID=Europe/Berlin:20260110T150000\nDURATION:PT3H", ["01-05", "01-07", "01-08", "01-10"]),
        (f"{SECOND}\nDTSTART:20260110T140000Z\nDURATION:PT3H", ["01-05", "01-07", "01-08", "01-10"]),
        (f"{SECOND}\nSTATUS:CANCELLED\nDTSTART:20260106T080000Z\nDURATION:PT1H", ["01-05", "01-07", "01-08"]),
        (f"{SECOND}\nTRANSP:TRANSPARENT\nDTSTART:20260106T080000Z\nDURATION:PT1H", ["01-05", "01-07", "01-08"]),
        (
            "UID:a@x\nRECURRENCE-ID:20260106T080000Z\nSTATUS:CANCELLED\nDTSTART:20260106T080000Z\nDURATION:PT1H",
            ["01-05", "01-07", "01-08"],
        ),
    ],
    ids=["moved", "moved-utc", "cancelled", "free", "by-utc"],
)
def test_trap_69_moved_and_cancelled_occurrences_are_honoured(tmp_path: Path, other: str, begins: list[str]) -> None:
    for events in ((event(MASTER), event(other)), (event(other), event(MASTER))):
        assert [each[:5] for each in read(tmp_path, *events)] == begins
        assert [each[:5] for each in read(tmp_path, *events, named="FREEZE")] == begins


def test_of_two_moves_of_an_occurrence_the_later_one_counts(tmp_path: Path) -> None:
    one = event(f"{SECOND}\nSEQUENCE:2\nDTSTART:20260110T140000Z\nDURATION:PT3H")
    two = event(f"{SECOND}\nSEQUENCE:1\nDTSTART:20260111T140000Z\nDURATION:PT3H")
    for events in ((one, two), (two, one)):
        assert [each[:5] for each in read(tmp_path, event(MASTER), *events)] == ["01-05", "01-07", "01-08", "01-10"]


def test_exceptions_and_more_dates(tmp_path: Path) -> None:
    more = "EXDATE;TZID=Europe/Berlin:20260105T090000,20260107T090000\nEXDATE:20260108T080000Z"
    more += "\nRDATE;TZID=Europe/Berlin:20260201T120000\nRDATE;VALUE=PERIOD:20260301T000000Z/PT6H,20260302T000000Z/"
    found = read(tmp_path, event(f"{MASTER}\n{more}20260302T010000Z"))
    assert found == [
        "01-06T08:00 01-06T09:00",
        "02-01T11:00 02-01T12:00",
        "03-01T00:00 03-01T06:00",
        "03-02T00:00 03-02T01:00",
    ]
    days = "DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20260106"
    assert [each[:5] for each in read(tmp_path, event(days))] == ["01-04", "01-06"]  # 23:00 in UTC, the day before


def test_what_protects_nothing_is_counted_for_its_writer(tmp_path: Path) -> None:
    file = tmp_path / "calendar.ics"
    free = event("DTSTART:20260105T090000Z\nDURATION:PT1H\nTRANSP:transparent")
    gone = event("DTSTART:20260105T090000Z\nDURATION:PT1H\nSTATUS:CANCELLED")
    short = event("DTSTART:20260105T090000Z")
    file.write_text("BEGIN:VCALENDAR\n" + free + gone + short + "END:VCALENDAR\n")
    found = answer(file, "UTC", "", stamp(SINCE), stamp(UNTIL))
    assert (found["spans"], found["free"], found["without_length"]) == ([], 2, 1)


def test_a_filter_takes_events_by_their_title(tmp_path: Path) -> None:
    one = event("SUMMARY:Code FREEZE of\n  winter\nDTSTART:20260105T090000Z\nDURATION:PT1H")
    two = event("SUMMARY:lunch\nDTSTART:20260106T090000Z\nDURATION:PT1H")
    assert [each[:5] for each in read(tmp_path, one, two, named="freeze of winter")] == ["01-05"]
    assert len(read(tmp_path, one, two)) == 2
    broken = event("SUMMARY:lunch\nDTSTART:nonsense")
    assert [each[:5] for each in read(tmp_path, one, broken, named="freeze")] == ["01-05"]
    assert refused(tmp_path, one, broken, named="")[0] == 9
    twice = event("SUMMARY:lunch\nSUMMARY:freeze\nDTSTART:20260105T090000Z\nDURATION:PT1H")
    assert "SUMMARY" in refused(tmp_path, one, twice, named="freeze")[1], "nobody knows whether it is meant"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DTSTART;TZID=Nowhere/Town:20260105T090000\nDURATION:PT1H", "VTIMEZONE"),
        ("SUMMARY:no beginning", "DTSTART"),
        (f"DTSTART;TZID={'x' * 5000}:20260105T090000\nDURATION:PT1H", "event"),
        ("DTSTART:20260105T250000\nDURATION:PT1H", "DTSTART"),
        ("DTSTART:20260105T090000Z\nDTSTART:20260106T090000Z\nDURATION:PT1H", "one DTSTART"),
        ("DTSTART:20260105T090000Z\nDTEND:20260105T080000Z", "ends after its beginning"),
        ("DTSTART:20260105T090000Z\nDURATION:-PT1H", "DURATION"),
        ("DTSTART:20260105T090000Z\nDURATION:one hour", "DURATION"),
        ("DTSTART:20260105T090000Z\nDURATION:P9999999W", "DURATION"),
        ("DTSTART:20260105T090000Z\nRDATE;VALUE=PERIOD:20260301T000000Z/20260228T000000Z", "RDATE"),
        ("DTSTART:20260105T090000Z\nRDATE;VALUE=PERIOD:20260301T000000Z/P9999999D", "DURATION"),
        ("DTSTART:PT1H\nDURATION:PT1H", "date"),
        ("DTSTART:00010105T090000Z\nDURATION:PT1H", "1900"),
        ("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=SOMETIMES", "RRULE"),
        ("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=-2", "COUNT"),
        ("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:INTERVAL=2", "rule"),
        ("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:RSCALE=CHINESE;FREQ=YEARLY", "rule"),
        ("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;INTERVAL=99999999999999999999", "RRULE"),
        ("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEXDATE:tomorrow", "EXDATE"),
        (
            "UID:1\nDTSTART:20260105T090000Z\nDURATION:PT1H\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260105T090000Z",
            "one occ",
        ),
    ],
)
def test_an_event_that_is_not_understood_makes_the_calendar_unknown(tmp_path: Path, text: str, expected: str) -> None:
    """It is never left out: nobody knows what it would have protected."""
    line, told, _ = refused(tmp_path, event("DTSTART:20260101T000000Z\nDURATION:PT1H"), event(text))
    assert line == 7
    assert expected in told
