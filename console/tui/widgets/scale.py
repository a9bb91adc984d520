"""How values become columns of blocks: the scale, the level signs, and groups that never hide a spike."""

from __future__ import annotations

from collections.abc import Sequence

from console.tui.glyphs import Glyphs

Values = Sequence[float | None]
"""Oldest first; None where nothing was read, which stays empty."""
WIDEST = 4
"""Columns that one value may take at most: a few values never fill a chart with a few giant bars."""


def scale_of(values: Values, target: float | None) -> tuple[float, float]:
    """Lowest and highest, from 0 where nothing is negative: a small ripple must not look like a storm."""
    known = [value for value in values if value is not None]
    if target is not None:
        known.append(target)
    low, high = min([0.0, *known]), max([0.0, *known])
    return low, high if high > low else low + 1.0


def level(value: float, low: float, high: float, glyphs: Glyphs) -> str:
    """The sign of one value in one line."""
    steps = len(glyphs.levels)
    return glyphs.levels[min(steps - 1, max(0, int((value - low) / (high - low) * steps)))]


def block(filled: int | None, below: int, glyphs: Glyphs) -> str:
    """The sign in one row of a column filled to so many steps, `below` of them below the row."""
    if filled is None or filled <= below:
        return ""
    return glyphs.levels[min(len(glyphs.levels), filled - below) - 1]


def columns_of(values: Values, columns: int) -> list[float | None]:
    """One value a column, the newest at the right. Of several the highest counts; fewer are repeated, at most
    `WIDEST` times, and the columns at the left stay empty."""
    count = len(values)
    if not count:
        return [None] * columns
    if count <= columns:
        wide = min(WIDEST, columns // count)
        filled = [value for value in values for _ in range(wide)]
        return [*[None] * (columns - len(filled)), *filled]
    groups: list[float | None] = []
    for column in range(columns):
        group = values[column * count // columns : (column + 1) * count // columns]
        known = [value for value in group if value is not None]
        groups.append(max(known) if known else None)
    return groups


def place_of(index: float, count: int, columns: int) -> int:
    """The column in which the value of an index stands, by the same rule."""
    if count <= columns:
        wide = min(WIDEST, columns // max(1, count))
        return columns - count * wide + int(index * wide)
    return min(columns - 1, int(index * columns / count))
