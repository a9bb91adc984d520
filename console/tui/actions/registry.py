"""Which actions exist where. The keys of a screen are a module of its topic's name in this folder, loaded when the
screen is first shown; classes defined elsewhere are keys as soon as they are defined."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from console.tui import actions
from console.tui.actions.base import KNOWN, Action

EVERYWHERE = "everywhere"
_SHOWN_KEYS = {
    "question_mark": "?",
    "exclamation_mark": "!",
    "slash": "/",
    "colon": ":",
    "full_stop": ".",
    "ctrl+p": "^p",
    "escape": "esc",
}
_loaded: set[str] = set()


def keys_of(topic: str) -> Sequence[Action]:
    """The keys that exist on the screen of a topic, its own first."""
    _load(topic)
    _load(EVERYWHERE)
    return [action for action in _on(topic) if action.key]


def actions_of(topic: str) -> Sequence[Action]:
    """Everything that can be done on the screen of a topic: its keys, and what is in the palette only."""
    for module in pkgutil.iter_modules(actions.__path__):
        _load(module.name)
    return _on(topic)


def action_of(name: str) -> Action:
    """The action with an id. Raises KeyError."""
    return KNOWN[name]


def shown_key(action: Action) -> str:
    """The key as people write it."""
    return _SHOWN_KEYS.get(action.key, action.key)


@contextmanager
def kept() -> Iterator[None]:
    """While the context lasts, new actions are kept; at its end they are forgotten."""
    actions_of("")
    before = dict(KNOWN)
    try:
        yield
    finally:
        KNOWN.clear()
        KNOWN.update(before)


def _on(topic: str) -> Sequence[Action]:
    here = [action for action in KNOWN.values() if not action.screens or topic in action.screens]
    return sorted(here, key=lambda action: not action.screens)


def _load(name: str) -> None:
    """Load a module of this folder; a topic need not have one."""
    if name in _loaded:
        return
    _loaded.add(name)
    module = f"{actions.__name__}.{name.replace('-', '_')}"
    try:
        import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name != module:
            raise
