"""JSON in its one form, and the entries that are stored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

SURROGATE = "\\ud"
"""In JSON, where half of a character may be."""
GENESIS = bytes(32)
"""The previous hash of the first entry."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry as stored: header bytes, chain hash (32 bytes), salt and payload bytes (empty when erased)."""

    seq: int
    header: bytes
    hash: bytes
    salt: bytes
    payload: bytes


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, ASCII only: one value, one byte string.

    Half of a pair of surrogates is no character, and each program reads it in its own way: the sign for a missing
    character stands for it. Raises ValueError on NaN, and where two keys would be one.
    """
    told = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    if SURROGATE in told:
        whole = _characters(json.loads(told, object_pairs_hook=_whole))
        told = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return told.encode("ascii")


def _whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {_character(key): _characters(value) for key, value in pairs}
    if len(found) < len(pairs):
        raise ValueError("two keys of one name")
    return found


def _characters(value: Any) -> Any:
    if isinstance(value, str):
        return _character(value)
    return [_characters(each) for each in value] if isinstance(value, list) else value


def _character(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def kind_of(header: bytes) -> str:
    """The kind of an entry by its header; empty for bytes that are none."""
    try:
        return str(json.loads(header)[7])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
