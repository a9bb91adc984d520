"""Everything about one row, on the whole terminal, and what it leads to; it is updated while open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from console.tui.dialogs.base import Dialog, keys_line
from console.tui.glyphs import KEY, MUTED, WARN
from console.tui.parts.facts import Facts, Row
from console.tui.parts.links import Link
from console.tui.text import cell, joined
from console.tui.widgets.lines import Lines
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable

COLUMNS = (
    Column("kind", "leads to", 9),
    Column("name", "name", 16, grow=40),
    Column("message", "says", 10, flex=1, cut="end"),
)
LEAST_HEIGHT = 14
"""On a lower terminal the facts have all the room."""
MOST_LINKS = 8
"""Rows of links in sight; the others are reached by moving on."""


class DetailDialog(Dialog[Link]):
    """The detail pane of a screen, enlarged, above its links. Result: the link to follow."""

    keys_ = (("enter", "follow"), ("↑↓", "choose"), ("PgUp PgDn", "scroll"), ("1-9", "screens"), ("esc", "back"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "scroll(8)", show=False, priority=True),
        Binding("pageup", "scroll(-8)", show=False, priority=True),
        Binding("enter", "leave", "back", show=False),
    ]
    DEFAULT_CSS = "DetailDialog LineTable { height: auto; }"
    AUTO_FOCUS = "LineTable, Facts"

    def __init__(self, title: str, rows: Callable[[], Sequence[Row]], links: Callable[[], Sequence[Link]]) -> None:
        super().__init__()
        self.title_ = title
        self._rows, self._links = rows, links
        self._shown: dict[str, Link] = {}

    def content_(self) -> Iterable[Widget]:
        yield Facts(self._rows())
        table = LineTable(COLUMNS, empty="it leads to nothing", glyphs=self.session.glyphs)
        table.display = False
        yield table

    def tick(self) -> None:
        super().tick()
        self.query_one(".keys", Lines).show([keys_line(self.keys_)])
        self.query_one(Facts).show(self._rows())
        self._shown = {f"{link.screen}/{link.table}/{link.key}": link for link in self._links()}
        table = self.query_one(LineTable)
        table.set_rows(
            TableRow(key, (cell(link.kind, MUTED), cell(link.name, "bold"), cell(link.message)))
            for key, link in self._shown.items()
        )
        height = self.app.size.height
        table.styles.height = min(len(self._shown), MOST_LINKS, height // 3) + 1
        room = bool(self._shown) and height >= LEAST_HEIGHT
        if room is not table.display:
            table.display = room
            (table if room else self.query_one(Facts)).focus()

    @on(LineTable.RowSelected)
    def _follow(self, message: LineTable.RowSelected) -> None:
        message.stop()
        self.dismiss(self._shown.get(message.key or ""))

    def on_key(self, event: events.Key) -> None:
        """Digits lead to their screen as everywhere; of other keys it is said that they act on the screens only."""
        if not event.is_printable or event.character is None or event.key in self.active_bindings:
            return
        event.stop()
        event.prevent_default()
        tab = next((tab for tab in self.session.tabs if tab.digit == event.character), None)
        if tab is not None:
            self.dismiss(None)
            self.session.navigator.open_screen(tab.name)
            return
        note = joined(
            (f" {event.character}", KEY), (" does nothing here; ", WARN), ("esc", KEY), (" back, then it acts", WARN)
        )
        self.query_one(".keys", Lines).show([note])

    def action_scroll(self, step: int) -> None:
        self.query_one(Facts).scroll_relative(y=step, animate=False)
