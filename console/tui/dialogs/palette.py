"""The palette: screens, the actions of the screen in front, faults of a lab, themes. Derived from the registries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from console.tui.actions.base import Action
from console.tui.actions.registry import actions_of, shown_key
from console.tui.dialogs.find import PickDialog
from console.tui.glyphs import MUTED, WARN
from console.tui.session import ActionContext, Session
from console.tui.terminal.capabilities import THEMES
from console.tui.text import cell
from console.tui.widgets.rows import Column, TableRow


class PaletteEntry(NamedTuple):
    """One thing that can be done by name; `works` is false when it is not possible now."""

    name: str
    key: str
    message: str
    run: Callable[[], object]
    works: bool = True


class PaletteDialog(PickDialog[Callable[[], object]]):
    """Type a part of a name; Enter does it. What is not possible now shows the reason."""

    title_ = "Everything by name"
    keys_ = (("enter", "do it"), ("↑↓", "choose"), ("esc", "back"))
    columns = (
        Column("name", "name", 14, grow=26),
        Column("key", "key", 3),
        Column("message", "what it does", 12, flex=1, cut="end"),
    )

    def __init__(self, found: Iterable[PaletteEntry]) -> None:
        super().__init__()
        self._entries = {entry.name: entry for entry in found}

    def rows(self) -> Iterable[TableRow]:
        for name, entry in self._entries.items():
            message = cell(entry.message, MUTED if entry.works else WARN)
            yield TableRow(name, (cell(name), cell(entry.key, MUTED), message))

    def picked(self, key: str) -> Callable[[], object] | None:
        found = self._entries.get(key)
        return found.run if found is not None else None


def entries(session: Session, ctx: ActionContext, do: Callable[[Action], object]) -> Iterator[PaletteEntry]:
    """One entry per action, screen and theme; `do` performs an action on the screen in front."""
    for action in actions_of(ctx.screen):
        reason = action.why_not(ctx)
        message = f"not now: {reason}" if reason is not None else action.help
        yield PaletteEntry(action.name, shown_key(action), message, partial(do, action), reason is None)
    for tab in session.tabs:
        yield PaletteEntry(tab.title, tab.digit, "the screen", partial(session.navigator.open_screen, tab.name))
    for theme in THEMES:
        yield PaletteEntry(f"theme {theme}", "", "the colours of this console", partial(session.use_theme, theme))
