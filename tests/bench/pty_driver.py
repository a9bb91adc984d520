"""A program on a pseudo-terminal with a screen model, timed: when a frame is there, what a key costs, what it writes.

It answers the questions programs ask their terminal, so that none waits for a time-out that a real terminal would not
cause.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Sequence

import psutil
import pyte

COLUMNS, ROWS = 160, 50
ANSWERS = (
    (re.compile(rb"\x1b\[6n"), b"\x1b[1;1R"),
    (re.compile(rb"\x1b\[0?c"), b"\x1b[?62;22c"),
    (re.compile(rb"\x1b\[\?2026\$p"), b"\x1b[?2026;2$y"),
    (re.compile(rb"\x1b\[\?2048\$p"), b"\x1b[?2048;0$y"),
    (re.compile(rb"\x1b\[\?u"), b"\x1b[?0u"),
    (re.compile(rb"\x1b\[>0?q"), b"\x1bP>|bench 1\x1b\\"),
    (re.compile(rb"\x1b\]1[01];\?(?:\x07|\x1b\\)"), b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
)
UNKNOWN_TO_MODEL = re.compile(
    rb"\x1b\[[<>=?][0-9;]*[uqmtc]|\x1b\[\?[0-9;]*\$p|\x1bP[^\x1b]*\x1b\\|\x1b_[^\x1b]*\x1b\\"
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
)
HEAD_START = 0.05
"""Seconds the child sleeps before it becomes the program, so that the window size is set; never counted."""


class TerminalEnded(RuntimeError):
    """The program closed its terminal."""


class Driven:
    """A program that runs. `started` is the instant it was started, on `time.perf_counter`."""

    def __init__(self, argv: Sequence[str], env: dict[str, str] | None = None) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self.written = 0
        self._reaped = False
        self.started = time.perf_counter() + HEAD_START
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            given = {key: value for key, value in os.environ.items() if key not in ("LINES", "COLUMNS", "NO_COLOR")}
            time.sleep(HEAD_START)
            terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
            os.execvpe(argv[0], list(argv), {**given, **terminal, **(env or {})})
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def __enter__(self) -> Driven:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._reaped:
            for process in reversed(self.processes()):
                process.kill()
            os.waitpid(self.pid, 0)
        os.close(self.descriptor)

    def pump(self, seconds: float) -> bytes:
        """What arrives next within that time; b"" when nothing does. Raises TerminalEnded."""
        if not select.select([self.descriptor], [], [], max(0.0, seconds))[0]:
            return b""
        try:
            data = os.read(self.descriptor, 1 << 18)
        except OSError:
            data = b""
        if not data:
            raise TerminalEnded(self.text()[-2000:])
        self.written += len(data)
        for question, answer in ANSWERS:
            for _ in question.findall(data):
                os.write(self.descriptor, answer)
        return data

    def feed(self, data: bytes) -> None:
        self._stream.feed(UNKNOWN_TO_MODEL.sub(b"", data))

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait(self, pattern: str, seconds: float = 30.0) -> float:
        """Milliseconds from the start until the screen first matched. Raises RuntimeError with the screen."""
        wanted = re.compile(pattern)
        end = time.perf_counter() + seconds
        while True:
            now = time.perf_counter()
            if wanted.search(self.text()):
                return (now - self.started) * 1e3
            if now > end:
                raise RuntimeError(f"{pattern!r} not seen in {seconds:g} s:\n{self.text()}")
            data = self.pump(end - now)
            arrived = time.perf_counter()
            self.feed(data)
            if wanted.search(self.text()):
                return (arrived - self.started) * 1e3

    def drain(self, seconds: float, *, model: bool = True) -> None:
        """Take what comes for so long; without `model` the screen is not kept, which costs no CPU."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            data = self.pump(left)
            if model:
                self.feed(data)

    def press(self, keys: str) -> float:
        """Send keys; the instant they were written."""
        at = time.perf_counter()
        os.write(self.descriptor, keys.encode())
        return at

    def key_ms(self, keys: str, limit: float = 3.0) -> float:
        """From a key until the program writes again."""
        at = self.press(keys)
        end = at + limit
        while time.perf_counter() < end:
            if self.pump(end - time.perf_counter()):
                return (time.perf_counter() - at) * 1e3
        raise RuntimeError(f"no answer to {keys!r} within {limit:g} s")

    def quit_ms(self, keys: str, limit: float = 5.0) -> float | None:
        """From the quitting key until the process is gone; None when it stays."""
        at = self.press(keys)
        while time.perf_counter() - at < limit:
            try:
                self.pump(0.001)
            except TerminalEnded:
                time.sleep(0.0005)
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                self._reaped = True
                return (time.perf_counter() - at) * 1e3
        return None

    def processes(self) -> list[psutil.Process]:
        try:
            own = psutil.Process(self.pid)
            return [own, *own.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu(self) -> float:
        """CPU seconds of the program and its children."""
        return sum(cpu_of(process) for process in self.processes())

    def stop(self, *, going: bool) -> None:
        """Stop the process as a debugger would, or let it go on."""
        os.kill(self.pid, signal.SIGCONT if going else signal.SIGSTOP)


def taken(drivens: Sequence[Driven], seconds: float) -> Iterator[tuple[Driven, bytes]]:
    """What any of them writes for so long, as it comes: one that waits for its terminal would be measured idle."""
    known = {driven.descriptor: driven for driven in drivens}
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        for descriptor in select.select(known, [], [], left)[0]:
            yield known[descriptor], known[descriptor].pump(0)


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds a process used so far."""
    try:
        spent = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(spent.user + spent.system)
