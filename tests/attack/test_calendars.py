"""Calendar files that nobody meant well with: told with the limit they break, in bounded time, never as no window."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from adapters.calendars.reading import CPU_SECONDS, read_calendar, times_told
from adapters.calendars.scan import DEEPEST, MOST_BYTES, MOST_EVENTS
from adapters.calendars.spans import MOST_TIMES
from state.errors import ConfigError, Problem

NOW = 1_795_856_400.0
"""2026-11-28 09:00 in UTC."""
ONE = "BEGIN:VEVENT\nDTSTART;TZID=Europe/Berlin:20261201T090000\nDURATION:PT1H\n{}END:VEVENT\n"


def problem(folder: Path, raw: bytes, cpu: int = CPU_SECONDS) -> Problem:
    file = folder / "hostile.ics"
    file.write_bytes(raw)
    with pytest.raises(ConfigError) as refused:
        read_calendar(file, "Europe/Berlin", "", NOW, cpu=cpu)
    (found,) = refused.value.problems
    assert found.file == str(file)
    return found


def calendar(*parts: str) -> bytes:
    return ("BEGIN:VCALENDAR\nVERSION:2.0\n" + "".join(parts) + "END:VCALENDAR\n").encode()


NEVER = ONE.format("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30\n")
COUNTED = ONE.format("RRULE:FREQ=SECONDLY;COUNT=2000000000\n").replace("2026", "1970")
HOSTILE: dict[str, tuple[bytes, int, str]] = {
    "events": (calendar(ONE.format("") * 100_000), 0, f"at most {MOST_BYTES:,} bytes"),
    "size": (b"X" * 10_000_000, 0, f"at most {MOST_BYTES:,} bytes"),
    "many": (calendar("BEGIN:VEVENT\nDTSTART:20261201\nEND:VEVENT\n" * 30_000), 15_003, f"{MOST_EVENTS:,} events"),
    "secondly": (calendar(ONE.format("RRULE:FREQ=SECONDLY\n")), 3, f"at most {MOST_TIMES:,} occurrences"),
    "daily": (calendar(ONE.format("RRULE:FREQ=DAILY\n") * 1000), 623, f"at most {MOST_TIMES:,} occurrences"),
    "counted": (calendar(COUNTED), 0, "2 s of a processor"),
    "never": (calendar(NEVER * 2000), 0, "2 s of a processor"),
    "deep": (calendar("BEGIN:VTIMEZONE\n" + "BEGIN:STANDARD\n" * 100), 2 + DEEPEST, f"at most {DEEPEST} levels"),
    "empty": (b"", 0, "BEGIN:VCALENDAR"),
    "blank": (b"\n\n", 0, "BEGIN:VCALENDAR"),
    "page": (b"<html>sign in first</html>\n", 1, "BEGIN:VCALENDAR"),
    "cut": (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261201\n", 2, "END:VEVENT before the file ends"),
    "crossed": (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261201\nEND:VCALENDAR\n", 4, "END:VEVENT"),
    "inside": (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR\n", 3, "END:VEVENT"),
    "after": (b"BEGIN:VCALENDAR\nEND:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\n", 3, "inside BEGIN:VCALENDAR"),
    "bare": (b"BEGIN:VEVENT\nDTSTART:20261201\nEND:VEVENT\n", 1, "inside BEGIN:VCALENDAR"),
    "latin": (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:caf\xe9\nEND:VEVENT\nEND:VCALENDAR\n", 3, "UTF-8 text"),
    "nul": (calendar("BEGIN:VEVENT\nSUMMARY:a\0b\nEND:VEVENT\n"), 4, "NUL"),
    "returns": (calendar(ONE.format("")).replace(b"\n", b"\r"), 1, "line feed"),
    "zone": (calendar(ONE.format("").replace("Europe/Berlin", "../../../../etc/passwd")), 3, "a zone of this machine"),
}
"""What is in a file, the line that is named (0 = the file), and what is said to be expected there."""


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_told_what_is_wrong_and_where(tmp_path: Path, name: str) -> None:
    raw, line, expected = HOSTILE[name]
    found = problem(tmp_path, raw, 2 if "processor" in expected else CPU_SECONDS)
    assert expected in found.expected
    assert found.line == line


def test_what_began_long_ago_or_lasts_long_is_no_limit(tmp_path: Path) -> None:
    file = tmp_path / "good.ics"
    old = ONE.format("RRULE:FREQ=DAILY\n").replace("20261201", "19700101")
    long = ONE.format("").replace("PT1H", "P900D").replace("20261201", "20250101")
    file.write_bytes(calendar(old, long))
    found = read_calendar(file, "Europe/Berlin", "", NOW)
    assert len(found.spans) == 402 + 1
    open_one = found.open_at(NOW)
    assert open_one is not None
    assert open_one.end - open_one.start >= 900 * 86_400


@pytest.mark.parametrize(
    ("until", "times"),
    [("99991231T235959", 402), ("99991231T235959Z", 402), ("99991231", 402), ("00010101T000000", 0), ("00010101", 0)],
)
def test_a_rule_until_the_end_of_all_years_has_no_end(tmp_path: Path, until: str, times: int) -> None:
    """Many programs write "for ever" so; DTSTART itself counts whatever the rule says."""
    file = tmp_path / "good.ics"
    file.write_bytes(calendar(ONE.format(f"RRULE:FREQ=DAILY;UNTIL={until}\n").replace("20261201", "20261126")))
    assert len(read_calendar(file, "Europe/Berlin", "", NOW).spans) == times


ANSWERS = (b"", b"Traceback", b"[]", b"null", b"{}", b'{"spans": 1}', b'{"problem": []}', b'{"problem": ["x", 1, 2]}')
CROOKED = b'{"titles": [], "spans": [[1, 2, 0]], "digest": "", "written": 0, "free": 0, "without_length": 0}'
ENDLESS = CROOKED.replace(b"[1, 2", b"[NaN, Infinity").replace(b": []", b': ["a"]')


@pytest.mark.parametrize("output", [*ANSWERS, CROOKED, CROOKED.replace(b"[1,", b"[null,"), ENDLESS, b"[" * 100_000])
def test_a_reader_that_answers_something_else_has_told_nothing(tmp_path: Path, output: bytes) -> None:
    with pytest.raises(ConfigError, match="an answer of the reader of calendars"):
        times_told(tmp_path / "a.ics", output, 0.0, 1.0)


def test_letters_folded_in_their_middle_and_a_mark_at_the_beginning_are_read(tmp_path: Path) -> None:
    file = tmp_path / "good.ics"
    raw = calendar(ONE.format("SUMMARY:caf\xe9 \U0001f512\n")).replace("\xe9".encode(), b"\xc3\r\n \xa9")
    file.write_bytes(b"\xef\xbb\xbf" + raw)
    assert [span.title for span in read_calendar(file, "UTC", "", NOW).spans] == ["caf\xe9 \U0001f512"]


def test_a_file_that_another_account_may_change_is_none_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "good.ics"
    file.write_bytes(calendar(ONE.format("")))
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="everybody may write"):
        read_calendar(file, "UTC", "", NOW)


def test_a_pipe_or_a_missing_file_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ics", 0o600)
    for name, told in (("pipe.ics", "not a regular file"), ("none.ics", "no such file")):
        with pytest.raises(ConfigError, match=told):
            read_calendar(tmp_path / name, "UTC", "", NOW)


async def test_the_loop_goes_on_while_a_calendar_takes_all_its_time(tmp_path: Path) -> None:
    """Turns of the loop are counted, not timed: with the reader in this process there would be a handful."""
    file = tmp_path / "slow.ics"
    file.write_bytes(calendar(NEVER * 2000))
    reading = asyncio.create_task(asyncio.to_thread(read_calendar, file, "UTC", "", NOW, cpu=2))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert isinstance(reading.exception(), ConfigError)
    assert turns > 50
