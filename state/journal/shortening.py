"""What was noticed and has texts from outside that are too long for one entry: the entry keeps every fact, and the
beginnings of its texts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from state.text import cut

LIMITS = (400, 200, 100, 64, 32, 24)
"""Letters that stay of each text; the first that makes an entry small enough is taken. By the last one a fingerprint
of an alert stays whole."""
SHORTENED = "shortened"
"""The key under which an entry says how many letters that are."""


MOST = 100
"""Lines that stay of what an outcome tells."""


def shortened(body: Mapping[str, Any], letters: int) -> Mapping[str, Any]:
    """The same values with texts of so many letters; how many are left out stands behind each."""
    return {**{key: _short(value, letters) for key, value in body.items()}, SHORTENED: letters}


def told_shorter(body: Mapping[str, Any], keys: Collection[str], letters: int) -> Mapping[str, Any]:
    """The same values; under these keys fewer lines, with texts of so many letters."""
    told = {key: _short(_first(value), letters) for key, value in body.items() if key in keys}
    return {**body, **told, SHORTENED: letters}


def _first(value: Any) -> Any:
    long = isinstance(value, list | tuple) and len(value) > MOST
    return [*value[:MOST], f"…(+{len(value) - MOST})"] if long else value


def _short(value: Any, letters: int) -> Any:
    if isinstance(value, str):
        return cut(value, letters)
    if isinstance(value, Mapping):
        return {key: _short(each, letters) for key, each in value.items()}
    return [_short(each, letters) for each in value] if isinstance(value, list | tuple) else value
