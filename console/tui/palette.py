"""The palette: screens, the actions of the screen in front, faults of a lab, themes. Derived from the registries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider

from console.tui.registry import ACTIONS
from console.tui.screens import SCREENS, MainScreen
from console.tui.terminal import THEMES
from console.tui.text import content
from console.tui.theme import select

Entry = tuple[str, str, Callable[[], object]]


class Everything(Provider):
    """One entry per screen, action and theme; an action that does nothing now says why."""

    def _entries(self) -> Iterator[Entry]:
        for screen in SCREENS:
            yield screen.title_, f"screen {screen.digit}", partial(self.app.switch_mode, screen.name_)
        front = self.screen
        if isinstance(front, MainScreen):
            yield from self._actions(front)
        for theme in THEMES:
            yield f"theme {theme}", "colours", partial(select, cast("App[int]", self.app), theme)

    def _actions(self, front: MainScreen) -> Iterator[Entry]:
        ctx = front.context()
        for action in ACTIONS.values():
            if action.screens and front.name_ not in action.screens:
                continue
            reason = action.why_not(ctx)
            yield action.name, f"not now: {reason}" if reason else action.help, partial(front.try_action, action.id)

    async def discover(self) -> Hits:
        for name, words, run in self._entries():
            yield DiscoveryHit(content(name), run, text=name, help=words)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, words, run in self._entries():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, text=name, help=words)
