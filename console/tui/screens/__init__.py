"""The main screens, in the order of their tabs. A new one is a file and a name here."""

from console.tui.screens.base import MainScreen
from console.tui.screens.journal import Journal
from console.tui.screens.overview import Overview
from console.tui.screens.replication import Replication
from console.tui.screens.runbooks import Runbooks
from console.tui.screens.traffic import Traffic

SCREENS: tuple[type[MainScreen], ...] = (Overview, Replication, Runbooks, Traffic, Journal)

__all__ = ["SCREENS", "MainScreen"]
