"""Which consoles are attached, who sits at them, and which screen is in front of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from state.api.caller import Caller
from state.api.topics import Topic
from state.api.views.header import ConsoleRow
from state.capabilities import topics
from state.clock import Clock
from state.policy.authority import ACTING

MOST = 64
"""Consoles that are shown; further ones work, but are not listed."""


class Attached:
    """Consoles by account and a name they chose: no account can speak for the console of another one."""

    def __init__(self, clock: Clock, changed: Callable[[], None]) -> None:
        self._clock, self._changed = clock, changed
        self._screens: Mapping[str, Topic] = topics()
        self.rows: Mapping[str, ConsoleRow] = {}
        """Replaced whole with every change."""

    def come(self, caller: Caller, console: str, screen: str) -> str:
        """A console is attached. Answers with the key that `go` takes; empty when it is not listed."""
        key = _key(caller, console)
        if not console or (len(self.rows) >= MOST and key not in self.rows):
            return ""
        observes = caller.read_only or set(ACTING).isdisjoint(caller.roles)
        row = ConsoleRow(
            key, caller.person or caller.account, observes, self._known(screen), round(self._clock.wall(), 1)
        )
        self._set({**self.rows, key: row})
        return key

    def look(self, caller: Caller, console: str, screen: str) -> None:
        """A console shows another screen; of one that is not listed nothing is kept."""
        key = _key(caller, console)
        row = self.rows.get(key)
        if row is not None and row.screen != self._known(screen):
            self._set({**self.rows, key: replace(row, screen=self._known(screen))})

    def go(self, key: str) -> None:
        """A console has left."""
        if key in self.rows:
            self._set({name: row for name, row in self.rows.items() if name != key})

    @property
    def people(self) -> frozenset[str]:
        """Who sits at a console now."""
        return frozenset(row.person for row in self.rows.values())

    def _known(self, screen: str) -> str:
        """The name of a topic with a screen; anything else a console says is not kept."""
        topic = self._screens.get(screen)
        return screen if topic is not None and topic.digit else ""

    def _set(self, rows: Mapping[str, ConsoleRow]) -> None:
        self.rows = rows
        self._changed()


def _key(caller: Caller, console: str) -> str:
    return f"{caller.uid}-{console}"
