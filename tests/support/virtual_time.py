"""An event loop whose time jumps to the next timer when nothing else is to be done: hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
TICK = 1e-6
"""Seconds that a turn of the loop takes, so that time never stands still."""
PATIENCE = 60.0
"""Real seconds in which a thread must have ended."""
BEGAN = 1_795_000_000.0
"""Seconds since 1970 at which virtual time begins."""


class _Jumping(selectors.DefaultSelector):
    """Never waits: the time that it should have waited has passed."""

    passed = 0.0
    threads = 0
    """Threads that work for the loop: meanwhile no time passes."""

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and (timeout is None or (self.threads and timeout > 0)):  # only a thread can wake the loop
            ready = super().select(PATIENCE)
            assert ready, "nothing is left that could wake the loop"
        elif not ready:
            assert timeout is not None
            self.passed += max(0.0, timeout)
        self.passed += TICK
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time, which is also the clock of an engine that runs in it."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.passed

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Work in a thread, during which virtual time stands still."""
        self._jumping.threads += 1
        working = super().run_in_executor(executor, func, *args)
        working.add_done_callback(self._came_back)
        return working

    def _came_back(self, _working: asyncio.Future[Any]) -> None:
        self._jumping.threads -= 1

    def mono(self) -> float:
        """Monotonic seconds."""
        return self._jumping.passed

    def wall(self) -> float:
        """Seconds since 1970."""
        return BEGAN + self._jumping.passed


def run_virtual(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
