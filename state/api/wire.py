"""Frames between engine and consoles: encode views, diff them, mirror them. Standard library only.

A topic is a frozen dataclass. Its fields are either keyed tables (`Mapping[str, Row]`), compared row by row, or
anything else, compared whole. A stream line is {"topic", "set": {...}, "rows": {table: {key: row}}, "gone":
{table: [keys]}}, or {"topic", "failed": why} for a view that could not be built; the next one is whole. Every text is
made safe once, here, when a console decodes it (see `state.text`).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from state.text import clean
from state.units import rfc3339

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
T = TypeVar("T")
EPOCH = ("at", "since", "wall")
"""Fields of epoch seconds besides those named `…_at`. Instants of the monotonic clock have `mono` in their names."""
UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError)
"""What decoding raises on values that are not what they should be."""


def plain(value: Any) -> Plain:
    """A view as JSON-ready values: rows and views become lists of their fields, in order, to be small."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return value
    if is_dataclass(value):
        return [plain(getattr(value, f.name)) for f in fields(value)]
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    return [plain(v) for v in value]


def named(value: Any) -> Plain:
    """The same for people and scripts: dataclasses become objects with field names (`--json`).

    Beside each time of the calendar stands the same in RFC 3339, as `NAME_utc`: see `with_utc`.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return with_utc({f.name: named(getattr(value, f.name)) for f in fields(value)})
    if isinstance(value, Mapping):
        return {str(k): named(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [named(v) for v in value]
    return plain(value)


def with_utc(row: dict[str, Plain]) -> dict[str, Plain]:
    """The same object with `NAME_utc` behind each field that is epoch seconds by its name: `at`, `…_at`, `since`."""
    made: dict[str, Plain] = {}
    for name, value in row.items():
        made[name] = value
        if (name in EPOCH or name.endswith("_at")) and not isinstance(value, str):
            made[f"{name}_utc"] = rfc3339(value) if isinstance(value, int | float) else None
    return made


def revive(kind: Any, value: Any) -> Any:
    """Build `kind` from what `plain` or `named` made; texts are cleaned on the way. Raises TypeError/ValueError."""
    if value is None:
        return None
    if kind is Any:
        return _neutral(value)
    if kind is str:
        return clean(str(value))
    if kind in (int, float, bool):
        return kind(value)
    reviver: Callable[[Any], Any] = _reviver(kind)
    return reviver(value)


def _neutral(value: Any) -> Any:
    """JSON of any shape with its texts cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(k)): _neutral(v) for k, v in value.items()}
    return [_neutral(v) for v in value] if isinstance(value, list) else value


