"""Data read from a file together with the place of every value in it. A plain value: reading is an adapter's task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from state.errors import Problem

Path = tuple[str | int, ...]
"""The way to a value: keys of mappings and positions in lists."""

Place = tuple[int, int]
"""Line and column, both counted from 1."""

START: Place = (1, 1)


@dataclass(frozen=True, slots=True)
class Located:
    """What a file says (`data`: mappings, lists and scalars) and where: `values` and `keys` by path."""

    data: Any
    file: str
    values: Mapping[Path, Place] = field(default_factory=dict)
    keys: Mapping[Path, Place] = field(default_factory=dict)

    def where(self, path: Path) -> Place:
        """Where the value stands; for one that is missing, the key of the nearest entry around it."""
        found = self.values.get(path)
        if found is not None:
            return found
        return self.where_key(path[:-1]) if path else START

    def where_key(self, path: Path) -> Place:
        """Where the key of the value stands, or the value itself in a list."""
        return self.keys.get(path) or self.where(path)

    def problem(self, path: Path, value: str, expected: str, nearest: str = "", *, key: bool = False) -> Problem:
        """A finding at the value, or at its key."""
        line, column = self.where_key(path) if key else self.where(path)
        return Problem(self.file, line, column, value, expected, nearest)


def at(data: Any, path: Path) -> Any:
    """The value at a path, None where there is nothing of that shape."""
    for step in path:
        in_mapping = isinstance(data, dict) and step in data
        in_list = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if not (in_mapping or in_list):
            return None
        data = data[step]
    return data


def select(data: Any, pattern: Path, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value whose path fits the pattern, `*` standing for any key or position; other shapes are passed over."""
    if not pattern:
        yield path, data
        return
    step, rest = pattern[0], pattern[1:]
    if step == "*":
        items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
        for key, value in items:
            yield from select(value, rest, (*path, key))
    elif isinstance(data, dict) and step in data:
        yield from select(data[step], rest, (*path, step))
