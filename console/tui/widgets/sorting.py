"""In which order a table shows its rows: the screen's own, or by a column that a person chose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from console.tui.glyphs import Glyphs
from console.tui.widgets.rows import Column, TableRow, plain

_DIGITS = re.compile(r"(\d+)")


class Sorting:
    """The chosen column and its direction; without one the rows stay as they come."""

    def __init__(self) -> None:
        self.column = ""
        self.downwards = False

    def step(self, columns: Sequence[Column]) -> None:
        """The next column; after the last one the screen's own order."""
        names = ["", *(column.key for column in columns)]
        at = names.index(self.column) if self.column in names else 0
        self.choose(names[(at + 1) % len(names)])

    def choose(self, column: str) -> None:
        """By this column, numbers from the highest; chosen again, the other way round."""
        self.downwards = not self.downwards if column and column == self.column else False
        self.column = column

    def reverse(self) -> None:
        """The other way round."""
        self.downwards = not self.downwards

    def sorted(self, rows: Iterable[TableRow], columns: Sequence[Column]) -> list[TableRow]:
        """The rows in this order; what has no value stands last, in both directions."""
        names = [column.key for column in columns]
        if self.column not in names:
            return list(rows)
        place = names.index(self.column)
        known: list[tuple[_Key, TableRow]] = []
        unknown: list[TableRow] = []
        for row in rows:
            key = _key(row, self.column, place)
            if key is None:
                unknown.append(row)
            else:
                known.append((key, row))
        known.sort(key=lambda pair: pair[0], reverse=self.downwards)
        return [*(row for _, row in known), *unknown]

    def mark(self, column: Column, glyphs: Glyphs) -> str:
        """The sign behind the title of the column by which rows are sorted."""
        if column.key != self.column:
            return ""
        return glyphs.down if self.downwards else glyphs.up


_Key = tuple[int, float, tuple[tuple[int, int, str], ...]]
"""Numbers before texts; digits in texts count as numbers."""


def _key(row: TableRow, column: str, place: int) -> _Key | None:
    value = row.order.get(column) if row.order is not None and column in row.order else _text(row, place)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        parts = _DIGITS.split(value.casefold())
        return (1, 0.0, tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part))
    return (0, float(value), ())


def _text(row: TableRow, place: int) -> str:
    return plain(row.cells[place]).strip() if place < len(row.cells) else ""
