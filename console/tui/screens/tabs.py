"""The main screens by digit. A screen is a module named here with a class of its title; it is imported when it is
first opened."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.tui.screens.base import MainScreen


@dataclass(frozen=True, slots=True)
class Tab:
    """One main screen: its module and mode, its key, its title and class."""

    name_: str
    digit: str
    title_: str

    def load(self) -> type[MainScreen]:
        """The class of the screen."""
        kind: type[MainScreen] = getattr(import_module(f"console.tui.screens.{self.name_}"), self.title_)
        return kind

    def open(self) -> MainScreen:
        """A new screen."""
        return self.load()()


SCREENS = (
    Tab("overview", "1", "Overview"),
    Tab("replication", "2", "Replication"),
    Tab("runbooks", "3", "Runbooks"),
    Tab("traffic", "4", "Traffic"),
    Tab("journal", "9", "Journal"),
)
BY_NAME = {tab.name_: tab for tab in SCREENS}
