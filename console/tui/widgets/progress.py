"""Time spent against a budget: a still bar and two clocks."""

from __future__ import annotations

from rich.text import Text

from console.tui.glyphs import ACTIVE, FAIL, MUTED, UNICODE, WARN, Glyphs
from state.text import cells
from state.units import clock

NEARLY = 0.8
"""From this share of the budget on the bar warns."""


def time_bar(elapsed: float, budget: float, width: int, glyphs: Glyphs = UNICODE) -> Text:
    """`████░░░░ 03:20 of 15:00`; beyond the budget the words say by how much. Seconds."""
    over = elapsed - budget
    message = f"{clock(elapsed)} of {clock(budget)}" + (f", over by {clock(over)}" if over > 0 else "")
    room = width - cells(message) - 1
    style = FAIL if over > 0 else WARN if elapsed >= NEARLY * budget else ACTIVE
    line = Text(end="", no_wrap=True)
    if room >= 3:
        share = min(1.0, max(0.0, elapsed / budget)) if budget > 0 else 1.0
        # Full only when it is: a bar that looks finished early would be believed.
        filled = room if share >= 1 else min(room - 1, int(share * room))
        line.append(glyphs.full * filled, style)
        line.append(glyphs.empty * (room - filled), MUTED)
        line.append(" ")
    line.append(message, style if over > 0 else None)
    return line
