"""What was noticed and has texts from outside that are too long for one entry: the entry keeps every fact, and the
beginnings of its texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from state.text import cut

LIMITS = (400, 200, 100, 64, 32, 24)
"""Letters that stay of each text; the first that makes an entry small enough is taken. By the last one a fingerprint
of an alert stays whole."""
SHORTENED = "shortened"
"""The key under which an entry says how many letters that are."""


def shortened(body: Mapping[str, Any], letters: int) -> Mapping[str, Any]:
    """The same values with texts of so many letters; how many are left out stands behind each."""
    return {**{key: _short(value, letters) for key, value in body.items()}, SHORTENED: letters}


def _short(value: Any, letters: int) -> Any:
    if isinstance(value, str):
        return cut(value, letters)
    if isinstance(value, Mapping):
        return {key: _short(each, letters) for key, each in value.items()}
    return [_short(each, letters) for each in value] if isinstance(value, list | tuple) else value
