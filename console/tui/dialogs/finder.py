"""One list of names to choose from: type a part of a name, choose, Enter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, NamedTuple

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from console.tui.dialogs.base import Dialog
from console.tui.dialogs.ranking import MOST, best, prepared
from console.tui.glyphs import MUTED, WARN
from console.tui.parts.facts import wrap_rows
from console.tui.text import cell, joined
from console.tui.widgets.lines import Lines
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable

CHOSEN_ROWS = 2
"""Lines for what the chosen one says."""


class Found(NamedTuple):
    """One thing by name: what it is, its key, what it does or says; `works` is false when it is not possible now."""

    name: str
    kind: str
    key: str
    message: str
    run: Callable[[], object]
    works: bool = True


class FinderDialog(Dialog[Callable[[], object]]):
    """Names by what was typed, the best first. Result: what the chosen one does."""

    keys_ = (("enter", "choose"), ("↑↓", "move"), ("esc", "back"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "step(1)", show=False, priority=True),
        Binding("up", "step(-1)", show=False, priority=True),
        Binding("pagedown", "step(10)", show=False, priority=True),
        Binding("pageup", "step(-10)", show=False, priority=True),
    ]
    AUTO_FOCUS = "Input"
    DEFAULT_CSS = """
    FinderDialog Input { height: 1; border: none; padding: 0 1; }
    FinderDialog #count { height: 2; padding: 0 1; }
    """
    columns: ClassVar[tuple[Column, ...]] = (
        Column("name", "name", 20, grow=36),
        Column("kind", "what", 8, grow=10),
        Column("key", "key", 3),
        Column("message", "says", 10, flex=1, cut="end"),
    )

    def __init__(self, title: str, found: Iterable[Found], *, empty: str = "no data from the engine yet") -> None:
        super().__init__()
        self.title_ = title
        self._found = list(found)
        self._names = prepared([each.name for each in self._found], [each.kind for each in self._found])
        self._empty = empty
        self._count = ""

    def content_(self) -> Iterable[Widget]:
        table = LineTable(self.columns, empty=self._empty, glyphs=self.session.glyphs)
        table.can_focus = False
        yield Input(placeholder="a part of a name; letters may be left out", compact=True)
        yield table
        yield Lines([""], id="count")

    def on_mount(self) -> None:
        self._search("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._search(event.value)

    def _search(self, typed: str) -> None:
        places = best(self._names, typed)
        table = self.query_one(LineTable)
        if typed.strip():
            table.set_empty(f"no name of {len(self._found)} fits {typed.strip()!r}")
        table.set_rows(self._row(place) for place in places)
        table.action_edge(-1)
        more = " or more, type to find others" if len(places) == MOST else ""
        self._count = f"{len(places)}{more} of {len(self._found)}"
        self._paint_chosen()

    @on(LineTable.RowHighlighted)
    def _paint_chosen(self) -> None:
        """How many fit, and the whole of what the row under the cursor says."""
        key = self.query_one(LineTable).cursor_key
        says = ""
        if key is not None:
            found = self._found[int(key)]
            says = f"{found.name}: {found.message}" if found.message else found.name
        count = cell(f"{self._count}  ", MUTED)
        rows = wrap_rows([joined(count, says)], max(10, self.app.size.width - 2), self.app.console)
        self.query_one("#count", Lines).show([*rows, cell("")][:CHOSEN_ROWS])

    def _row(self, place: int) -> TableRow:
        found = self._found[place]
        message = cell(found.message, MUTED if found.works else WARN)
        return TableRow(str(place), (cell(found.name), cell(found.kind, MUTED), cell(found.key, MUTED), message))

    @on(Input.Submitted)
    @on(LineTable.RowSelected)
    def _go(self) -> None:
        key = self.query_one(LineTable).cursor_key
        self.dismiss(None if key is None else self._found[int(key)].run)

    def action_step(self, step: int) -> None:
        self.query_one(LineTable).action_move(step)
