"""Paths into nested data: mappings and lists as they come from files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
"""The path to a value: keys of mappings and positions in lists."""


def at(data: Any, path: Path) -> Any:
    """The value at a path, None when there is none."""
    for step in path:
        in_mapping = isinstance(data, dict) and step in data
        in_list = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if not (in_mapping or in_list):
            return None
        data = data[step]
    return data


def select(data: Any, pattern: Path, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value whose path matches the pattern; `*` means any key or position."""
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
