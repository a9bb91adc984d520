"""Rows and columns of a table, their order and the widths of columns; no drawing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, overload

from rich.cells import cell_len
from rich.text import Text

from console.tui.glyphs import Glyphs
from state.text import cells, cut_middle

Cell = Text | str | tuple[str, str]
"""What a cell holds: plain text, (text, style), or a text of several styles, which costs most to build."""
SortKey = tuple[tuple[int, float, str], ...]
NO_VALUE: SortKey = ()
_PARTS = re.compile(r"-?\d+(?:\.\d+)?|\D+|.")
GAP = 2
"""Blank cells between columns."""


@dataclass(frozen=True, slots=True, eq=False)
class TableRow:
    """One row. Cells that look the same are not drawn again; the same object for an unchanged row costs nothing."""

    key: str
    cells: tuple[Cell, ...]
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


def plain(value: Cell) -> str:
    """The characters of a cell."""
    if isinstance(value, str):
        return value
    return value[0] if isinstance(value, tuple) else value.plain


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


class LazyRows(Sequence[TableRow]):
    """Rows that are built when they come into sight."""

    def __init__(self, keys: Sequence[str], build: Callable[[str], TableRow]) -> None:
        self.keys = list(keys)
        self._build = build
        self._built: dict[int, TableRow] = {}

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, place: int) -> TableRow: ...
    @overload
    def __getitem__(self, place: slice) -> list[TableRow]: ...
    def __getitem__(self, place: int | slice) -> TableRow | list[TableRow]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self.keys)))]
        row = self._built.get(place)
        if row is None:
            row = self._built[place] = self._build(self.keys[place])
        return row


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

    @property
    def active(self) -> bool:
        """Whether anything is sorted or left out."""
        return self.column is not None or bool(self.needle)

    def apply(self, rows: Iterable[TableRow]) -> list[TableRow]:
        """The rows to show."""
        needle = self.needle.casefold()
        shown = [row for row in rows if matches(row, needle)] if needle else list(rows)
        if self.column is not None:
            known = [row for row in shown if self._key(row) != NO_VALUE]
            unknown = [row for row in shown if self._key(row) == NO_VALUE]
            if len(self._keys) > 2 * len(shown) + 100:
                self._keys = {row.key: self._keys[row.key] for row in shown}
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


def fit(value: Cell, room: int, column: Column, glyphs: Glyphs) -> Text:
    """A cell in exactly `room` cells. Names lose their middle; a number is shown whole or not at all, since
    without its beginning or end it is another number."""
    shown = plain(value)
    used = cell_len(shown)
    if used > room:
        cut = "#" * room if column.align == "right" else _cut(shown, room, glyphs.ellipsis)
        style = value[1] if isinstance(value, tuple) else value.style if isinstance(value, Text) else ""
        return Text.assemble((cut, style), " " * (room - cell_len(cut)))
    blank = " " * (room - used)
    return Text.assemble(blank, value) if column.align == "right" else Text.assemble(value, blank)


def _cut(name: str, room: int, ellipsis: str) -> str:
    """Cut in the middle, by the widths the screen is drawn with: they know a newer Unicode than the rest."""
    target = room
    cut = cut_middle(name, target, ellipsis)
    while cell_len(cut) > room:
        target -= 1
        cut = cut_middle(name, target, ellipsis)
    return cut


def same_cell(before: Cell, now: Cell) -> bool:
    """Whether a cell looks the same. Equality of texts alone overlooks their base style."""
    if before is now:
        return True
    if isinstance(before, Text) and isinstance(now, Text):
        return before == now and before.style == now.style
    return type(before) is type(now) and before == now
