"""Titles of the parts of a screen: one line with the title and a rule, no box."""

from __future__ import annotations

from rich.text import Text

from console.tui.glyphs import MUTED, TITLE, UNICODE, Glyphs
from console.tui.widgets.lines import Drawn, Lines, same_text
from state.text import cells, cut_middle


def title_line(title: str, note: Text | str, glyphs: Glyphs) -> Text:
    """` Title ─ note `: what stands on a rule, behind its first sign. Title and note must be clean."""
    # Styles of parts only: Textual's borders look a text's own style up among the names of its colours, at length.
    line = Text(" ", end="", no_wrap=True)
    line.append(title, TITLE)
    if note:
        line.append(f" {glyphs.rule} ", MUTED)
        line.append_text(note if isinstance(note, Text) else Text(note))
    line.append(" ")
    return line


class TitleRule(Lines):
    """`─ Title ─ note ───────` across the whole width."""

    DEFAULT_CSS = "TitleRule { height: 1; width: 1fr; }"

    def __init__(self, title: str, note: Text | str = "", glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._glyphs, self._title = glyphs, title
        self.set_title(title, note)

    def set_title(self, title: str, note: Text | str = "") -> None:
        """Change title and note; both must be clean."""
        self._title = title
        self.show([self._line(title, note)])

    def _line(self, title: str, note: Text | str = "") -> Text:
        line = Text(self._glyphs.rule, MUTED, end="", no_wrap=True)
        return line.append_text(title_line(title, note, self._glyphs))

    def rows(self, width: int) -> list[Text]:
        """The line to the right edge. A title alone that is too long is cut in its middle: its end says the most."""
        line = self._lines[0].copy()
        alone = self._line("").cell_len + cells(self._title)
        if line.cell_len > width and line.cell_len == alone:
            line = self._line(cut_middle(self._title, max(0, width - self._line("").cell_len), self._glyphs.ellipsis))
        line.append(self._glyphs.rule * max(0, width - line.cell_len), MUTED)
        return [line]


class Titled(Drawn):
    """A widget below a title: its upper border, so that it costs no widget of its own. The widget gives itself the
    class `-titled` when it has one."""

    DEFAULT_CSS = "Titled.-titled { border-top: solid ansi_bright_black; }"
    glyphs: Glyphs = UNICODE
    _title: Text | None = None

    def set_title(self, title: str, note: Text | str = "") -> None:
        """Change title and note; both must be clean."""
        line = title_line(title, note, self.glyphs)
        if self._title is None or not same_text(self._title, line):
            self._title = line
            self.border_title = line
