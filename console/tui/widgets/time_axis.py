"""The lines below a chart: times of day in UTC at round minutes, and what happened when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.text import Text

from console.tui.glyphs import MUTED, WARN, Glyphs
from state.text import cells, cut_middle

TICKS = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400)
"""Seconds between two times on the axis; the first that leaves room is taken."""
APART = 9
"""Columns between the beginnings of two times."""


class ChartEvent(NamedTuple):
    """Something that happened, at seconds since 1970: a deploy, a switchover."""

    at: float
    name: str


def time_axis(started_at: float, seconds: float, columns: int, place: Callable[[float], int]) -> Text:
    """Times at their columns, the newest at the right with a Z. `place` is the column of an instant."""
    line = [" "] * columns
    last = _clock(started_at + seconds, short=seconds >= TICKS[4])
    end = f"{last}Z"
    per = seconds / max(1, columns)
    tick = next((each for each in TICKS if each >= per * APART), TICKS[-1])
    short = tick >= TICKS[2]
    at = -(-started_at // tick) * tick
    while at < started_at + seconds:
        word, column = _clock(at, short=short), place(at)
        if column >= 0 and column + cells(word) + 2 <= columns - cells(end):
            line[column : column + cells(word)] = word
        at += tick
    if len(end) <= columns:
        line[columns - len(end) :] = end
    return Text("".join(line), MUTED, end="", no_wrap=True)


def event_line(events: Sequence[ChartEvent], columns: int, place: Callable[[float], int], glyphs: Glyphs) -> Text:
    """`╳ deploy v42` at its column; names that do not fit before the next are cut."""
    line = Text(end="", no_wrap=True)
    marks = sorted((place(event.at), event.name) for event in events)
    for number, (column, name) in enumerate(marks):
        start = max(0, min(columns - 1, column))
        until = marks[number + 1][0] if number + 1 < len(marks) else columns
        word = f"{glyphs.event} {name}"
        if number + 1 == len(marks):
            start = max(line.cell_len, min(start, columns - cells(word)))
        if start < line.cell_len or until - start < 1:
            continue
        line.append(" " * (start - line.cell_len))
        line.append(cut_middle(word, max(1, until - start - 1), glyphs.ellipsis), WARN)
    line.append(" " * (columns - line.cell_len))
    return line


def _clock(epoch: float, *, short: bool) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%H:%M" if short else "%H:%M:%S")
