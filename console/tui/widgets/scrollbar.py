"""A scroll bar made of characters: it is visible without colour too."""

from __future__ import annotations

from typing import ClassVar

from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style
from textual.scrollbar import ScrollBar, ScrollBarRender

THUMB = "▐"
TRACK = "│"


class SignBar(ScrollBarRender):
    """A half block for what is in sight, a thin line for the rest; whole cells, no halves."""

    signs: ClassVar[tuple[str, str]] = (THUMB, TRACK)

    @classmethod
    def render_bar(
        cls,
        size: int = 25,
        virtual_size: float = 50,
        window_size: float = 20,
        position: float = 0,
        thickness: int = 1,
        vertical: bool = True,
        back_color: Color = Color.default(),  # noqa: B008  (an immutable value; the signature is Textual's)
        bar_color: Color = Color.default(),  # noqa: B008
    ) -> Segments:
        thumb, track = cls.signs
        start, end = _thumb(size, virtual_size, window_size, position)
        style = {
            "upper": Style(bgcolor=back_color, color=bar_color, dim=True, meta={"@mouse.down": "scroll_up"}),
            "thumb": Style(bgcolor=back_color, color=bar_color, meta={"@mouse.down": "grab"}),
            "lower": Style(bgcolor=back_color, color=bar_color, dim=True, meta={"@mouse.down": "scroll_down"}),
        }
        segments = [
            Segment(track * thickness, style["upper"])
            if place < start
            else Segment(thumb * thickness, style["thumb"])
            if place < end
            else Segment(track * thickness, style["lower"])
            for place in range(size)
        ]
        return Segments(segments, new_lines=vertical)


def _thumb(size: int, whole: float, window: float, position: float) -> tuple[int, int]:
    """First and last + 1 cell of the thumb; it touches an end only when nothing lies beyond it."""
    if not (window and whole and size) or whole <= window:
        return 0, 0
    length = max(1, round(size * window / whole))
    room = size - length
    start = round(room * position / (whole - window))
    if position > 0:
        start = max(1, start) if room else start
    if position < whole - window:
        start = min(start, room - 1) if room > 1 else start
    return start, start + length


def use_sign_bars() -> None:
    """Draw all scroll bars this way."""
    ScrollBar.renderer = SignBar
