"""Lines of text, the simplest widget; only changed lines are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from console.tui.glyphs import MUTED


class Drawn(Widget):
    """A widget that draws its lines itself, on its own colours."""

    _own_style: Style | None = None

    @property
    def own_style(self) -> Style:
        """The widget's colours, looked up once and not for each line."""
        if self._own_style is None:
            self._own_style = self.rich_style
        return self._own_style

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._own_style = None


class Lines(Drawn):
    """Shows texts, one per line, cut at the right edge. Its height follows the number of lines."""

    DEFAULT_CSS = "Lines { height: auto; width: 1fr; }"

    def __init__(self, rows: Sequence[Text | str] = (), *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines = [_text(row) for row in rows]

    def show(self, rows: Sequence[Text | str]) -> None:
        """Replace the lines."""
        old, self._lines = self._lines, [_text(row) for row in rows]
        if len(old) != len(self._lines):
            height = self.styles.height
            self.refresh(layout=height is None or height.is_auto)
            return
        for y, (before, now) in enumerate(zip(old, self._lines, strict=True)):
            if not same_text(before, now):
                self.refresh(Region(0, y, self.size.width, 1))

    @property
    def plain(self) -> str:
        """What is shown, without styles."""
        return "\n".join(line.plain for line in self._lines)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return max(1, len(self._lines))

    def rows(self, width: int) -> Sequence[Text]:
        """The lines for a width; subclasses that fill their width build them here."""
        return self._lines

    def render_line(self, y: int) -> Strip:
        rows = self.rows(self.size.width)
        if y >= len(rows):
            return Strip.blank(self.size.width, self.own_style)
        return draw(self, rows[y], self.size.width)


def same_text(before: Text, now: Text) -> bool:
    """Whether a text looks the same. Equality alone overlooks the base style."""
    return before is now or (before == now and before.style == now.style)


def draw(widget: Drawn, line: Text, width: int, style: Style | None = None) -> Strip:
    """One line of a widget, as wide as that, on the widget's own colours; `style` goes over everything."""
    console = widget.app.console
    segments = [segment for segment in line.render(console) if segment.text]
    if line.style and not line.spans:
        # Without spans the text's own style would be forgotten.
        base = console.get_style(line.style)
        segments = [Segment(segment.text, base) for segment in segments]
    strip = Strip(segments).adjust_cell_length(width)
    if style:
        strip = Strip([segment._replace(style=_over(segment.style or Style.null(), style)) for segment in strip])
    return strip.apply_style(widget.own_style)


@lru_cache(maxsize=1024)
def _over(below: Style, style: Style) -> Style:
    """Both together. Muted words lose their colour: reversed, they would be grey patches. Pictures stay as they are."""
    if below.reverse is False:
        return below  # a picture
    muted = below.color is not None and below.color.name == MUTED
    return (below.without_color if muted else below) + style


def _text(row: Text | str) -> Text:
    return row if isinstance(row, Text) else Text(row, end="", no_wrap=True)
