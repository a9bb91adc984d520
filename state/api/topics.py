"""Topics: the named views that consoles follow. Most topics have a screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


def load(place: str) -> Any:
    """The object behind `module:attribute`. Raises ImportError or AttributeError."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


@dataclass(frozen=True, slots=True)
class Topic:
    """One view that consoles follow, with its screen.

    `view` and `build` name a class and a function as `module:attribute`, so that a console loads the class only and
    only when it is needed. `digit` and `title` belong to the screen; a topic without a screen has neither. `places`
    are the tables of the view whose rows "go to" finds by name, and what a row of each is called.
    """

    name: str
    view: str
    build: str
    digit: str = ""
    title: str = ""
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def view_type(self) -> Any:
        """The class of the view."""
        return load(self.view)

    @property
    def builder(self) -> Any:
        """The function that builds the view; for the engine's process."""
        return load(self.build)
