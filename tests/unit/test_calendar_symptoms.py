"""Calendar files as others saw them go wrong: programs that write them, and readers that lost events."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_calendar_events import CUSTOM, event, read, refused
from tests.unit.test_calendar_windows import NOW, checked, placed

MICROSOFT = CUSTOM.replace("Werk Nord", "Customized Time Zone")
AT_TEN = "DTSTART;TZID=Customized Time Zone:20260701T100000\nDURATION:PT1H"


def test_two_zones_of_one_name_are_not_understood(tmp_path: Path) -> None:
    """derekantrican/GAS-ICS-Sync#225, lennart-k/rustical#112: files put together, each with its own
    `Customized Time Zone`. With the wrong one the event was hours away."""
    elsewhere = MICROSOFT.replace("+0200", "+0900").replace("+0100", "+0800")
    line, expected, found = refused(tmp_path, event(AT_TEN), around=MICROSOFT + elsewhere)
    assert (line, expected) == (18, "one definition of each zone")
    assert found == "another definition of 'Customized Time Zone', which line 3 has"
    assert read(tmp_path, event(AT_TEN), around=MICROSOFT * 2) == ["07-01T08:00 07-01T09:00"], "the same one twice"


@pytest.mark.parametrize("until", ["99991231T235959", "99991231T235959Z", "99991231", "22000101T000000"])
@pytest.mark.parametrize("start", ["DTSTART:20260301T100000", "DTSTART;VALUE=DATE:20260301"])
def test_an_end_in_the_year_9999_is_no_end(tmp_path: Path, until: str, start: str) -> None:
    """jelmer/xandikos#538, home-assistant/core#117202: `OverflowError: date value out of range`."""
    ends = "DURATION:PT1H" if "T" in start.partition(":")[2] else "DURATION:P1D"
    found = read(tmp_path, event(f"{start}\n{ends}\nRRULE:FREQ=YEARLY;UNTIL={until}"))
    assert [span[:5] for span in found] == ["02-28" if "DATE" in start else "03-01"]


def test_an_end_before_all_time_is_an_end(tmp_path: Path) -> None:
    """jelmer/xandikos#643: year 1. The beginning itself counts whatever its rule says."""
    assert (
        len(read(tmp_path, event("DTSTART:20260301T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=00010101T000000")))
        == 1
    )


def test_a_moved_occurrence_may_be_named_in_another_zone(tmp_path: Path) -> None:
    """bitfireAT/synctools#80: the exception was shown beside the occurrence that it replaces."""
    master = event(
        "UID:a\nDTSTART;TZID=Pacific/Auckland:20260408T110000\nDTEND;TZID=Pacific/Auckland:20260408T120000\n"
        "RRULE:FREQ=DAILY;COUNT=5;INTERVAL=2\nEXDATE;TZID=Pacific/Auckland:20260412T110000"
    )
    moved = event(
        "UID:a\nRECURRENCE-ID;TZID=Europe/Paris:20260414T010000\nDTSTART;TZID=Europe/Paris:20260414T050000\n"
        "DTEND;TZID=Europe/Paris:20260414T060000"
    )
    found = read(tmp_path, master, moved)
    assert [span[:11] for span in found] == ["04-07T23:00", "04-09T23:00", "04-14T03:00", "04-15T23:00"]


def test_a_zone_may_be_named_by_its_cities_and_begin_in_1601(tmp_path: Path) -> None:
    """runely/calendar-homey#680, calcom/cal.diy#2236: Outlook's names, with a comma and a colon, and its first year."""
    name = "(UTC+01:00) Amsterdam, Berlin"
    zone = CUSTOM.replace("Werk Nord", name).replace("19701025", "16011028").replace("19700329", "16010325")
    timed = event(f'DTSTART;TZID="{name}":20260701T100000\nDURATION:PT1H')
    day = event('DTSTART;VALUE=DATE;TZID="Amsterdam, Belgrade, Berlin":20260902\nDTEND;VALUE=DATE:20260903')
    assert read(tmp_path, timed, around=zone) == ["07-01T08:00 07-01T09:00"]
    assert read(tmp_path, day) == ["09-01T22:00 09-02T22:00"]


@pytest.mark.parametrize("name", ["Eastern Standard Time 1", "Custom1", "GMT+0200", "tzone://Microsoft/Utc"])
def test_a_zone_that_nobody_defines_is_never_local_time(tmp_path: Path, name: str) -> None:
    """derekantrican/GAS-ICS-Sync#219, Coffey-Labs/ihasmail#229: readers took such times for local ones, without a
    word."""
    line, _, _ = refused(tmp_path, event(f"DTSTART;TZID={name}:20260701T100000\nDURATION:PT1H"))
    assert line == 3


def test_a_zone_whose_rules_end_in_local_time_can_be_read(tmp_path: Path) -> None:
    """collective/icalendar#708: `RRULE UNTIL values must be specified in UTC`."""
    for until in ("20371025T030000", "20371025", "20371025T010000Z"):
        zone = CUSTOM.replace("BYMONTH=10", f"BYMONTH=10;UNTIL={until}")
        found = read(tmp_path, event("DTSTART;TZID=Werk Nord:20260701T100000\nDURATION:PT1H"), around=zone)
        assert found == ["07-01T08:00 07-01T09:00"]


def test_whole_days_are_days_of_the_window_s_zone(tmp_path: Path) -> None:
    """home-assistant/core#113454, #167562: a day early, and over at midnight in UTC."""
    weekly = event("DTSTART;VALUE=DATE:20260907\nDTEND;VALUE=DATE:20260908\nRRULE:FREQ=WEEKLY;COUNT=2")
    found = read(tmp_path, weekly, zone="America/Los_Angeles")
    assert found == ["09-07T07:00 09-08T07:00", "09-14T07:00 09-15T07:00"]


def test_a_calendar_without_any_event_was_not_fetched(tmp_path: Path) -> None:
    """derekantrican/GAS-ICS-Sync#118, SoluceTechnologies/nextcloud-calendar-mobile#188: the feed answered 403, and all
    events were gone."""
    line, expected, found = refused(tmp_path)
    assert (line, expected) == (0, "at least one event, past or to come")
    assert found == "none, as a job writes it that could fetch nothing"
    assert read(tmp_path, event("DTSTART:20200301T100000Z\nDURATION:PT1H")) == [], "one that is over is one"


def test_a_title_that_no_event_has_is_told_to_who_wrote_it(tmp_path: Path) -> None:
    """A slip in `summary` protects nothing, and looks like a calendar without a freeze."""
    (note,) = checked(placed(tmp_path, NOW.replace("winter freeze", "winter freze"))).notes
    assert note.endswith("protects nothing: 1 event, none of them with this title)")
