"""A calendar file, read: ours by the rules of every file of an estate, understood in a process with limits."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

from adapters.calendars.scan import MOST_BYTES, QUOTED
from adapters.confined.run import run_confined
from state.errors import ConfigError, Problem
from state.estate.calendars import AHEAD, BEHIND, CalendarTimes, Span, calendar_times
from state.host.trust import require_ours
from state.units import counted

CHILD = "adapters.calendars.child"
SECONDS = 45.0
"""The most time that is spent on a file, also on a host that is busy."""
CPU_SECONDS = 10
"""The most seconds of a processor: what a reader is given that has one for itself."""
MOST_OUTPUT = 16_000_000
"""Bytes: more than the reader has to say of any file."""
MOST_QUOTED = 256
"""Characters of what was found and expected, in a message."""

__all__ = ["MOST_BYTES", "read_calendar"]


def read_calendar(
    path: Path, zone: str, named: str, wall: float, *, seconds: float = SECONDS, cpu: int = CPU_SECONDS
) -> CalendarTimes:
    """The events whose title contains `named`, as instants around a wall time in epoch seconds; `zone` is for times
    that name none. Blocks. Raises ConfigError with the line where something is not understood: nothing is known then.
    """
    require_ours(path)
    since, until = wall - BEHIND, wall + AHEAD
    argv = [sys.executable, "-P", "-m", CHILD, str(path.absolute()), zone, named, repr(since), repr(until), str(cpu)]
    try:
        done = run_confined(argv[0], argv, Path("/"), seconds=seconds, most=MOST_OUTPUT)
    except OSError as error:
        raise _problem(path, 0, "a reader of calendars that can be started", str(error)) from error
    if done.code is None:
        raise _problem(path, 0, f"a calendar that is understood within {seconds:.0f} s", "more than that")
    if done.code == 128 + signal.SIGXCPU:
        raise _problem(path, 0, f"a calendar that is understood within {cpu} s of a processor", "more than that")
    if done.code != 0 or len(done.output) > MOST_OUTPUT:
        expected = "a calendar that the reader understands with the memory it may take"
        raise _problem(path, 0, expected, f"it ended with {done.code}")
    return times_told(path, done.output, since, until)


def times_told(path: Path, output: bytes, since: float, until: float) -> CalendarTimes:
    """What the reader said of a file. Raises ConfigError for what it told is wrong, and for what is no answer."""
    try:
        found = json.loads(output, parse_constant=_no_time)
        if "problem" in found:
            line, expected, was = found["problem"]
            raise _problem(path, int(line), expected, was)
        spans = [Span(float(start), float(end), str(found["titles"][place])) for start, end, place in found["spans"]]
        known = since, until
        return calendar_times(path.name, str(found["digest"]), float(found["written"]), known, spans, _left_out(found))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise _problem(path, 0, "an answer of the reader of calendars", f"{output[:QUOTED]!r}") from error


def _no_time(name: str) -> float:
    """NaN and the endless ones are before and after nothing: a window with them would never be open."""
    raise ValueError(name)


def _left_out(found: dict[str, Any]) -> str:
    """What protects nothing, for the person who wrote it."""
    told = [
        f"{counted(found[key], 'event')} {why}"
        for key, why in (("free", "free or cancelled"), ("without_length", "without a length"))
        if found[key]
    ]
    if found["untitled"]:
        told.append(f"{counted(found['untitled'], 'event')}, none of them with this title")
    if days := found["free_days"]:
        told[0] += f" ({counted(days, 'whole day')} as free: some programs mark them so unless somebody chooses busy)"
    return ", ".join(told)


def _problem(path: Path, line: int, expected: str, found: str) -> ConfigError:
    return ConfigError((Problem(str(path), line, 1 if line else 0, found[:MOST_QUOTED], expected[:MOST_QUOTED]),))
