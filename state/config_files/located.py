"""Data read from a file with the place of every value. Only data: an adapter reads the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from state.config_files.literal_secrets import HIDDEN, contains_a_secret, may_contain_a_secret
from state.config_files.paths import Path
from state.errors import Problem

Position = tuple[int, int]
"""Line and column, both counted from 1."""

START: Position = (1, 1)


@dataclass(frozen=True, slots=True)
class Located:
    """The content of a file (`data`: mappings, lists and scalars) and its places: `values` and `keys` by path."""

    data: Any
    file: str
    values: Mapping[Path, Position] = field(default_factory=dict)
    keys: Mapping[Path, Position] = field(default_factory=dict)

    def where(self, path: Path) -> Position:
        """The place of the value; for a missing one, the key of the nearest entry around it."""
        found = self.values.get(path)
        if found is not None:
            return found
        return self.where_key(path[:-1]) if path else START

    def where_key(self, path: Path) -> Position:
        """The place of the value's key, or of the value itself in a list."""
        return self.keys.get(path) or self.where(path)

    def problem(self, path: Path, value: str, expected: str, nearest: str = "", *, key: bool = False) -> Problem:
        """A finding at the value, or at its key. Text that may contain a secret is hidden, in names too."""
        line, column = self.where_key(path) if key else self.where(path)
        value = HIDDEN if may_contain_a_secret(value) else value
        expected = "something else (not shown, it may contain a secret)" if contains_a_secret(expected) else expected
        nearest = "" if may_contain_a_secret(nearest) else nearest
        return Problem(self.file, line, column, value, expected, nearest)
