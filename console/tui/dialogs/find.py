"""Finding things: go to anything by name, and the filter of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from console.tui.dialogs.base import Dialog
from console.tui.glyphs import MUTED
from console.tui.store import Changed, Store
from console.tui.text import cell
from console.tui.widgets.lines import Lines
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api.topics import Topic

MOST = 5000
P = TypeVar("P")


class Destination(NamedTuple):
    """One destination: its screen, table and key."""

    screen: str
    table: str
    key: str
    name: str
    kind: str


def places(store: Store, tabs: Iterable[Topic]) -> list[Destination]:
    """Every row of the views that "go to" can open, by name."""
    found: list[Destination] = []
    for topic in tabs:
        view = store.view(topic.name)
        for table, kind in topic.places.items() if view is not None else ():
            rows = getattr(view, table)
            keys = sorted(rows, key=int, reverse=True) if all(map(str.isdecimal, rows)) else rows
            shared = Counter(getattr(row, "name", "") for row in rows.values())
            names = {key: called(key, rows[key], alone=shared[getattr(rows[key], "name", "")] == 1) for key in keys}
            found += [Destination(topic.name, table, key, names[key], kind) for key in keys]
    return found[:MOST]


def called(key: str, row: Any, *, alone: bool) -> str:
    """What a row is called: its name, where it is `alone` in having it or where its key does not tell it; else its key.

    Things without a name and a verdict of their own are called also by what they say.
    """
    name = getattr(row, "name", "")
    if name and (alone or name not in key):
        return str(name)
    said = getattr(row, "title", "") or ("" if hasattr(row, "health") else getattr(row, "message", ""))
    return key if name or not said else f"{key} {said}"


class PickDialog(Dialog[P]):
    """Type a part of a name, choose, Enter. Result: what was picked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "step(1)", show=False, priority=True),
        Binding("up", "step(-1)", show=False, priority=True),
    ]
    AUTO_FOCUS = "Input"
    DEFAULT_CSS = "PickDialog Input { height: 1; border: none; padding: 0 1; }"
    columns: ClassVar[tuple[Column, ...]] = ()

    def rows(self) -> Iterable[TableRow]:
        """What can be picked."""
        raise NotImplementedError

    def picked(self, key: str) -> P | None:
        """What is behind a row."""
        raise NotImplementedError

    def content_(self) -> Iterable[Widget]:
        table = LineTable(self.columns, empty="no data from the engine yet", glyphs=self.session.glyphs)
        table.can_focus = False
        yield Input(placeholder="a part of a name", compact=True)
        yield table

    def on_mount(self) -> None:
        self.query_one(LineTable).set_rows(self.rows())

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one(LineTable).filter(event.value.strip())

    @on(Input.Submitted)
    def _go(self) -> None:
        self.dismiss(self.picked(self.query_one(LineTable).cursor_key or ""))

    def action_step(self, step: int) -> None:
        self.query_one(LineTable).action_move(step)


class GoToDialog(PickDialog[Destination]):
    """Any row of the views, by name."""

    title_ = "Go to"
    keys_ = (("enter", "go"), ("↑↓", "choose"), ("esc", "back"))
    columns = (Column("name", "name", 20, flex=1), Column("kind", "what", 9))

    def __init__(self, found: list[Destination]) -> None:
        super().__init__()
        self._places = {f"{place.table}/{place.key}": place for place in found}

    def rows(self) -> Iterable[TableRow]:
        return [TableRow(k, (cell(place.name), cell(place.kind, MUTED))) for k, place in self._places.items()]

    def picked(self, key: str) -> Destination | None:
        return self._places.get(key)


class FilterDialog(ModalScreen[None]):
    """One line at the bottom that filters the table behind it while you type."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", "no filter", show=False)]
    DEFAULT_CSS = """
    FilterDialog { background: transparent; align: left bottom; }
    FilterDialog Lines { width: 9; height: 1; }
    FilterDialog #line { height: 1; background: $background; }
    FilterDialog Input { height: 1; border: none; padding: 0; width: 1fr; }
    """

    def __init__(self, before: str, columns: str, then: Callable[[str], None]) -> None:
        super().__init__()
        self._before = before
        self._columns = columns
        self._then = then

    def compose(self) -> ComposeResult:
        yield Horizontal(
            Lines([cell(" filter: ", MUTED)]),
            Input(
                self._before,
                placeholder=f"part of any cell, or column=word ({self._columns}); enter keeps it, esc removes it",
                compact=True,
            ),
            id="line",
        )

    @on(Changed)
    def _pass_on(self, changed: Changed) -> None:
        """The screen behind is still updated."""
        changed.stop()
        self.app.screen_stack[-2].post_message(changed)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._then(event.value)

    @on(Input.Submitted)
    def _keep(self) -> None:
        self.dismiss(None)

    def action_clear(self) -> None:
        self._then("")
        self.dismiss(None)
