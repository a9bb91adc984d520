"""Trends: a sparkline in one line, a chart in several, both with their target drawn in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from rich.text import Text
from textual.geometry import Size

from console.tui.glyphs import ACTIVE, FAIL, MUTED, UNICODE, Glyphs
from console.tui.widgets.lines import Lines
from console.tui.widgets.panel import Titled
from state.text import cells

Values = Sequence[float | None]
"""Oldest first; None where nothing was read, which stays empty."""


def _short(value: float) -> str:
    return f"{value:.3g}"


def sparkline(values: Values, width: int, glyphs: Glyphs = UNICODE, *, target: float | None = None) -> Text:
    """The last `width` values. With a target, values above it stand out, and its own height follows the line."""
    room = width if target is None else max(1, width - 2)
    shown = values[-room:]
    low, high = _range(shown, target)
    line = Text(" " * (room - len(shown)), end="", no_wrap=True)
    for value in shown:
        if value is None:
            line.append(" ")
        else:
            above = target is not None and value > target
            line.append(_level(value, low, high, glyphs), f"{FAIL} underline" if above else ACTIVE)
    if target is not None:
        line.append(f"{glyphs.separator}{_level(target, low, high, glyphs)}", MUTED)
    return line


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
        return [Text("no data yet", MUTED, end="", no_wrap=True)]
    low, high = _range(values, target)
    scale = {0: label(high), height - 1: label(low)}
    target_row = None
    if target is not None:
        target_row = height - 1 - min(height - 1, int((target - low) / (high - low) * height))
        scale[target_row] = label(target)
    margin = max(map(cells, scale.values())) + 1
    groups = _grouped(values, max(1, width - margin))
    steps = len(glyphs.levels)
    filled = [None if value is None else round((value - low) / (high - low) * height * steps) for value in groups]
    styles = [FAIL if value is not None and target is not None and value > target else ACTIVE for value in groups]
    rows: list[Text] = []
    for row in range(height):
        line = Text(scale.get(row, "").rjust(margin - 1) + " ", MUTED, end="", no_wrap=True)
        blank = glyphs.target if row == target_row else " "
        below = (height - 1 - row) * steps
        least = glyphs.levels[0] if row == height - 1 else ""
        signs = [least if each is not None and each <= below else _block(each, below, glyphs) for each in filled]
        for style, run in groupby(zip(signs, styles, strict=True), key=lambda cell: cell[1] if cell[0] else MUTED):
            line.append("".join(sign or blank for sign, _ in run), style)
        rows.append(line)
    return rows


def _range(values: Values, target: float | None) -> tuple[float, float]:
    """Lowest and highest, from 0 where nothing is negative: a small ripple must not look like a storm."""
    known = [value for value in values if value is not None]
    if target is not None:
        known.append(target)
    low, high = min([0.0, *known]), max([0.0, *known])
    return low, high if high > low else low + 1.0


def _level(value: float, low: float, high: float, glyphs: Glyphs) -> str:
    steps = len(glyphs.levels)
    return glyphs.levels[min(steps - 1, max(0, int((value - low) / (high - low) * steps)))]


def _block(filled: int | None, below: int, glyphs: Glyphs) -> str:
    """The sign in one row of a column filled to so many steps, `below` of them below the row."""
    if filled is None or filled <= below:
        return ""
    return glyphs.levels[min(len(glyphs.levels), filled - below) - 1]


def _grouped(values: Values, columns: int) -> list[float | None]:
    count = len(values)
    if count <= columns:
        return [*[None] * (columns - count), *values]
    groups: list[float | None] = []
    for column in range(columns):
        group = values[column * count // columns : (column + 1) * count // columns]
        known = [value for value in group if value is not None]
        groups.append(max(known) if known else None)
    return groups


class Chart(Titled, Lines):
    """A chart that fills its width and height."""

    DEFAULT_CSS = "Chart { height: 6; width: 1fr; }"

    def __init__(self, glyphs: Glyphs = UNICODE, *, title: str = "", id: str | None = None) -> None:
        super().__init__(id=id, classes="-titled" if title else None)
        self.glyphs = glyphs
        if title:
            self.set_title(title)
        self._values: Values = ()
        self._target: float | None = None
        self._label: Callable[[float], str] = _short
        self._size_drawn = Size(0, 0)

    def show_values(
        self, values: Values, *, target: float | None = None, label: Callable[[float], str] = _short
    ) -> None:
        """Draw these values, oldest first."""
        if (tuple(values), target, label) != (self._values, self._target, self._label):
            self._values, self._target, self._label = tuple(values), target, label
            self.show(self._drawn())

    def rows(self, width: int) -> Sequence[Text]:
        if self._size_drawn != self.size:
            self._lines = self._drawn()
        return self._lines

    def _drawn(self) -> list[Text]:
        """The lines for the size there is."""
        self._size_drawn = self.size
        width, height = self.size
        if not width or height <= 2:
            return []
        rows = chart(self._values, width, height - 1, self.glyphs, target=self._target, label=self._label)
        return [*rows, _axis(len(self._values), width)] if len(rows) > 1 else rows


def _axis(count: int, width: int) -> Text:
    """The line below a chart: how far back it goes."""
    oldest, newest = f"{count} readings", "now"
    return Text(f"{oldest}{newest:>{max(1, width - cells(oldest))}}"[-width:], MUTED, end="", no_wrap=True)
