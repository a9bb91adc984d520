"""A titled part of a screen: one line with its title and a rule, no box."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from console.tui.glyphs import MUTED, TITLE, UNICODE, Glyphs
from console.tui.widgets.lines import Lines


class TitleRule(Lines):
    """`─ Title ─ note ───────` across the whole width."""

    DEFAULT_CSS = "TitleRule { height: 1; width: 1fr; }"

    def __init__(self, title: str, note: Text | str = "", glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._glyphs = glyphs
        self.set_title(title, note)

    def set_title(self, title: str, note: Text | str = "") -> None:
        """Change title and note; both must be clean."""
        rule = self._glyphs.rule
        line = Text(f"{rule} ", MUTED, end="", no_wrap=True)
        line.append(title, TITLE)
        if note:
            line.append(f" {rule} ", MUTED)
            line.append_text(note if isinstance(note, Text) else Text(note))
        line.append(" ")
        self.show([line])

    def rows(self, width: int) -> list[Text]:
        line = self._lines[0].copy()
        line.append(self._glyphs.rule * max(0, width - line.cell_len), MUTED)
        return [line]


class Panel(Vertical):
    """A title line above its content."""

    DEFAULT_CSS = "Panel { height: auto; width: 1fr; }"

    def __init__(
        self,
        *content: Widget,
        title: str,
        note: Text | str = "",
        glyphs: Glyphs = UNICODE,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._rule = TitleRule(title, note, glyphs)
        self._content = content

    def compose(self) -> ComposeResult:
        yield self._rule
        yield from self._content

    def set_title(self, title: str, note: Text | str = "") -> None:
        """Change title and note; both must be clean."""
        self._rule.set_title(title, note)
