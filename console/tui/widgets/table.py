"""The table: keyed rows drawn line by line, so that cost follows what is visible, not what exists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.tui.glyphs import UNICODE, Glyphs
from console.tui.widgets.columns import Fitting
from console.tui.widgets.head import column_at, head_line, reason_lines, row_line, with_filter
from console.tui.widgets.lines import draw
from console.tui.widgets.panel import Titled
from console.tui.widgets.rows import GAP, Column, LazyRows, TableRow, filtered, same_cell
from console.tui.widgets.sorting import Sorting

CURSOR_STYLE = Style(reverse=True)
MARKER_WIDTH = 2


class LineTable(Titled, ScrollView, can_focus=True):
    """Rows with a key, a cursor that stays on its row, and a filter.

    Give it all rows with `set_rows` or some with `update_rows`; only lines whose row changed are drawn again.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("home,g", "edge(-1)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
        Binding("right,l", "sideways(1)", "Right", show=False),
        Binding("left,h", "sideways(-1)", "Left", show=False),
        Binding("enter", "select", "Open", show=False),
        Binding("o", "sort", "Sort by the next column", show=False),
        Binding("O", "sort_back", "Sort the other way round", show=False),
    ]
    DEFAULT_CSS = """
    LineTable { height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """

    class RowHighlighted(Message):
        """The cursor came to another row (key None: no row)."""

        def __init__(self, table: LineTable, key: str | None) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> LineTable:
            return self.table

    class RowSelected(RowHighlighted):
        """Enter was pressed on a row."""

    class Rearranged(RowHighlighted):
        """A person sorted or filtered the rows, or took that back."""

    class Sideways(Message):
        """Left (-1) or right (1) was pressed: the screen decides what lies there."""

        def __init__(self, table: LineTable, direction: int) -> None:
            super().__init__()
            self.table = table
            self.direction = direction

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        title: str = "",
        empty: str = "nothing here",
        glyphs: Glyphs = UNICODE,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=" ".join(filter(None, (classes, title and "-titled"))))
        self._fitting = Fitting(columns)
        self.glyphs = glyphs
        self._empty, self.withheld = empty, ""  # while `withheld` is not empty it stands there instead
        self._needle = ""
        self._sorting = Sorting()
        self._rows: dict[str, TableRow] = {}
        self._source: LazyRows | None = None
        self._shown: Sequence[TableRow] = []
        self._keys: Sequence[str] = []
        self._place: dict[str, int] = {}
        self._cursor = 0
        self._cursor_key: str | None = None
        self.chosen = False  # whether a person put the cursor where it is; until then `suggest` may move it
        self._strips: dict[str, tuple[TableRow, bool, Strip]] = {}
        if title:
            self.set_title(title)

    # -- rows

    def set_rows(self, rows: Iterable[TableRow]) -> None:
        """Replace all rows. Cells that look as before are not drawn again."""
        self._source = None
        self._rows = {row.key: row for row in rows}
        self._measure(self._rows.values())
        self._arrange()

    def set_source(self, keys: Sequence[str], build: Callable[[str], TableRow]) -> None:
        """Replace all rows by ones built when they come into sight: for thousands that change every second.
        While the table is filtered or sorted all are built."""
        self._source = LazyRows(keys, build)
        self._rows = {}
        self._arrange()

    def update_rows(self, changed: Iterable[TableRow]) -> None:
        """Change and add some rows; the others stay as they are. Raises ValueError with a source."""
        if self._source is not None:
            raise ValueError("the rows come from a source: call set_source again")
        added = False
        touched: list[TableRow] = []
        for row in changed:
            added = added or row.key not in self._rows
            self._rows[row.key] = row
            touched.append(row)
        self._measure(touched)
        if added or self._needle or self._sorting.column or not isinstance(self._shown, list):
            self._arrange()
            return
        top, bottom = self._visible()
        for row in touched:
            place = self._place[row.key]
            old, self._shown[place] = self._shown[place], row
            if top <= place < bottom:
                self._refresh_change(place, old, row)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, from left to right."""
        return self._fitting.columns

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show these columns: a beginning of those the cells of the rows are for."""
        if tuple(columns) != self.columns:
            self._fitting = Fitting(columns)
            self._fitting.measure(self._rows.values())
            self.refresh()

    def set_empty(self, reason: str) -> None:
        """Why there are no rows, and which key fills the table."""
        if reason != self._empty:
            self._empty = reason
            if not self._shown:
                self.refresh()

    @property
    def row_count(self) -> int:
        """Rows shown, after filtering."""
        return len(self._shown)

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor."""
        return self._cursor_key

    @property
    def rearranged(self) -> bool:
        """Whether not all rows are shown, or in another order than they came."""
        return bool(self._needle or self._sorting.column)

    def shown_keys(self) -> list[str]:
        """Keys in the order shown."""
        return list(self._keys)

    # -- filter, cursor

    def filter(self, needle: str) -> None:
        """Show only rows with a cell that contains the text, upper and lower case alike."""
        self._needle = needle
        self._arrange()
        self.post_message(self.Rearranged(self, self._cursor_key))
        self.refresh(Region(0, 0, self.size.width, 1))

    def move_to(self, key: str) -> bool:
        """Put the cursor on a row that a person chose; False when it is not shown."""
        place = self._place.get(key)
        if place is None:
            return False
        self._choose(place)
        return True

    def suggest(self, key: str) -> None:
        """Put the cursor on a row, unless a person put it elsewhere."""
        place = self._place.get(key)
        if place is not None and not self.chosen:
            self._move_cursor(place)

    def action_move(self, step: int) -> None:
        self._choose(self._cursor + step)

    def action_page(self, direction: int) -> None:
        self._choose(self._cursor + direction * max(1, self._lines() - 1))

    def action_edge(self, direction: int) -> None:
        self._choose(0 if direction < 0 else len(self._shown) - 1)

    def action_sideways(self, direction: int) -> None:
        self.post_message(self.Sideways(self, direction))

    def action_select(self) -> None:
        if self._cursor_key is not None:
            self.chosen = True
            self.post_message(self.RowSelected(self, self._cursor_key))

    def action_sort(self) -> None:
        self._sorting.step([column for column, width in zip(self.columns, self._fitting.widths, strict=False) if width])
        self._sort()

    def action_sort_back(self) -> None:
        self._sorting.reverse()
        self._sort()

    def _sort(self) -> None:
        self.post_message(self.Rearranged(self, self._cursor_key))
        self._arrange()
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """With a mouse: a title sorts, a row is selected, and opened when it is selected already."""
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y == 0:
            column = column_at(self.columns, self._fitting.widths, at.x)
            if column:
                self._sorting.choose(column)
                self._sort()
            return
        place = self.scroll_offset.y + at.y - 1
        if place == self._cursor:
            self.action_select()
        elif place < len(self._shown):
            self._choose(place)

    def _arrange(self) -> None:
        """Filter, keep cursor and scroll on their rows, draw lines that now hold another row."""
        top, bottom = self._visible()
        before = self._shown[top:bottom]
        under = self._cursor - top
        self._read_rows()
        height = len(self._shown) + 1
        if self.virtual_size.height != height:
            self.virtual_size = Size(1, height)
        place = self._place.get(self._cursor_key or "", min(self._cursor, len(self._shown) - 1))
        self._set_cursor(max(0, place))
        visible = top <= self._cursor < top + self._lines()
        # At the top, new rows are let in as long as the cursor stays in sight.
        if self.is_mounted and 0 <= under < bottom - top and self._cursor != top + under and (top or not visible):
            self.scroll_to(y=self._cursor - under, animate=False, force=True, immediate=True)
        if not self._shown or not before or self._visible()[0] != top:
            self.refresh()
            return
        for line in range(self._lines()):
            now = self._shown[top + line] if top + line < len(self._shown) else None
            old = before[line] if line < len(before) else None
            if now is not None and old is not None and now.key == old.key:
                self._refresh_change(top + line, old, now)
            elif now is not old:
                self._refresh_line(top + line)

    def _read_rows(self) -> None:
        source = self._source
        if source is not None and not self._needle and not self._sorting.column:
            self._shown, keys = source, source.keys
        else:
            rows = filtered(self._rows.values() if source is None else source, self._needle, self._fitting.names)
            self._shown = self._sorting.sorted(rows, self.columns)
            keys = [row.key for row in self._shown]
        if keys != self._keys:
            self._keys = keys
            self._place = {key: place for place, key in enumerate(keys)}

    def _choose(self, place: int) -> None:
        self.chosen = True
        self._move_cursor(place)

    def _move_cursor(self, place: int) -> None:
        place = max(0, min(place, len(self._shown) - 1))
        if not self._shown or (place == self._cursor and self._cursor_key is not None):
            return
        old = self._cursor
        self._set_cursor(place)
        top, lines = self.scroll_offset.y, self._lines()
        if place < top or place >= top + lines:
            self.scroll_to(y=place if place < top else place - lines + 1, animate=False, force=True, immediate=True)
        self._refresh_line(old)
        self._refresh_line(place)

    def _set_cursor(self, place: int) -> None:
        key = self._keys[place] if self._keys else None
        self._cursor = place
        if key != self._cursor_key:
            self._cursor_key = key
            self.post_message(self.RowHighlighted(self, key))

    # -- drawing

    def _measure(self, rows: Iterable[TableRow]) -> None:
        if self._fitting.measure(rows):
            self.refresh()

    def _fit_columns(self) -> list[int]:
        """The widths of the columns beside the marker and the scroll bar, if there is one."""
        if self._fitting.fit(self.scrollable_content_region.width - MARKER_WIDTH):
            self._strips.clear()
        return self._fitting.widths

    def watch_show_vertical_scrollbar(self) -> None:
        """The bar takes a column, or gives it back."""
        self.refresh()

    def _lines(self) -> int:
        return max(0, self.scrollable_content_region.height - 1)

    def _visible(self) -> tuple[int, int]:
        top = self.scroll_offset.y
        return top, min(len(self._shown), top + self._lines())

    def _refresh_line(self, place: int) -> None:
        line = place - self.scroll_offset.y + 1
        if 1 <= line <= self._lines():
            self.refresh(Region(0, line, self.size.width, 1))

    def _refresh_change(self, place: int, old: TableRow, new: TableRow) -> None:
        """Draw the cells of a line that differ."""
        if old is new:
            return
        line = place - self.scroll_offset.y + 1
        if len(old.cells) != len(new.cells):
            self._refresh_line(place)
            return
        x = MARKER_WIDTH
        for width, before, now in zip(self._fit_columns(), old.cells, new.cells, strict=False):
            if width and not same_cell(before, now):
                self.refresh(Region(x, line, width, 1))
            x += width + GAP if width else 0

    def on_resize(self) -> None:
        self._fit_columns()
        top, lines = self.scroll_offset.y, self._lines()
        if lines and not top <= self._cursor < top + lines:
            self.scroll_to(y=max(0, self._cursor - lines + 1), animate=False, force=True, immediate=True)

    def watch_has_focus(self, _has_focus: bool) -> None:
        """The cursor and the head look different in focus."""
        super().watch_has_focus(_has_focus)
        self._refresh_line(self._cursor)
        self.refresh(Region(0, 0, self.size.width, 1))

    def notify_style_update(self) -> None:
        """Another theme: nothing drawn before is good any more."""
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        self._fit_columns()
        if y == 0:
            return self._header(width)
        if not self._shown:
            rows = len(self._source or self._rows)
            lines = reason_lines(self.withheld or self._empty, self._needle, rows, width, self.app.console)
            return draw(self, lines[y - 1] if y <= len(lines) else Text("", end=""), width)
        place = self.scroll_offset.y + y - 1
        if place >= len(self._shown):
            return Strip.blank(width, self.own_style)
        row = self._shown[place]
        under = place == self._cursor
        focused = under and self.has_focus
        known = self._strips.get(row.key)
        if known is not None and known[0] is row and known[1] is focused and not under:
            return known[2]
        line = row_line(row, self.columns, self._fitting.widths, self.glyphs, under=under)
        strip = draw(self, line, width, CURSOR_STYLE if focused else None)
        if len(self._strips) > 4 * max(1, self._lines()):
            self._strips.clear()
        if not under:
            self._strips[row.key] = (row, focused, strip)
        return strip

    def _header(self, width: int) -> Strip:
        line = head_line(self.columns, self._fitting.widths, width, self._sorting, self.glyphs, focused=self.has_focus)
        counts = (len(self._shown), len(self._source or self._rows))
        return draw(self, with_filter(line, self._needle, *counts, width, self.glyphs), width)
