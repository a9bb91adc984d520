"""Rows and columns of a table, which of them a filter shows, and cells cut to a width; no drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, overload

from rich.cells import cell_len
from rich.text import Text

from console.tui.glyphs import Glyphs
from console.tui.widgets.lines import same_text
from state.text import cut_middle

Cell = Text | str | tuple[str, str]
"""What a cell holds: plain text, (text, style), or a text of several styles, which costs most to build."""
GAP = 2
"""Blank cells between columns."""


class TableRow(NamedTuple):
    """One row. Cells that look the same are not drawn again; the same object for an unchanged row costs nothing."""

    key: str
    cells: tuple[Cell, ...]
    order: Mapping[str, float | str | None] | None = None
    """What columns are sorted by, where it is not their text; None has no place among the others."""


class Column(NamedTuple):
    """One column: a fixed width, or a share (`flex`) of what the fixed ones leave, at least `width`."""

    key: str
    title: str
    width: int = 8
    flex: int = 0
    align: Literal["left", "right"] = "left"
    """Right-aligned cells are numbers: never cut, `#` when they cannot fit."""
    cut: Literal["middle", "end"] = "middle"
    """Names are cut in the middle, prose at its end."""
    wish: int = 0
    """Columns at its right are left out before it has less than this."""
    grow: int = 0
    """It becomes as wide as what it holds, at most this; it never shrinks again, so that columns keep their place."""


def plain(value: Cell) -> str:
    """The characters of a cell."""
    if isinstance(value, str):
        return value
    return value[0] if isinstance(value, tuple) else value.plain


def matches(row: TableRow, needle: str, columns: Sequence[str] = ()) -> bool:
    """Whether each word of the (case-folded) text is in some cell; `column=word` looks for exactly that in one."""
    column, equals, word = needle.partition("=")
    if equals and column in columns:
        place = columns.index(column)
        return place < len(row.cells) and plain(row.cells[place]).strip().casefold() == word.strip()
    shown = [plain(value).casefold() for value in row.cells]
    return all(any(word in text for text in shown) for word in needle.split())


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


def filtered(rows: Iterable[TableRow], needle: str, columns: Sequence[str]) -> list[TableRow]:
    """The rows to show."""
    wanted = needle.casefold()
    return [row for row in rows if matches(row, wanted, columns)] if wanted else list(rows)


def fit(value: Cell, room: int, column: Column, glyphs: Glyphs) -> Text:
    """A cell in exactly `room` cells. Names lose their middle, prose its end; a number is shown whole or not at
    all, since without its beginning or end it is another number."""
    shown = plain(value)
    used = cell_len(shown)
    if used > room:
        if column.align != "right" and column.cut == "end":
            return _cut_end(value, room, glyphs.ellipsis)
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


def _cut_end(value: Cell, room: int, ellipsis: str) -> Text:
    """The beginning with its styles, and a sign that more follows."""
    line = Text.assemble(value)
    line.truncate(max(0, room - 1))
    line.rstrip()
    line.append(ellipsis[: max(0, room)])
    return Text.assemble(line, " " * (room - line.cell_len))


def same_cell(before: Cell, now: Cell) -> bool:
    """Whether a cell looks the same."""
    if before is now:
        return True
    if isinstance(before, Text) and isinstance(now, Text):
        return same_text(before, now)
    return type(before) is type(now) and before == now
