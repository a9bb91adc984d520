"""The palette: screens, the actions of the screen in front, faults of a lab, themes. Derived from the registries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from console.tui.actions.registry import ACTIONS, shown_key
from console.tui.dialogs.find import PickDialog
from console.tui.glyphs import MUTED, WARN
from console.tui.screens import SCREENS
from console.tui.screens.base import MainScreen
from console.tui.terminal.capabilities import THEMES
from console.tui.text import cell
from console.tui.theme import select
from console.tui.widgets.rows import Column, TableRow

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp


class PaletteDialog(PickDialog[Callable[[], object]]):
    """Type a part of a name; Enter does it. What does nothing now says why."""

    title_ = "Everything by name"
    keys_ = (("enter", "do it"), ("↑↓", "choose"), ("esc", "back"))
    columns = (
        Column("name", "name", 14, grow=26),
        Column("key", "key", 3),
        Column("message", "what it does", 12, flex=1, cut="end"),
    )

    def __init__(self, front: MainScreen) -> None:
        super().__init__()
        self._entries = {name: (key, message, run) for name, key, message, run in entries(front)}

    def rows(self) -> Iterable[TableRow]:
        for name, (key, message, _) in self._entries.items():
            style = WARN if message.startswith("not now") else MUTED
            yield TableRow(name, (cell(name), cell(key, MUTED), cell(message, style)))

    def picked(self, key: str) -> Callable[[], object] | None:
        found = self._entries.get(key)
        return found[2] if found is not None else None


def entries(front: MainScreen) -> Iterator[tuple[str, str, str, Callable[[], object]]]:
    """Name, key, what it does and how: one entry per action, screen and theme."""
    app: ConsoleApp = front.console_app
    ctx = front.context()
    for action in ACTIONS.values():
        if not action.screens or front.name_ in action.screens:
            reason = action.why_not(ctx)
            message = f"not now: {reason}" if reason else action.help
            yield action.name, shown_key(action), message, partial(front.try_action, action.id)
    for tab in SCREENS:
        yield tab.title_, tab.digit, "the screen", partial(app.switch_mode, tab.name_)
    for theme in THEMES:
        yield f"theme {theme}", "", "the colours of this console", partial(select, app, theme)
