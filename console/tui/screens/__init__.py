"""The main screens, one per topic. A screen is a module of its topic's name in this folder with a class of that name
(`traffic.py`, `TrafficScreen`), loaded when it is first shown; others are registered here. A topic without one is shown
by the generic screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from state.api.topics import Topic, load

if TYPE_CHECKING:
    from console.tui.screens.base import MainScreen

_registered: dict[str, str] = {}


def register(topic: str, place: str) -> None:
    """Show a topic with the class at `module:Class` from now on."""
    _registered[topic] = place


@contextmanager
def registered(topic: str, place: str) -> Iterator[None]:
    """Show a topic with the class at `module:Class` for a while."""
    before = dict(_registered)
    register(topic, place)
    try:
        yield
    finally:
        _registered.clear()
        _registered.update(before)


def screen_class(topic: Topic) -> type[MainScreen]:
    """The class that shows a topic. Raises ImportError or AttributeError when the one that is registered is missing."""
    kind: type[MainScreen]
    if topic.name in _registered:
        kind = load(_registered[topic.name])
        return kind
    module = f"{__name__}.{topic.name.replace('-', '_')}"
    try:
        found = import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name != module:
            raise
        kind = load(f"{__name__}.generic:GenericScreen")
    else:
        kind = getattr(found, f"{topic.name.title().replace('-', '')}Screen")
    return kind


def open_screen(topic: Topic) -> MainScreen:
    """A new screen of a topic."""
    return screen_class(topic)(topic)
