"""Rows and columns of a table, their order and the widths of columns; no drawing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from console.tui.glyphs import Glyphs
from state.text import cells, cut_middle

SortKey = tuple[tuple[int, float, str], ...]
NO_VALUE: SortKey = ()
_PARTS = re.compile(r"-?\d+(?:\.\d+)?|\D+|.")
GAP = 2
"""Blank cells between columns."""


@dataclass(frozen=True, slots=True, eq=False)
class TableRow:
    """One row. Cells that look the same are not drawn again; the same object for an unchanged row costs nothing."""

    key: str
    cells: tuple[Text | str, ...]
    style: str = ""
    order: tuple[float | str | None, ...] = ()
    """Raw values to sort by, one per column; without them the text is sorted, numbers by size."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a fixed width, or a share (`flex`) of what the fixed ones leave, at least `width`."""

    key: str
    title: str
    width: int = 8
    flex: int = 0
    align: Literal["left", "right"] = "left"
    """Right-aligned cells are numbers: never cut, `#` when they cannot fit."""


def plain(value: Text | str) -> str:
    """The characters of a cell."""
    return value.plain if isinstance(value, Text) else value


def natural(text: str) -> SortKey:
    """Order of texts in which web-2 comes before web-10."""
    return tuple(_part(part) for part in _PARTS.findall(text.casefold()))


def _part(part: str) -> tuple[int, float, str]:
    try:
        return (0, float(part), "")
    except ValueError:
        return (1, 0.0, part)


def sort_key(row: TableRow, column: int) -> SortKey:
    """Where the row belongs by that column; NO_VALUE comes last in both directions."""
    if column < len(row.order):
        value = row.order[column]
        if value is None:
            return NO_VALUE
        return ((0, float(value), ""),) if isinstance(value, int | float) else natural(value)
    return natural(plain(row.cells[column])) if column < len(row.cells) else NO_VALUE


def matches(row: TableRow, needle: str) -> bool:
    """Whether any cell contains the (case-folded) text."""
    return any(needle in plain(value).casefold() for value in row.cells)


class Order:
    """Which rows are shown and in which order; remembers sort keys of rows that did not change."""

    def __init__(self) -> None:
        self.column: int | None = None
        self.descending = False
        self.needle = ""
        self._keys: dict[str, tuple[TableRow, SortKey]] = {}

    def sort_by(self, column: int | None, *, descending: bool = False) -> None:
        self.column, self.descending = column, descending
        self._keys.clear()

    def apply(self, rows: Iterable[TableRow]) -> list[TableRow]:
        """The rows to show."""
        needle = self.needle.casefold()
        shown = [row for row in rows if matches(row, needle)] if needle else list(rows)
        if self.column is not None:
            known = [row for row in shown if self._key(row) != NO_VALUE]
            unknown = [row for row in shown if self._key(row) == NO_VALUE]
            return sorted(known, key=self._key, reverse=self.descending) + unknown
        return shown

    def _key(self, row: TableRow) -> SortKey:
        assert self.column is not None
        known = self._keys.get(row.key)
        if known is not None and known[0] is row:
            return known[1]
        key = sort_key(row, self.column)
        self._keys[row.key] = (row, key)
        return key


def widths(columns: Sequence[Column], room: int) -> list[int]:
    """The width of each column in cells. Flexible columns share what is left; columns that no longer fit at
    the right are left out (width 0)."""
    fixed = sum(max(column.width, cells(column.title)) for column in columns) + GAP * (len(columns) - 1)
    spare = max(0, room - fixed)
    shares = sum(column.flex for column in columns)
    result: list[int] = []
    used = 0
    given = 0
    for column in columns:
        width = max(column.width, cells(column.title))
        if column.flex:
            extra = spare * (given + column.flex) // shares - spare * given // shares
            given += column.flex
            width += extra
        if used and used + width > room:
            width = 0
        result.append(width)
        used += width + GAP if width else 0
    return result


def fit(value: Text | str, room: int, column: Column, glyphs: Glyphs) -> Text:
    """A cell in exactly `room` cells. Names lose their middle; a number is shown whole or not at all, since
    without its beginning or end it is another number."""
    shown = plain(value)
    used = cells(shown)
    if used > room:
        cut = "#" * room if column.align == "right" else cut_middle(shown, room, glyphs.ellipsis)
        return Text(cut + " " * (room - cells(cut)), value.style if isinstance(value, Text) else "")
    blank = " " * (room - used)
    return Text.assemble(blank, value) if column.align == "right" else Text.assemble(value, blank)


def same_cell(before: Text | str, now: Text | str) -> bool:
    """Whether a cell looks the same. Equality of texts alone overlooks their base style."""
    if before is now:
        return True
    if isinstance(before, Text) and isinstance(now, Text):
        return before == now and before.style == now.style
    return isinstance(before, str) and isinstance(now, str) and before == now
