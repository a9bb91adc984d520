"""Calendars as programs export them: titles in other spellings of the same letters, zones with escapes in their names,
times of free and busy in place of events."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from tests.unit.test_calendar_events import CUSTOM, event, read, refused

WHEN = "DTSTART:20260301T100000Z\nDTEND:20260301T120000Z"
SPAN = ["03-01T10:00 03-01T12:00"]


@pytest.mark.parametrize(
    ("title", "named"),
    [
        (normalize("NFD", "Änderungsstopp"), "Änderungsstopp"),
        ("Änderungsstopp", normalize("NFD", "änderungsstopp")),
        ("Code\u00a0freeze", "code freeze"),
        ("Code  freeze", "code freeze"),
        ("Code\\nfreeze", "code freeze"),
        ("Code fre\u00adeze", "code freeze"),
        ("Code free\u200bze", "code freeze"),
        ("Ｆｒｅｅｚｅ", "freeze"),
        ("FREEZE İSTANBUL", "istanbul"),
        ("Großumbau", "GROSSUMBAU"),
    ],
)
def test_what_reads_the_same_is_never_left_out(tmp_path: Path, title: str, named: str) -> None:
    assert read(tmp_path, event(f"SUMMARY:{title}\n{WHEN}"), named=named) == SPAN
    assert read(tmp_path, event(f"SUMMARY:another one\n{WHEN}"), named=named) == []


def test_a_zone_whose_name_has_escapes_where_it_is_defined(tmp_path: Path) -> None:
    """Outlook writes the name of a zone as it shows it: escaped in the value of TZID, quoted in a parameter."""
    zone = CUSTOM.replace("Werk Nord", r"(UTC+01:00) Amsterdam\, Berlin\, Bern\, Rome")
    text = 'DTSTART;TZID="(UTC+01:00) Amsterdam, Berlin, Bern, Rome":20260701T100000\nDURATION:PT1H'
    assert read(tmp_path, event(text), around=zone) == ["07-01T08:00 07-01T09:00"]


@pytest.mark.parametrize("kind", ["VFREEBUSY", "VAVAILABILITY"])
def test_times_of_free_and_busy_are_not_read_as_nothing(tmp_path: Path, kind: str) -> None:
    busy = f"BEGIN:{kind}\nUID:b\nFREEBUSY;FBTYPE=BUSY:20260301T100000Z/PT2H\nEND:{kind}\n"
    line, expected, found = refused(tmp_path, busy, named="freeze")
    assert (line, expected, found) == (3, "events: times of free and busy are not read", kind)
