"""Output stage: send to the terminal only the cells that really changed.

Textual repaints whole dirty spans, each piece with its full style. This stage keeps two frames, the one wanted
and the one the terminal shows, and writes the runs in which they differ: about 1/35 of the bytes for a live
table. A slow terminal makes it skip frames, never wait: the wanted frame goes on changing and the difference is
sent when the terminal has caught up.

It hooks private parts of Textual, and no other module does: `App._display`, the compositor's `LayoutUpdate` and
`ChopsUpdate`, and the app's `_batch_count` and `_css_update_count`. `supported` compares their shapes with the ones
this was written for; where they differ, output goes the plain way. `tests/terminal` and `tests/screens` hold it against
a screen model, so an upgrade of Textual that changes more than shapes is found there.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from rich.color import ColorSystem
from rich.console import RenderableType
from textual import events, on
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.driver import Driver
from textual.screen import Screen
from textual.strip import Strip

from console.tui.terminal.frame import Frame
from console.tui.terminal.later import call_after

BACKLOG = 3
"""Writes waiting in the driver, each a frame, above which a frame is skipped."""
SYNCED = 512
"""Bytes from which on a frame is marked as one, so that a terminal draws it at once (private mode 2026)."""
SYNC_BEGIN, SYNC_END = "\x1b[?2026h", "\x1b[?2026l"
HOME = (0, 0)
SIZES_AT_START = 2
RETRY = 0.1
"""Seconds after which a skipped frame is tried again."""


def supported(layout_update: type = LayoutUpdate) -> bool:
    """Whether this Textual has the private parts the stage hooks, with the shapes it knows."""
    shapes = (
        (App, "_display", ["self", "screen", "renderable"]),
        (layout_update, "__init__", ["self", "strips", "region"]),
        (ChopsUpdate, "__init__", ["self", "chops", "spans", "chop_ends"]),
        (CompositorUpdate, "render_segments", ["self", "console"]),
    )
    return all(
        hasattr(owner, name) and list(inspect.signature(getattr(owner, name)).parameters) == parameters
        for owner, name, parameters in shapes
    )


def absorb(frame: Frame, update: LayoutUpdate | ChopsUpdate) -> None:
    """Take over what the compositor wants drawn."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                x = frame.paint(x, y, strip)
        return
    chops: Sequence[Mapping[int, Strip | None]] = update.chops
    for y, x1, x2 in update.spans:
        for end, (x, piece) in zip(update.chop_ends[y], chops[y].items(), strict=False):
            if piece is not None and x <= x2 and end > x1:
                frame.paint(x, y, piece.crop(0, min(end, x2) - x))


def styled_when_mounted(screen: Screen[Any]) -> None:
    """Textual styles the widgets of a new screen when they are mounted, and all of them again when it is shown: the
    second time is left out."""
    screen._css_update_count = getattr(screen.app, "_css_update_count", -1)


class DiffedApp(App[int]):
    """An app whose output goes through the stage."""

    ascii_output = False
    """Only ASCII may reach the terminal."""
    cell_diff = True
    """False sends everything the plain way."""

    def __init__(self, driver_class: type[Driver] | None = None, *, ansi_color: bool | None = None) -> None:
        super().__init__(driver_class, ansi_color=ansi_color)
        self._frame: Frame | None = None
        self._retrying = False
        self._begun = False
        self._sizes_told = 0
        self._stage_ready = self.cell_diff and supported()

    def output_open(self) -> bool:
        """Whether the terminal was taken over and may be written to."""
        return False

    def output_backlog(self) -> int:
        """Writes the driver has not handed to the terminal yet."""
        return 0

    @on(events.Resize)
    def _resized(self, event: events.Resize) -> None:
        # Textual and its driver both tell the size once at the start: the first frame was drawn for it.
        self._sizes_told += 1
        if self._sizes_told > SIZES_AT_START or (self._frame is not None and self._frame.size != tuple(event.size)):
            self.forget_frame()

    def forget_frame(self) -> None:
        """The terminal was resized, cleared or taken over: what it shows is no longer known."""
        if self._frame is not None:
            self._frame.forget()
            self.call_later(self._send_frame)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        staged = self._stage_ready and isinstance(renderable, LayoutUpdate | ChopsUpdate)
        if not staged or self.is_headless or self.is_inline:
            super()._display(screen, renderable)
            if isinstance(renderable, CompositorUpdate) and self._frame is not None:
                self._frame.forget()
            return
        assert isinstance(renderable, LayoutUpdate | ChopsUpdate)
        if self._frame is None or self._frame.size != tuple(self.size):
            system = self.console._color_system or ColorSystem.TRUECOLOR
            self._frame = Frame(*self.size, system)
        absorb(self._frame, renderable)
        self._send_frame()

    def _send_frame(self) -> None:
        frame = self._frame
        if frame is not None and self._batch_count and not self._begun and self.output_open():
            # Textual holds all output back until everything has settled: the first whole screen need not wait.
            self._begun = True
            assert self._driver is not None
            self._driver.write(frame.render())
            self._driver.flush()
        if frame is None or self._batch_count or not frame.changed():
            self.post_display_hook()
            return
        if self.output_backlog() > BACKLOG:
            if not self._retrying:
                self._retrying = True
                call_after(self, RETRY, self._retry)
            self.post_display_hook()
            return
        self._write_frame(frame)
        self.post_display_hook()

    def _write_frame(self, frame: Frame) -> None:
        """What differs, in one write. The cursor is moved only where a person types: elsewhere it is hidden."""
        if not self._running or self._closed or self._driver is None:
            return
        text = frame.render()
        place = self.screen.outer_size.clamp_offset(self.cursor_position)
        if place != HOME:
            text += f"\x1b[{place.y + 1};{place.x + 1}H"
        if len(text) > SYNCED and self._sync_available:
            text = f"{SYNC_BEGIN}{text}{SYNC_END}"
        self._driver.write(text)
        self._driver.flush()

    def _retry(self) -> None:
        self._retrying = False
        self._send_frame()
