"""Text for cells and widgets, built from strings that are already clean. Never from markup: what came from
outside is shown, not interpreted."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from console.tui.glyphs import MUTED, TITLE, UNICODE, Glyphs, mark


def cell(shown: str, style: str | Style = "") -> Text:
    """A cell of a table."""
    return Text(shown, style=style, no_wrap=True, end="")


def joined(*parts: str | Text | tuple[str, str], separator: str = "") -> Text:
    """Parts in a row: plain strings, texts, or (string, style)."""
    line = cell("")
    for place, part in enumerate(parts):
        if place and separator:
            line.append(separator)
        if isinstance(part, tuple):
            line.append(part[0], part[1] or None)
        else:
            line.append(part)
    return line


def labelled(label: str, value: str | Text, style: str = "") -> Text:
    """`label value`, the label muted."""
    return joined((f"{label} ", MUTED), value if isinstance(value, Text) else (value, style))


def begun(title: str) -> str:
    """With a large first letter, and all others as they are: `Repair DNS`."""
    return title[:1].upper() + title[1:]


def titled(title: str) -> Text:
    """A heading."""
    return cell(title, TITLE)


def state_text(state: str, glyphs: Glyphs = UNICODE, *, word: bool = True) -> Text:
    """Glyph and word of a state (`ok`, `fail`, `unknown`, …) in its colour."""
    sign = mark(state)
    return cell(f"{glyphs.of(sign)} {sign.word}" if word else glyphs.of(sign), sign.style)
