"""Labelled texts that wrap below themselves, for detail panes, cards and help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.tui.glyphs import MUTED
from console.tui.text import joined
from console.tui.widgets.lines import Drawn, draw, same_text

LABEL_WIDTH = 10


class LabelledText(NamedTuple):
    """A label and its text; wrapped text stays right of the label."""

    label: Text
    message: Text
    indent: int = LABEL_WIDTH


class Heading(NamedTuple):
    """A title of some rows, with a line of `rule` to the right edge."""

    title: Text
    rule: str


class Flow(NamedTuple):
    """Short pieces that share lines; none is broken while it fits one."""

    pieces: tuple[Text, ...]
    separator: str


Row = Text | LabelledText | Heading | Flow


def fact(
    label: str, message: Text | str, style: str = "", *, width: int = LABEL_WIDTH, mark: str = MUTED
) -> LabelledText:
    """`label     words`."""
    shown = joined(message) if isinstance(message, Text) else joined((message, style))
    return LabelledText(joined((f"{label:<{width - 1}} ", mark)), shown, width)


def wrap_rows(rows: Sequence[Row], width: int, console: Console) -> list[Text]:
    """The rows as lines of at most `width` cells, nothing cut away."""
    lines: list[Text] = []
    for row in rows:
        if isinstance(row, Flow):
            lines += _flowing(row, width, console)
            continue
        if isinstance(row, Heading):
            title = row.title if row.title.plain.endswith(" ") else joined(row.title, " ")
            lines.append(joined(title, (row.rule * max(0, width - title.cell_len), MUTED)))
            continue
        indent = row.indent if isinstance(row, LabelledText) and width > 2 * row.indent else 0
        message = row.message if isinstance(row, LabelledText) else row
        if isinstance(row, LabelledText) and not indent:
            message = joined(row.label, row.message)
        for place, line in enumerate(_wrapped(message, width - indent, console)):
            lead = row.label if isinstance(row, LabelledText) and indent and not place else Text(" " * indent)
            lines.append(joined(lead, joined(line)))
    return lines


def _wrapped(text: Text, width: int, console: Console) -> list[Text]:
    # What wraps must be free to: cells of tables are not.
    loose = Text.assemble(text, no_wrap=False, overflow="fold")
    return list(loose.wrap(console, max(1, width))) or [Text("")]


def _flowing(row: Flow, width: int, console: Console) -> list[Text]:
    lines: list[Text] = []
    for piece in row.pieces:
        longer = joined(lines[-1], row.separator, piece) if lines else piece
        if lines and longer.cell_len <= width:
            lines[-1] = longer
        else:
            lines += [joined(line) for line in _wrapped(piece, width, console)]
    return lines


class Facts(ScrollView, Drawn, can_focus=True):
    """Rows wrapped to the width there is; scrolls when they do not fit."""

    DEFAULT_CSS = """
    Facts {
        height: 1fr; padding: 0 1; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
    }
    """

    def __init__(self, rows: Sequence[Row] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._facts: list[Row] = list(rows)
        self._lines: list[Text] = []
        self._width = 0

    def on_resize(self) -> None:
        self._wrap()

    def show(self, rows: Sequence[Row]) -> None:
        """Replace the text; the same text costs nothing, and only lines that differ are drawn again."""
        if list(rows) == self._facts:
            return
        self._facts = list(rows)
        before, top = self._lines, self.scroll_offset.y
        self._wrap(anew=True)
        for y in range(max(len(before), len(self._lines))):
            old = before[y] if y < len(before) else None
            now = self._lines[y] if y < len(self._lines) else None
            if old is None or now is None or not same_text(old, now):
                self.refresh(Region(0, y - top, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        self._wrap()
        y += self.scroll_offset.y
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.own_style)
        return draw(self, self._lines[y], width)

    def _wrap(self, *, anew: bool = False) -> None:
        """Wrap for the width there is; more lines than there is room for can be scrolled."""
        region = self.scrollable_content_region
        if region.width and (anew or region.width != self._width):
            self._width = region.width
            self._lines = wrap_rows(self._facts, region.width, self.app.console)
        self.virtual_size = Size(1, len(self._lines) if len(self._lines) > region.height else 1)

    @property
    def plain(self) -> str:
        """What is shown, without styles and before wrapping."""
        return "\n".join(_whole(row).plain for row in self._facts)


def _whole(row: Row) -> Text:
    if isinstance(row, Heading):
        return row.title
    if isinstance(row, Flow):
        return joined(*row.pieces, separator=row.separator)
    return joined(row.label, row.message) if isinstance(row, LabelledText) else row
