"""Maps of HAProxy at its runtime API: management guide, 9.3, `show map`, `get map`, `set map`."""

from __future__ import annotations

import re

from state.errors import EffectRefused, ReadFailure, Trouble
from state.estate.routes import KEY_PATTERN, MAP_PATTERN

MAP, KEY = re.compile(MAP_PATTERN), re.compile(KEY_PATTERN)
VALUE = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
"""The name of a backend."""
_FOUND = re.compile(rb'found=yes, .*value="([^"\r\n]{1,255})"')
LONGEST = 1 << 20
"""Bytes of the answer about one map."""


def show(name: str) -> str:
    """The command that shows a map. Raises ReadFailure for what is no name of one."""
    _require(name)
    return f"show map {name}"


def get(name: str, key: str) -> str:
    """The command that looks a key up as a request does."""
    _require(name, key)
    return f"get map {name} {key}"


def change(name: str, key: str, value: str) -> str:
    """The command that sets an entry. Raises EffectRefused for words that HAProxy would take apart."""
    if not (MAP.fullmatch(name) and KEY.fullmatch(key) and VALUE.fullmatch(value)):
        raise EffectRefused(f"{name!r} {key!r} {value!r} is no map, key and backend", "bad-name")
    return f"set map {name} {key} {value}"


def entries(name: str, answer: bytes) -> tuple[tuple[str, str], ...]:
    """Keys and values of an answer to `show map`: in each line a reference, the key and the value. Raises
    ReadFailure."""
    if len(answer) > LONGEST:
        raise ReadFailure(Trouble.ERROR, f"the map {name} is longer than {LONGEST >> 20} MiB")
    found: list[tuple[str, str]] = []
    for line in answer.decode("utf-8", "replace").splitlines():
        words = line.split()
        if not words:
            continue
        if not words[0].startswith("0x") or len(words) < 2:
            raise ReadFailure(Trouble.ERROR, f"HAProxy, asked for the map {name}: {line[:200]}")
        found.append((words[1], " ".join(words[2:])))
    return tuple(found)


def found(answer: bytes) -> str:
    """The value of an answer to `get map`; empty when nothing was found."""
    match = _FOUND.search(answer[:LONGEST])
    return match[1].decode("utf-8", "replace") if match else ""


def _require(name: str, key: str = "-") -> None:
    if not MAP.fullmatch(name) or not KEY.fullmatch(key):
        raise ReadFailure(Trouble.ERROR, f"{name!r} {key!r} is not a valid map and key")
