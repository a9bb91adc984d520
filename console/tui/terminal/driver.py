"""The terminal driver: Textual's own, made safe against terminals that vanish, stall or know ASCII only."""

from __future__ import annotations

import os
import selectors
from codecs import getincrementaldecoder
from contextlib import suppress
from typing import cast

from rich.cells import cell_len
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key

from console.tui.terminal.output import DiffedApp
from console.tui.terminal.replies import Replies

INPUT_TICK = 0.1
"""Seconds after which a lone Escape counts as a key of its own."""

_LOOKALIKES = {
    "─": "-", "━": "=", "═": "=", "│": "|", "┃": "|", "║": "|", "▏": "|", "▕": "|", "▎": "|", "▔": "-", "▁": "_",
    "…": "~", "·": ".", "•": "*", "●": "*", "○": "o", "✓": "+", "✗": "x", "▶": ">", "▸": ">", "›": ">", "▲": "^",
    "▼": "v", "▽": "v", "△": "^", "←": "<", "→": ">", "↑": "^", "↓": "v", "█": "#", "▀": "#", "▄": "#", "▌": "#",
    "▐": "#", "░": ".", "▒": ":", "▓": "#", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "×": "x",
    "╌": "-", "╳": "X", "≠": "#", "■": "#",
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
    _wake: tuple[int, int] | None = None

    @property
    def drawing(self) -> bool:
        """Whether the terminal is in application mode."""
        return self._drawing

    @property
    def backlog(self) -> int:
        """Writes accepted and not yet handed to the terminal."""
        writer = self._writer_thread
        return writer._queue.qsize() if writer is not None else 0

    def start_application_mode(self) -> None:
        """Also runs when a stopped process is continued: the screen is empty again by then."""
        if self._wake is None:
            self._wake = os.pipe()
        app = cast(DiffedApp, self._app)
        self.ascii_only = app.ascii_output
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._drawing = True
        app.forget_frame()

    def stop_application_mode(self) -> None:
        if self._drawing:
            self.write("\x1b[m")  # frames leave their pen selected
        self._drawing = False
        super().stop_application_mode()

    def _get_terminal_size(self) -> tuple[int, int]:
        """That of the terminal itself: an inherited `COLUMNS` is of another one, or from before it was resized."""
        with suppress(OSError):
            columns, lines = os.get_terminal_size(self.fileno)
            if columns and lines:
                return columns, lines
        return super()._get_terminal_size()

    def run_input_thread(self) -> None:
        """Read keys until told to end, at once when told: Textual's own loop sleeps up to 0.2 s first, and a person
        who leaves waits for it."""
        assert self._wake is not None
        parser, decode = XTermParser(self._debug), getincrementaldecoder("utf-8")("replace").decode
        replies = Replies()
        with selectors.SelectSelector() as ready:
            ready.register(self.fileno, selectors.EVENT_READ)
            ready.register(self._wake[0], selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if any(key.fd == self.fileno for key, _ in ready.select(INPUT_TICK)):
                    read = os.read(self.fileno, 4096)
                    if not read:
                        return
                    typed = replies.typed(decode(read))
                else:
                    typed = replies.tick()
                for event in parser.feed(typed) if typed else ():
                    self.process_message(event)
                for event in parser.tick():
                    if isinstance(event, Key) and event.key == "escape":
                        replies.escaped()
                    self.process_message(event)

    def disable_input(self) -> None:
        """Stop reading keys without waiting for the next tick."""
        if self._wake is not None:
            os.write(self._wake[1], b".")
        super().disable_input()
        if self._wake is not None:
            for end in self._wake:
                os.close(end)
            self._wake = None

    def _sigtstp_application(self, *_: object) -> None:
        """Asked to stop: by the loop, since this may have interrupted the very write that it would wait for."""
        self._loop.call_soon_threadsafe(self._stopped)

    def _stopped(self) -> None:
        super()._sigtstp_application()

    def _sigcont_application(self, *_: object) -> None:
        """Continued: told to the loop, for the same reason."""
        self._loop.call_soon_threadsafe(self._continued)

    def _continued(self) -> None:
        """After a stop nobody could see coming (SIGSTOP) the terminal is left properly first: entered
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
