"""A thread that ends the process when its terminal is closed and the screens cannot end it themselves."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable

GRACE = 5.0
"""Seconds the app has to end by itself."""
_STEP = 0.5
_HANG_UP = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Watchdog(threading.Thread):
    """Watches a terminal (by file descriptor) for a hang-up, without any signal.

    `on_hang_up` is called once, from this thread. After `must_end` the process has the grace time to end;
    a process that has not (its loop or a write is stuck) is ended at once with that exit code.
    """

    def __init__(self, descriptor: int, on_hang_up: Callable[[], object], hang_up_code: int) -> None:
        super().__init__(name="terminal-watchdog", daemon=True)
        self._poll = select.poll()
        self._poll.register(descriptor, 0)
        self._on_hang_up = on_hang_up
        self._hang_up_code = hang_up_code
        self._stopped = threading.Event()
        self._ends_at: float | None = None
        self._code = 0

    def must_end(self, code: int) -> None:
        """Start the grace time, once."""
        if self._ends_at is None:
            self._code = code
            self._ends_at = time.monotonic() + GRACE

    def stop(self) -> None:
        """The app has ended by itself."""
        self._stopped.set()

    def run(self) -> None:
        gone = False
        while not self._stopped.is_set():
            if not gone and self._hung_up():
                gone = True
                self.must_end(self._hang_up_code)
                self._on_hang_up()
            if gone or self._ends_at is not None:
                self._stopped.wait(_STEP / 5)
            if self._ends_at is not None and time.monotonic() > self._ends_at and not self._stopped.is_set():
                os._exit(self._code)

    def _hung_up(self) -> bool:
        return any(event & _HANG_UP for _, event in self._poll.poll(_STEP * 1000))
