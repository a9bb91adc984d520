"""What a console leaves out of what it imports: a sixth of its way to the first frame.

Textual loads its own command palette, with the input, tree and file picker that belong to it, and the folders a browser
would download to; this console has a palette of its own and delivers no files. asyncio loads TLS, and works on a Python
without it; a console speaks over a Unix socket. While they are imported, placeholders stand in for those modules;
afterwards they are gone again, so whoever imports the modules later gets the real ones. A name that no placeholder
knows loads the real module: another Textual starts slower, and works.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

LEFT_OUT = {
    "textual.command": (
        "CommandListItem", "CommandPalette", "DiscoveryHit", "Hit", "Hits", "Provider", "SimpleProvider",
    ),
    "platformdirs": ("user_downloads_path",),
}  # fmt: skip
"""Modules, and the names that Textual takes from them while it is imported."""
TLS = "ssl"


class Placeholder(ModuleType):
    """Stands in for a module: its known names are empty classes, any other name comes from the real module."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name)
        for each in known:
            setattr(self, each, type(each, (), {"__module__": name}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(self.__name__, None)
        return getattr(import_module(self.__name__), name)


@contextmanager
def lean() -> Iterator[None]:
    """What is imported meanwhile does without the modules left out. They stay real where they are loaded already."""
    placed: dict[str, Any] = {
        name: Placeholder(name, known) for name, known in LEFT_OUT.items() if name not in sys.modules
    }
    if TLS not in sys.modules:
        placed[TLS] = None  # what Python takes for a module that is not there
    sys.modules.update(placed)
    try:
        yield
    finally:
        for name, placeholder in placed.items():
            if sys.modules.get(name, name) is placeholder:
                del sys.modules[name]
