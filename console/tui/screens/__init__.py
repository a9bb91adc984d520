"""The main screens; `SCREENS` names them in the order of their tabs."""

from console.tui.screens.tabs import SCREENS

__all__ = ["SCREENS"]
