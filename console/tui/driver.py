"""The terminal driver: Textual's own, made safe against terminals that vanish, stall or know ASCII only."""

from __future__ import annotations

import os
from typing import cast

from rich.cells import cell_len
from textual.drivers.linux_driver import LinuxDriver

from console.tui.output import DiffedApp

_LOOKALIKES = {
    "─": "-", "━": "=", "═": "=", "│": "|", "┃": "|", "║": "|", "▏": "|", "▕": "|", "▎": "|", "▔": "-", "▁": "_",
    "…": "~", "·": ".", "•": "*", "●": "*", "○": "o", "✓": "+", "✗": "x", "▶": ">", "▸": ">", "›": ">", "▲": "^",
    "▼": "v", "▽": "v", "△": "^", "←": "<", "→": ">", "↑": "^", "↓": "v", "█": "#", "▀": "#", "▄": "#", "▌": "#",
    "▐": "#", "░": ".", "▒": ":", "▓": "#", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "×": "x",
}  # fmt: skip


class AsciiTable(dict[int, str]):
    """For `str.translate`: every character outside ASCII becomes ASCII of the same width."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        known = char if code < 0x80 else _LOOKALIKES.get(char)
        if known is None:
            known = "+" if 0x2500 <= code < 0x2580 else "#" if 0x2580 <= code < 0x25A0 else "?" * cell_len(char)
        self[code] = known
        return known


class TerminalDriver(LinuxDriver):
    """Writes never wait for a dead terminal, and only ASCII reaches one that knows no more."""

    ascii_only = False
    _drawing = False
    _ascii = AsciiTable()

    @property
    def backlog(self) -> int:
        """Writes accepted and not yet handed to the terminal."""
        writer = self._writer_thread
        return writer._queue.qsize() if writer is not None else 0

    def start_application_mode(self) -> None:
        """Also runs when a stopped process is continued: the screen is empty again by then."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._drawing = True
        cast(DiffedApp, self._app).forget_frame()

    def stop_application_mode(self) -> None:
        self._drawing = False
        super().stop_application_mode()

    def _sigcont_application(self, *_: object) -> None:
        """Continued. After a stop nobody could see coming (SIGSTOP) the terminal is left properly first: entered
        twice, it would be read by two threads and never restored."""
        if not self._auto_restart or not os.isatty(self.fileno):
            return
        if self._drawing:
            self.suspend_application_mode()
        elif not self._must_signal_resume:
            return
        self.resume_application_mode()

    def write(self, data: str) -> None:
        """Queue text for the terminal; dropped once the writer died of a vanished terminal."""
        writer = self._writer_thread
        if writer is None or not writer.is_alive():
            return
        writer.write(data.translate(self._ascii) if self.ascii_only and not data.isascii() else data)
