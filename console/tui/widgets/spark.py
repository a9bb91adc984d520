"""A trend in one line."""

from __future__ import annotations

from rich.text import Text

from console.tui.glyphs import ACTIVE, FAIL, MUTED, PICTURE, UNICODE, Glyphs
from console.tui.widgets.scale import Values, level, scale_of


def sparkline(values: Values, width: int, glyphs: Glyphs = UNICODE, *, target: float | None = None) -> Text:
    """The last `width` values. With a target, values above it stand out, and its own height follows the line.

    The cursor does not reverse it: blocks in reverse video would show low values as high ones.
    """
    room = width if target is None else max(1, width - 2)
    shown = values[-room:]
    low, high = scale_of(shown, target)
    line = Text(end="", no_wrap=True)
    line.append(" " * (room - len(shown)), PICTURE)
    for value in shown:
        if value is None:
            line.append(" ", PICTURE)
        else:
            above = target is not None and value > target
            line.append(
                level(value, low, high, glyphs), f"{FAIL} underline {PICTURE}" if above else f"{ACTIVE} {PICTURE}"
            )
    if target is not None:
        line.append(f"{glyphs.separator}{level(target, low, high, glyphs)}", f"{MUTED} {PICTURE}")
    return line
