"""The base of the app: how it lives with its terminal, ends on signals and reports its own crash."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback

from rich.segment import Segment, Segments

from console.tui.glyphs import ASCII, UNICODE, Glyphs
from console.tui.terminal.capabilities import SIGNAL_EXIT_BASE, Terminal
from console.tui.terminal.driver import TerminalDriver
from console.tui.terminal.output import DiffedApp
from console.tui.terminal.watchdog import Watchdog
from console.tui.theme import register
from console.tui.widgets.scrollbar import use_sign_bars
from state.text import clean, is_clean

_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class TerminalApp(DiffedApp):
    """Subclass it for an app: `TerminalApp(decide(...)).start()`.

    A hang-up, SIGTERM and SIGINT end it cleanly with 128 + the signal's number; a terminal that vanished
    without a signal counts as a hang-up. A crash prints where it happened, never the values of variables.
    """

    def __init__(self, terminal: Terminal) -> None:
        # Without colour Textual must know before it builds its filters, or it paints greys.
        super().__init__(TerminalDriver, ansi_color=None if terminal.colour else True)
        self.terminal = terminal
        self.ascii_output = terminal.ascii_only
        self.glyphs: Glyphs = ASCII if terminal.ascii_only else UNICODE
        self.animation_level = "none"
        register(self, terminal.theme)
        use_sign_bars()
        self._watchdog: Watchdog | None = None

    def start(self) -> int:
        """Run on the terminal until the end; returns the exit code of the process."""
        return asyncio.run(self.live())

    async def live(self) -> int:
        """The same in a loop that runs already."""
        try:
            await self.run_async(mouse=self.terminal.mouse)
        finally:
            if self._watchdog is not None:
                self._watchdog.stop()
        code = self.return_code or 0
        if code == SIGNAL_EXIT_BASE + signal.SIGHUP:
            _forget_terminal()
        return code

    def output_open(self) -> bool:
        return isinstance(self._driver, TerminalDriver) and self._driver.drawing

    def output_backlog(self) -> int:
        return self._driver.backlog if isinstance(self._driver, TerminalDriver) else 0

    def on_mount(self) -> None:
        if not isinstance(self._driver, TerminalDriver):
            return
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.signalled, number)
        assert sys.__stdin__ is not None
        self._watchdog = Watchdog(
            sys.__stdin__.fileno(),
            lambda: loop.call_soon_threadsafe(self.signalled, signal.SIGHUP),
            SIGNAL_EXIT_BASE + signal.SIGHUP,
        )
        self._watchdog.start()

    def signalled(self, number: int) -> None:
        """A signal asks to end, or the terminal is gone. Effects under way belong to the engine and go on."""
        code = SIGNAL_EXIT_BASE + number
        if self._watchdog is not None:
            self._watchdog.must_end(code)
        self.exit(code, return_code=code)

    def action_suspend_process(self) -> None:
        """Stopping the process deadlocks with a slow terminal: there is no such key."""

    def _fatal_error(self) -> None:
        """Replaces Textual's report, which prints local variables: they may hold what must stay secret."""
        error = sys.exc_info()[1] or self._exception
        lines = traceback.format_exception(error) if error is not None else ["unknown error"]
        parts = [line for part in lines for line in part.splitlines()]
        shown = [line if is_clean(line) else clean(line) for line in parts]
        self._exit_renderables.append(Segments([Segment("\n".join(shown))]))
        self._close_messages_no_wait()


def _forget_terminal() -> None:
    """Point the standard streams at nothing: Python flushes them at its end, and a dead terminal makes that fail."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
