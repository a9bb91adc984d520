"""The lines of a table: its head with columns, order and filter, and its rows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.style import Style
from rich.text import Text

from console.tui.glyphs import MUTED, WARN, Glyphs
from console.tui.widgets.rows import GAP, Column, TableRow, fit
from console.tui.widgets.sorting import Sorting
from state.text import cells, cut_middle

HEADER_STYLE = Style(bold=True, color="bright_black")
HINT = "o sorts"


def head_line(
    columns: Sequence[Column], widths: Sequence[int], width: int, sorting: Sorting, glyphs: Glyphs, *, focused: bool
) -> Text:
    """The titles above their columns; in focus also the key that sorts, where the last column leaves room."""
    line = Text("  ", HEADER_STYLE, end="")
    last = ""
    for column, room in zip(columns, widths, strict=False):
        if room:
            title = column.title + sorting.mark(column, glyphs)
            title = title[:room] if cells(title) > room else title
            blank = " " * (room - cells(title))
            line.append(blank + title if column.align == "right" else title + blank)
            line.append(" " * GAP)
            last = title if column.align == "left" else " " * room
    if focused and columns and len(line.plain.rstrip()) + len(HINT) + 3 <= width and last:
        line.truncate(width - len(HINT) - 1, pad=True)
        line.append(HINT, MUTED)
    return line


def row_line(row: TableRow, columns: Sequence[Column], widths: Sequence[int], glyphs: Glyphs, *, under: bool) -> Text:
    """A row below its titles, marked when the cursor is on it."""
    line = Text(f"{glyphs.cursor} " if under else "  ", end="", no_wrap=True)
    for column, room, value in zip(columns, widths, row.cells, strict=False):
        if room:
            line.append_text(fit(value, room, column, glyphs))
            line.append(" " * GAP)
    return line


def with_filter(line: Text, needle: str, shown: int, of: int, width: int, glyphs: Glyphs) -> Text:
    """The line with the filter at its right end, if there is one."""
    if not needle:
        return line
    told = f" filter {cut_middle(needle, max(4, width // 3), glyphs.ellipsis)}: {shown} of {of} "
    line.truncate(max(0, width - cells(told)), pad=True)
    line.append(told, f"{WARN} reverse")
    return line


def reason_lines(empty: str, needle: str, rows: int, width: int, console: Console) -> list[Text]:
    """Why a table shows no row, wrapped: it has none (`empty` says why), or the filter hides all of them."""
    reason = f"none of {rows} rows contains {needle!r}; esc shows all" if rows else empty
    message = Text(reason, MUTED, end="")
    return [Text.assemble("  ", line, end="") for line in message.wrap(console, max(8, width - 4))]


def column_at(columns: Sequence[Column], widths: Sequence[int], x: int) -> str:
    """The key of the column at a cell of the table, empty beside them."""
    left = 2
    for column, room in zip(columns, widths, strict=False):
        if room and left <= x < left + room + GAP:
            return column.key
        left += room + GAP if room else 0
    return ""
