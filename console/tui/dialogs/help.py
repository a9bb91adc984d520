"""Help for one screen: its keys, and why the dimmed ones do nothing now."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from console.tui.actions.registry import keys_of, shown_key
from console.tui.dialogs.base import TextDialog
from console.tui.glyphs import KEY, MARKS, MUTED, WARN, Glyphs
from console.tui.parts.facts import Row, fact
from console.tui.session import ActionContext
from console.tui.text import cell, joined, titled
from state.api.topics import Topic

KEYS_WIDTH = 13
MOVING = (
    ("↑↓ jk", "move; PgUp PgDn g G too"),
    ("←→ hl Tab", "the next table"),
    ("enter", "all of what the cursor is on, and what it leads to; Enter again goes there, esc comes back"),
    ("o O", "sort the table by the next column; the other way round"),
)


def help_rows(ctx: ActionContext, tabs: Sequence[Topic], about: str, glyphs: Glyphs) -> list[Row]:
    """Every key that exists here."""
    rows: list[Row] = [cell(about), cell("")]
    own = [action for action in keys_of(ctx.screen) if action.screens]
    everywhere = [action for action in keys_of(ctx.screen) if not action.screens]
    for title, actions in (("This screen", own), ("Everywhere", everywhere)):
        if actions:
            rows.append(titled(title))
        for action in actions:
            reason = action.why_not(ctx)
            rows.append(_line(shown_key(action), action.help, KEY if reason is None else MUTED))
            if reason is not None:
                rows.append(_line("", joined((f"not now: {reason}", WARN))))
    rows += [_line(keys, message) for keys, message in MOVING]
    rows.append(_line("1-9", ", ".join(f"{tab.digit} {tab.title}" for tab in tabs)))
    rows += [cell(""), titled("Signs"), *signs(glyphs)]
    rows += [cell(""), cell("No key acts by itself: it opens a card that shows what would happen, and asks.")]
    return rows


def signs(glyphs: Glyphs) -> list[Row]:
    """Every sign that screens use, and what it means."""
    words: dict[str, list[str]] = {}
    for each in MARKS.values():
        words.setdefault(glyphs.of(each), []).append(each.word.lower())
    rows = [_line(sign, ", ".join(meant)) for sign, meant in words.items()]
    rows += [
        _line(sign, meaning)
        for sign, meaning in (
            ("~ 12 s", "past its age limit; a value far past it is not shown: no data since 07:03:12Z"),
            ("?", "not known, which is never 0 and never a pass"),
            ("-", "there is no such value here"),
            ("###", "a number that does not fit: widen the terminal"),
            (glyphs.ellipsis, "a name or text that goes on; Enter shows all of it"),
            (glyphs.cursor, "the row that keys act on"),
            (glyphs.levels, "a trend or chart, from its lowest value to its highest; blank: nothing was read"),
            (glyphs.target * 3, "the target in a chart; columns above it miss it"),
            (glyphs.event, "below a chart: something happened at this time, like a run"),
            (glyphs.full + glyphs.empty, "time spent, time left"),
            (glyphs.arrow, "before and after"),
            (f"{glyphs.up} {glyphs.down}", "in the head of a table: sorted by this column, upwards or downwards"),
            (glyphs.new, "in the journal: newer than when you last looked"),
            (f"{glyphs.rule} {glyphs.separator}", "lines that divide; they mean nothing"),
        )
    ]
    return rows


def _line(keys: str, message: Text | str, mark: str = KEY) -> Row:
    return fact(f"  {keys}", message, width=KEYS_WIDTH, mark=mark)


def help_dialog(ctx: ActionContext, tabs: Sequence[Topic], title: str, about: str, glyphs: Glyphs) -> TextDialog:
    """The help of a screen as a dialog."""
    return TextDialog(f"Help: {title}", help_rows(ctx, tabs, about, glyphs))
