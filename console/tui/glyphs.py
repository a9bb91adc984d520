"""Signs on the screen: one mark (word, glyph, style) per state, and the characters lines are drawn with.

A state is never told by colour alone. Styles name the sixteen terminal colours; a theme decides what they look
like. No emoji and no variation selectors: terminals disagree about their width.
"""

from __future__ import annotations

from typing import NamedTuple

from state.text import clean

OK = "green"
WARN = "bold yellow"
FAIL = "bold red"
UNKNOWN = "bold magenta"
STALE = "magenta"
MUTED = "bright_black"
ACTIVE = "cyan"
TITLE = "bold blue"
KEY = "bold cyan"
DANGER = "bold red"
SELECTED = "reverse"
PICTURE = "not reverse"
"""Signs that are a picture: the cursor does not reverse them."""


class Mark(NamedTuple):
    """How one state is shown."""

    word: str
    glyph: str
    ascii_glyph: str
    style: str


_OK = Mark("OK", "✓", "+", OK)
_FAIL = Mark("FAIL", "✗", "x", FAIL)
_UNKNOWN = Mark("UNKNOWN", "?", "?", UNKNOWN)

MARKS: dict[str, Mark] = {
    "ok": _OK,
    "pass": Mark("PASS", "✓", "+", OK),
    "done": Mark("DONE", "✓", "+", OK),
    "up": Mark("UP", "✓", "+", OK),
    "ready": Mark("READY", "✓", "+", OK),
    "active": Mark("ACTIVE", "●", "*", OK),
    "warn": Mark("WARN", "!", "!", WARN),
    "degraded": Mark("DEGRADED", "!", "!", WARN),
    "fail": _FAIL,
    "failed": Mark("FAILED", "✗", "x", FAIL),
    "down": Mark("DOWN", "✗", "x", FAIL),
    "refused": Mark("REFUSED", "✗", "x", FAIL),
    "not_done": Mark("NOT DONE", "✗", "x", FAIL),
    "not_verified": Mark("UNVERIFIED", "!", "!", WARN),
    "conflict": Mark("CONFLICT", "≠", "#", FAIL),
    "danger": Mark("DANGER", "!", "!", DANGER),
    "unknown": _UNKNOWN,
    "in_doubt": Mark("IN DOUBT", "?", "?", UNKNOWN),
    "stale": Mark("STALE", "~", "~", STALE),
    "running": Mark("RUNNING", "▶", ">", ACTIVE),
    "waiting": Mark("WAITING", "…", ".", ACTIVE),
    "paused": Mark("PAUSED", "=", "=", WARN),
    "stopped": Mark("STOPPED", "■", "#", WARN),
    "unproven": Mark("UNPROVEN", "!", "!", WARN),
    "pending": Mark("PENDING", "·", ".", MUTED),
    "skipped": Mark("SKIPPED", "-", "-", MUTED),
    "expired": Mark("EXPIRED", "-", "-", MUTED),
    "drained": Mark("DRAINED", "○", "o", WARN),
    "drain": Mark("DRAIN", "○", "o", WARN),
    "maint": Mark("MAINT", "○", "o", MUTED),
    "off": Mark("OFF", "○", "o", MUTED),
    "selected": Mark("SELECTED", "›", ">", SELECTED),
}


def mark(state: str) -> Mark:
    """The mark of a state by name; a name without a mark is shown as it is and counts as unknown."""
    known = MARKS.get(state.lower().replace(" ", "_").replace("-", "_"))
    return known or Mark(clean(state, 20).upper() or _UNKNOWN.word, "?", "?", UNKNOWN)


class Glyphs(NamedTuple):
    """Characters for lines, charts and cuts; all one cell wide."""

    ascii_only: bool
    ellipsis: str
    rule: str
    separator: str
    cursor: str
    arrow: str
    full: str
    empty: str
    up: str
    down: str
    new: str
    """Newer than when a person last looked."""
    target: str
    """The target line of a chart."""
    event: str
    """Something that happened, below a chart."""
    levels: str
    """A column of a chart, from lowest to full."""

    def of(self, sign: Mark) -> str:
        """The glyph of a mark in this set."""
        return sign.ascii_glyph if self.ascii_only else sign.glyph


UNICODE = Glyphs(
    ascii_only=False,
    ellipsis="…",
    rule="─",
    separator="│",
    cursor="›",
    arrow="→",
    full="█",
    empty="░",
    up="▲",
    down="▼",
    new="●",
    target="╌",
    event="╳",
    levels="▁▂▃▄▅▆▇█",
)
ASCII = Glyphs(
    ascii_only=True,
    ellipsis="~",
    rule="-",
    separator="|",
    cursor=">",
    arrow=">",
    full="#",
    empty=".",
    up="^",
    down="v",
    new="*",
    target="-",
    event="X",
    levels="_.:-=+*#",
)
