"""The filter of a table: one line at the bottom."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Input

from console.tui.glyphs import MUTED
from console.tui.store import Changed
from console.tui.text import cell
from console.tui.widgets.lines import Lines


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