@cache
def _reviver(kind: Hashable) -> Callable[[Any], Any]:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = next(a for a in args if a is not type(None))
        return lambda v: revive(inner, v)
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return lambda v: tuple(revive(args[0], x) for x in v)
        return lambda v: tuple(revive(a, x) for a, x in zip(args, v, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return lambda v: {clean(k): revive(args[1], x) for k, x in v.items()}
    if is_dataclass(kind):
        build: Any = kind
        hints = list(columns(build).values())
        names = list(columns(build))

        def instance(value: Any) -> Any:
            """From a list of the fields in order (`plain`) or from an object (`named`)."""
            spots = [value[name] for name in names] if isinstance(value, Mapping) else value
            return build(*(revive(h, x) for h, x in zip(hints, spots, strict=True)))

        return instance
    leaf: Callable[[Any], Any] = kind  # type: ignore[assignment]
    return leaf


def columns(view: Any) -> dict[str, Any]:
    """Field name to resolved type, in wire order."""
    return _columns(view)


@cache
def _columns(view: Any) -> dict[str, Any]:
    hints = get_type_hints(view)
    return {f.name: hints[f.name] for f in fields(view)}


def is_table(kind: Any) -> bool:
    """Whether a field is a keyed table, compared row by row."""
    origin = get_origin(kind)
    return origin is not None and isinstance(origin, type) and issubclass(origin, Mapping)


def _row(kind: Any, value: Any) -> Any:
    if value is None:
        raise TypeError("a row is not null")
    return revive(kind, value)


class Differ:
    """Remembers what one console was sent of one topic and returns only what changed.

    Row objects that are the same as last time are not encoded.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._failure = ""
        self._forget()

    def _forget(self) -> None:
        self._last: Any = None
        self._whole: dict[str, Plain] = {}
        self._rows: dict[str, dict[str, tuple[Any, Plain]]] = {}

    def failed(self, why: str) -> dict[str, Plain] | None:
        """That there is no view now, once for each reason; the next view is sent whole."""
        if why == self._failure:
            return None
        self._failure = why
        self._forget()
        return {"topic": self.topic, "failed": why}

    def frame(self, view: Any) -> dict[str, Plain] | None:
        """The change from the last call, or None when nothing changed."""
        if view is self._last:
            return None
        self._last, self._failure = view, ""
        changed: dict[str, Plain] = {}
        rows: dict[str, Plain] = {}
        gone: dict[str, Plain] = {}
        for name, kind in columns(type(view)).items():
            value = getattr(view, name)
            if is_table(kind):
                self._table(name, value, rows, gone)
            else:
                encoded = plain(value)
                if name not in self._whole or self._whole[name] != encoded:
                    self._whole[name] = changed[name] = encoded
        if not (changed or rows or gone):
            return None
        return {"topic": self.topic, "set": changed, "rows": rows, "gone": gone}

    def _table(self, name: str, table: Mapping[str, Any], rows: dict[str, Plain], gone: dict[str, Plain]) -> None:
        first = name not in self._rows
        known = self._rows.setdefault(name, {})
        fresh: dict[str, Plain] = {}
        for key, row in table.items():
            old = known.get(key)
            if old is not None and old[0] is row:
                continue
            encoded = plain(row)
            known_before = old is not None and old[1] == encoded
            known[key] = (row, encoded)
            if not known_before:
                fresh[key] = encoded
        left = [key for key in known if key not in table]
        for key in left:
            del known[key]
        if fresh or first:
            rows[name] = fresh
        if left:
            gone[name] = list[Plain](left)


class Mirror(Generic[T]):
    """A console's copy of one topic, updated by applying frames.

    `changed` has the keys of each table that the last `apply` touched, so a screen repaints only those.
    """

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self._values: dict[str, Any] = {}
        self.view: T | None = None
        self.changed: dict[str, set[str]] = {}

    def apply(self, frame: Mapping[str, Any]) -> T | None:
        """Apply one stream line; the view is None until every field has arrived.

        Raises one of UNREADABLE when something does not fit, after all else was applied: a row that cannot be read is
        gone, and without one of its fields there is no view. What was there before would be an old word.
        """
        kinds = columns(self.kind)
        self.changed = {}
        problems: list[Exception] = []
        for name, value in frame.get("set", {}).items():
            if name in kinds:
                try:
                    self._values[name] = revive(kinds[name], value)
                except UNREADABLE as problem:
                    self._values.pop(name, None)
                    problems.append(problem)
        for name in {**frame.get("rows", {}), **frame.get("gone", {})}:
            if name not in kinds:
                continue
            row_kind = get_args(kinds[name])[1]
            table = dict(self._values.get(name, {}))
            touched = self.changed.setdefault(name, set())
            for key, row in frame.get("rows", {}).get(name, {}).items():
                shown = clean(key)
                touched.add(shown)
                try:
                    table[shown] = _row(row_kind, row)
                except UNREADABLE as problem:
                    table.pop(shown, None)
                    problems.append(problem)
            for key in frame.get("gone", {}).get(name, ()):
                table.pop(clean(key), None)
                touched.add(clean(key))
            self._values[name] = table
        self.view = self.kind(**self._values) if len(self._values) == len(kinds) else None
        if problems:
            raise problems[0]
        return self.view
