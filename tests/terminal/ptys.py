"""A program on a real pseudo-terminal, with a screen model: what a person would see."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pyte

ROOT = Path(__file__).parents[2]
_UNKNOWN_TO_MODEL = re.compile(
    rb"\x1b\[[<>=?][0-9;]*[uqmtc]|\x1b\[\?[0-9;]*\$p|\x1bP[^\x1b]*\x1b\\|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
)


class Terminal:
    """Starts the program with the pty as its standard streams and, unless told otherwise, its controlling
    terminal. Use as a context manager: it leaves no process behind."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        size: tuple[int, int] = (80, 24),
        env: dict[str, str] | None = None,
        controlling: bool = True,
        ignore_hang_up: bool = False,
    ) -> None:
        self.received = b""
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = termios.tcgetattr(slave)

        def in_child() -> None:
            if controlling:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            if ignore_hang_up:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)

        clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLORTERM"}}
        self.process = subprocess.Popen(
            argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env={**clean, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **(env or {})},
            start_new_session=True,
            preexec_fn=in_child,  # noqa: PLW1509  (no threads here, and nothing else sets a controlling terminal)
        )
        self.slave = slave

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for descriptor in (self.master, self.slave):
            if descriptor >= 0:
                os.close(descriptor)

    def read(self, seconds: float) -> bytes:
        """What arrives in that time."""
        got = b""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                data = os.read(self.master, 65536)
                got += data
                self._stream.feed(_UNKNOWN_TO_MODEL.sub(b"", data))
        self.received += got
        return got

    def wait(self, seen: str | Callable[[], object], limit: float = 10.0) -> None:
        """Until the screen shows the text or the condition holds."""
        end = time.monotonic() + limit
        holds = (lambda: seen in self.text()) if isinstance(seen, str) else seen
        while not holds():
            assert time.monotonic() < end, f"not seen in {limit} s: {seen}\n{self.text()}"
            self.read(0.05)

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """The window gets another size; the kernel tells the program."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def hang_up(self) -> None:
        """Close both our ends: the terminal is gone."""
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1

    def ended(self, limit: float = 8.0) -> int:
        """The exit code; what the program still writes is read meanwhile."""
        end = time.monotonic() + limit
        while self.process.poll() is None and time.monotonic() < end:
            if self.master >= 0:
                self.read(0.05)
            else:
                time.sleep(0.02)
        assert self.process.poll() is not None, "still running"
        if self.master >= 0:
            self.read(0.1)
        return self.process.returncode

    def cpu(self) -> float:
        """CPU seconds used so far."""
        spent = psutil.Process(self.process.pid).cpu_times()
        return spent.user + spent.system


def tiny(*wishes: str, **options: object) -> Terminal:
    """The tiny app."""
    return Terminal([sys.executable, "tests/terminal/tiny_app.py", *wishes], **options)  # type: ignore[arg-type]
