"""A chart over time: columns of blocks, a target line, gaps where nothing was read, times of day below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.text import Text
from textual.geometry import Size

from console.tui.glyphs import ACTIVE, FAIL, MUTED, UNICODE, Glyphs
from console.tui.widgets.lines import Lines
from console.tui.widgets.panel import Titled
from console.tui.widgets.scale import Values, block, columns_of, place_of, scale_of
from console.tui.widgets.time_axis import ChartEvent, event_line, time_axis
from state.text import cells

MOST_ROWS = 12
"""Rows of blocks. A higher chart says no more; the room belongs to tables and details."""
NO_DATA = "no data yet"


def _short(value: float) -> str:
    return f"{value:.3g}"


class Drawing(NamedTuple):
    """What a chart draws: values with their step in seconds, and the start of the first in seconds since 1970.

    Without a start the times are not known and the axis counts readings.
    """

    values: Values = ()
    started_at: float | None = None
    step: float = 1.0
    target: float | None = None
    label: Callable[[float], str] = _short
    events: tuple[ChartEvent, ...] = ()


def chart(
    values: Values,
    width: int,
    height: int,
    glyphs: Glyphs = UNICODE,
    *,
    target: float | None = None,
    label: Callable[[float], str] = _short,
) -> list[Text]:
    """Columns of blocks with the scale at the left: highest above, lowest below, the target on its line.

    More values than columns are drawn by the highest of each group: a spike is never averaged away.
    """
    if height < 2 or not any(value is not None for value in values):
        return [Text(NO_DATA, MUTED, end="", no_wrap=True)]
    low, high = scale_of(values, target)
    scale = {0: label(high), height - 1: label(low)}
    target_row = None
    if target is not None:
        target_row = height - 1 - min(height - 1, int((target - low) / (high - low) * height))
        scale[target_row] = label(target)
    margin = max(map(cells, scale.values())) + 1
    groups = columns_of(values, max(1, width - margin))
    steps = len(glyphs.levels)
    filled = [None if value is None else round((value - low) / (high - low) * height * steps) for value in groups]
    styles = [FAIL if value is not None and target is not None and value > target else ACTIVE for value in groups]
    rows: list[Text] = []
    for row in range(height):
        line = Text(scale.get(row, "").rjust(margin - 1) + " ", MUTED, end="", no_wrap=True)
        blank = glyphs.target if row == target_row else " "
        below = (height - 1 - row) * steps
        least = glyphs.levels[0] if row == height - 1 else ""
        signs = [least if each is not None and each <= below else block(each, below, glyphs) for each in filled]
        for style, run in groupby(zip(signs, styles, strict=True), key=lambda cell: cell[1] if cell[0] else MUTED):
            line.append("".join(sign or blank for sign, _ in run), style)
        rows.append(line)
    return rows


def drawn(drawing: Drawing, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """The whole chart in at most `height` lines: blocks, events, axis."""
    events = [event for event in drawing.events if _covers(drawing, event)]
    below = 1 + bool(events)
    rows = chart(
        drawing.values, width, min(MOST_ROWS, height - below), glyphs, target=drawing.target, label=drawing.label
    )
    if len(rows) == 1:
        return rows
    low, high = scale_of(drawing.values, drawing.target)
    marks = [low, high] if drawing.target is None else [low, high, drawing.target]
    margin = max(cells(drawing.label(each)) for each in marks) + 1
    columns, count = width - margin, len(drawing.values)
    started = drawing.started_at
    lead = Text(" " * margin, end="", no_wrap=True)
    if started is None:
        return [*rows, lead + _counted(count, columns)]

    def place(at: float) -> int:
        return place_of((at - started) / drawing.step, count, columns)

    if events:
        rows.append(lead + event_line(events, columns, place, glyphs))
    return [*rows, lead + time_axis(started, count * drawing.step, columns, place)]


def _covers(drawing: Drawing, event: ChartEvent) -> bool:
    start = drawing.started_at
    return start is not None and start <= event.at < start + len(drawing.values) * drawing.step


def _counted(count: int, width: int) -> Text:
    """The line below a chart whose times are not known."""
    oldest, newest = f"{count} readings", "now"
    return Text(f"{oldest}{newest:>{max(1, width - cells(oldest))}}"[-width:], MUTED, end="", no_wrap=True)


class Chart(Titled, Lines):
    """A chart that fills its width, and its height up to what a chart needs."""

    DEFAULT_CSS = f"Chart {{ height: 1fr; width: 1fr; max-height: {MOST_ROWS + 3}; }}"

    def __init__(self, glyphs: Glyphs = UNICODE, *, title: str = "", id: str | None = None) -> None:
        super().__init__(id=id, classes="-titled" if title else None)
        self.glyphs = glyphs
        if title:
            self.set_title(title)
        self._drawing = Drawing()
        self._size_drawn = Size(0, 0)

    def draw(self, drawing: Drawing) -> None:
        """Draw this."""
        if drawing != self._drawing:
            self._drawing = drawing
            self.show(self._lines_now())

    def rows(self, width: int) -> Sequence[Text]:
        if self._size_drawn != self.size:
            self._lines = self._lines_now()
        return self._lines

    def _lines_now(self) -> list[Text]:
        """The lines for the size there is."""
        self._size_drawn = self.size
        width, height = self.size
        return drawn(self._drawing, width, height, self.glyphs) if width and height > 2 else []
