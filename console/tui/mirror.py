"""One topic of the stream, decoded when its view is asked for: a topic that is not shown costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from state.api.topics import Topic
from state.api.wire import UNREADABLE, Mirror
from state.text import clean

Touched = Mapping[str, frozenset[str]] | None
"""Keys of the changed rows per table; None when anything may have changed."""
MOST_TOUCHED = 10_000
"""So many changed keys are kept for a screen that does not ask; beyond, everything counts as changed."""


class LazyMirror:
    """Frames of one topic, merged undecoded until the view is asked for."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._mirror: Mirror[Any] | None = None
        self._view: Any = None
        self._waiting: _Waiting | None = None
        self._touched: dict[str, set[str]] | None = None
        self.failure = ""
        """Why the engine has no view of it now; empty while it has one."""

    def restart(self) -> None:
        """A new stream begins: the last view stays until a new one is complete."""
        self._mirror = self._waiting = self._touched = None

    def apply(self, frame: Mapping[str, Any]) -> None:
        """Take one frame. Raises TypeError on what has not the shape of one."""
        if "failed" in frame:
            self.restart()
            self._view, self.failure = None, clean(str(frame["failed"]))
            return
        self.failure = ""
        if self._waiting is None:
            self._waiting = _Waiting()
        self._waiting.merge(frame)

    def view(self) -> Any:
        """The view as the engine told it last, None while it is not complete.

        Raises one of UNREADABLE once when something in the frames does not fit; that is then left out, and nothing
        that it would have replaced is shown any more.
        """
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return self._view
        if self._mirror is None:
            self._mirror = Mirror(self._topic.view_type)
        try:
            made = self._mirror.apply(waiting.frame())
        except UNREADABLE:
            self._view = self._mirror.view
            self._touched = None
            raise
        if made is not None:
            self._view = made
        self._touch(self._mirror.changed)
        return self._view

    def take_touched(self) -> Touched:
        """What was changed since the last call."""
        touched, self._touched = self._touched, {}
        return None if touched is None else {table: frozenset(keys) for table, keys in touched.items()}

    def _touch(self, changed: Mapping[str, set[str]]) -> None:
        if self._touched is None:
            return
        for table, keys in changed.items():
            self._touched.setdefault(table, set()).update(keys)
        if sum(map(len, self._touched.values())) > MOST_TOUCHED:
            self._touched = None


class _Waiting:
    """Frames merged into one: the last word on every field and row counts."""

    def __init__(self) -> None:
        self._set: dict[str, Any] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._gone: dict[str, set[str]] = {}

    def merge(self, frame: Mapping[str, Any]) -> None:
        whole, rows, gone = _mapping(frame, "set"), _mapping(frame, "rows"), _mapping(frame, "gone")
        tables = {name: _mapping(rows, name) for name in rows}
        self._set.update(whole)
        for name, told in tables.items():
            self._rows.setdefault(name, {}).update(told)
            if name in self._gone:
                self._gone[name].difference_update(told)
        for name, keys in gone.items():
            kept = self._rows.get(name, {})
            for key in keys:
                kept.pop(key, None)
            self._gone.setdefault(name, set()).update(keys)

    def frame(self) -> dict[str, Any]:
        """One frame that says it all."""
        return {"set": self._set, "rows": self._rows, "gone": self._gone}


def _mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = parent.get(name, {})
    if not isinstance(found, Mapping):
        raise TypeError(f"{name} is no object")
    return found
