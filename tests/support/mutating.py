"""Hostile inputs from good ones: bytes changed, pieces moved, and in JSON any value replaced by one of another kind."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

JUNK: Sequence[Any] = (
    None, True, False, 0, -1, 1 << 40, 1 << 70, 10**400, 1e308, -0.0, 1.5, "", "x", "9" * 40, "1e999", "NaN", "\ud800",
    "\u202e\x1b]0;x\x07", "\r", "a\rb\n", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+23:59", "2026-02-30T25:61:61Z",
    "2026-11-27", "16/B374D848", "${a}", "http://u:p@h/", [], [[]], {}, {"a": {}}, [None], [[1, 2], [3]],
)  # fmt: skip
PIECES: Sequence[bytes] = (
    b"\0", b"\r", b"\r\n", b"\n\n", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"NaN", b"Infinity", b"-",
    b"1e9999", b"0" * 5000, b"[" * 3000, b'{"a":' * 1200, b'"', b"'", b"\\", b"\\u0000", b"\\ud800", b",", b",,,,",
    b"{", b"}", b"}{", b"#", b"# EOF\n", b"\xe2\x80\xa8", b" " * 400, b"\t", b"&a", b"*a", b"!!python/object",
    b"<<: *a", b"|", b"${", b"}}", b"%00", b"\x1b[", b"\x1b]", b"\xc2\x9b", b"99999999999999999999", b"-1", b"1_000",
    b"\xd9\xa1", b"\xc2\xb2", b"\xc0\x0c",
)  # fmt: skip
MOST = 20_000


def mutated(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """One hostile input."""
    data = chance.choice(seeds)
    if data[:1] in (b"{", b"[") and chance.random() < 0.6:
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if value is not None:
            for _ in range(chance.choice((1, 1, 1, 2, 4))):
                value = _replaced(value, chance)
            data = json.dumps(value).encode()
            if chance.random() < 0.9:
                return data
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        data = _changed(data, seeds, chance)
    return data[:MOST]


def _replaced(value: Any, chance: random.Random) -> Any:
    """The value with something in it replaced, left out, or given twice."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        made = dict(value)
        turn = chance.random()
        if turn < 0.08:
            del made[key]
        elif turn < 0.12:
            made[str(chance.choice(JUNK))[:20]] = made.pop(key)
        else:
            made[key] = _replaced(value[key], chance)
        return made
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        made_list = list(value)
        turn = chance.random()
        if turn < 0.08:
            del made_list[place]
        elif turn < 0.16:
            made_list.append(_replaced(value[place], chance))
        else:
            made_list[place] = _replaced(value[place], chance)
        return made_list
    if isinstance(value, str) and value and chance.random() < 0.3:
        return _changed(value.encode(errors="replace"), [b"x"], chance).decode(errors="replace")[:2000]
    return chance.choice(JUNK)


def _changed(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    end = min(len(data), place + chance.choice((0, 1, 1, 2, 5, 40)))
    turn = chance.randrange(6)
    if turn == 0:
        return data[:place] + chance.choice(PIECES) + data[end:]
    if turn == 1:
        return data[:place] + data[end:]
    if turn == 2:
        return data[:end] + data[place:]
    if turn == 3:
        return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
    if turn == 4:
        other = chance.choice(seeds)
        return data[:place] + other[chance.randrange(len(other) + 1) :]
    return data[:place]
