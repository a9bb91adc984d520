"""Labelled words that wrap under themselves, for detail panes, cards and help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll

from console.tui.glyphs import MUTED
from console.tui.text import joined
from console.tui.widgets.lines import Lines

LABEL_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and its words; wrapped words stay right of the label."""

    label: Text
    message: Text
    indent: int = LABEL_WIDTH


Row = Text | Fact


def fact(label: str, message: Text | str, style: str = "", *, width: int = LABEL_WIDTH, mark: str = MUTED) -> Fact:
    """`label     words`."""
    shown = joined(message) if isinstance(message, Text) else joined((message, style))
    return Fact(joined((f"{label:<{width - 1}} ", mark)), shown, width)


def wrap_rows(rows: Sequence[Row], width: int, console: Console) -> list[Text]:
    """The rows as lines of at most `width` cells, nothing cut away."""
    lines: list[Text] = []
    for row in rows:
        indent = row.indent if isinstance(row, Fact) and width > 2 * row.indent else 0
        message = row.message if isinstance(row, Fact) else row
        if isinstance(row, Fact) and not indent:
            message = joined(row.label, row.message)
        # What wraps must be free to: cells of tables are not.
        loose = Text.assemble(message, no_wrap=False, overflow="fold")
        for place, line in enumerate(loose.wrap(console, max(1, width - indent)) or [Text("")]):
            lead = row.label if isinstance(row, Fact) and indent and not place else Text(" " * indent)
            lines.append(joined(lead, joined(line)))
    return lines


class Facts(VerticalScroll, can_focus=True):
    """Rows wrapped to the width there is; scrolls when they do not fit."""

    DEFAULT_CSS = """
    Facts { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    Facts Lines { height: auto; }
    """

    def __init__(self, rows: Sequence[Row] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._facts: list[Row] = list(rows)

    def compose(self) -> ComposeResult:
        yield Lines([""])

    def on_resize(self) -> None:
        self._wrap()

    def show(self, rows: Sequence[Row]) -> None:
        """Replace the text; the same text costs nothing."""
        if list(rows) != self._facts:
            self._facts = list(rows)
            self._wrap()

    def _wrap(self) -> None:
        width = self.scrollable_content_region.width
        if width:
            self.query_one(Lines).show(wrap_rows(self._facts, width, self.app.console))

    @property
    def plain(self) -> str:
        """What is shown, without styles and before wrapping."""
        texts = [joined(row.label, row.message) if isinstance(row, Fact) else row for row in self._facts]
        return "\n".join(text.plain for text in texts)
