"""Text for cells and widgets, built from strings that are already clean. Never from markup: what came from
outside is shown, not interpreted."""

from __future__ import annotations

from collections.abc import Iterable

from rich.style import Style
from rich.text import Text
from textual.content import Content

from console.tui.glyphs import MUTED, STALE, TITLE, UNICODE, UNKNOWN, Glyphs, mark
from state.units import ago, utc

FAR_PAST = 5.0
"""So many times its age limit old, a value is no longer shown as a value."""


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


def content(text: Text | str) -> Content:
    """What a widget takes (`Static.update`, labels): the text as it is, brackets included."""
    return Content.from_rich_text(text) if isinstance(text, Text) else Content(text)


def lines(rows: Iterable[Text | str]) -> Content:
    """Several lines for one widget."""
    whole = Text("\n").join(row if isinstance(row, Text) else Text(row) for row in rows)
    return Content.from_rich_text(whole)


def labelled(label: str, value: str | Text, style: str = "") -> Text:
    """`label value`, the label muted."""
    return joined((f"{label} ", MUTED), value if isinstance(value, Text) else (value, style))


def titled(title: str) -> Text:
    """A heading."""
    return cell(title, TITLE)


def state_text(state: str, glyphs: Glyphs = UNICODE, *, word: bool = True) -> Text:
    """Glyph and word of a state (`ok`, `fail`, `unknown`, …) in its colour."""
    sign = mark(state)
    return cell(f"{glyphs.of(sign)} {sign.word}" if word else glyphs.of(sign), sign.style)


def age_text(age: float | None, limit: float, now: float) -> Text:
    """How old a value is, seconds: nothing to say while fresh, `~ 12 s` past its limit, far past it
    `no data since 07:03:12Z`. None: it was never read. `now` is seconds since 1970."""
    if age is None:
        return cell("no data yet", UNKNOWN)
    if age <= limit:
        return cell("")
    if age <= limit * FAR_PAST:
        return cell(f"~ {ago(age)}", STALE)
    return cell(f"no data since {utc(now - age)}", UNKNOWN)


def aged(value: Text | str, age: float | None, limit: float, now: float) -> Text:
    """A value with the mark of its age; far past its limit the value itself is withheld."""
    note = age_text(age, limit, now)
    if age is None or age > limit * FAR_PAST:
        return note
    shown = value if isinstance(value, Text) else cell(value)
    return joined(shown, note, separator=" ") if note.plain else shown
