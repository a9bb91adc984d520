"""Generated strings that try to act on a terminal, on markup, on widths or on the reader's eyes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

PIECES = (
    "\x1b[31m", "\x1b[2J", "\x1b]0;owned\x07", "\x1b]8;;http://x\x1b\\", "\x1b]52;c;ZXZpbA==\x07", "\x1bP+q\x1b\\",
    "\x1bc", "\x1b[?1049l", "\x1b[6n", "\x9b2J", "\x9d0;x\x9c", "\x90q\x9c", "\x84", "\x00", "\x07",
    "\x08\x08", "\x7f", "\r", "\n", "\t", "\x0b",
    "\u202e", "\u2066", "\u2069", "\u200f", "\u200b", "\ufeff", "\u2028", "\u0000", "\ue000", "\U000e0041",
    "[red]", "[/]", "[/foo]", "[b]", "[@click=app.quit]", "[link=file:///etc/passwd]", "[on red]",
    "\\[", "\\", "\\x1b", "\\n",
    "東京", "データ", "é", "e\u0301", "a\u0301\u0302\u0303\u0304", "\ufe0f", "👩\u200d💻", "🇩🇪", "\u1160", "ﷺ", "ⅷ",
    "y", "Y", "K7QX", "→", "…", "=", "run=r-1", "PASS", "✓", "0 B", "x" * 300,
    " " * 40, "'", '"', "$(reboot)", "%s", "{0}", "..",
)  # fmt: skip
IDENTITY = frozenset({
    "name", "key", "run", "id", "source", "sources", "environment", "cluster", "node", "backend", "balancer", "order",
    "step",
})  # fmt: skip
"""Fields by which rows refer to each other; they are poisoned in the journal and on the card."""


def hostile_strings(seed: int) -> Iterator[str]:
    """Without end; each one another."""
    noise = random.Random(seed)
    number = 0
    while True:
        number += 1
        parts = noise.choices(PIECES, k=noise.randint(1, 6))
        if noise.random() < 0.3:
            parts.append(
                chr(noise.choice((noise.randrange(0x20), noise.randrange(0x80, 0xA0), noise.randrange(0x2000, 0x2100))))
            )
        yield f"{number}{''.join(parts)}"


def poisoned(view: Any, strings: Iterator[str], used: list[str]) -> Any:
    """The view with a hostile string of its own in every text that may come from outside."""
    changes: dict[str, Any] = {}
    for name in view.__dataclass_fields__:
        old = getattr(view, name)
        if isinstance(old, Mapping) and name not in {"sources", "figures", "args", "arguments", "steps_of", "follows"}:
            changes[name] = {key: poisoned(row, strings, used) for key, row in old.items()}
        elif name in IDENTITY:
            continue
        elif type(old) is str:
            changes[name] = next(strings)
            used.append(changes[name])
        elif isinstance(old, tuple) and old and type(old[0]) is str:
            changes[name] = tuple(next(strings) for _ in old)
            used += changes[name]
        elif hasattr(old, "__dataclass_fields__"):
            changes[name] = poisoned(old, strings, used)
        elif isinstance(old, tuple) and old and hasattr(old[0], "__dataclass_fields__"):
            changes[name] = tuple(poisoned(one, strings, used) for one in old)
    return replace(view, **changes)


def poisoned_views(views: Mapping[str, Any], strings: Iterator[str]) -> tuple[dict[str, Any], list[str]]:
    """All views, and the strings that are in them."""
    used: list[str] = []
    return {topic: poisoned(view, strings, used) for topic, view in views.items()}, used
