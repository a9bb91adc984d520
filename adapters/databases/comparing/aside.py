"""A comparison beside the engine's work: in a thread with a loop of its own, so that none of it delays the engine."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

from state.comparing.request import CompareProgress, CompareRequest, OnProgress
from state.comparing.results import Comparison
from state.estate.model import Estate

TELLING = 0.5
"""Seconds between two words about how far it is."""


class EstateComparisons:
    """Compares databases of one estate, each time over sessions of its own. Fulfils CanCompare."""

    def __init__(self, estate: Estate, base: Path) -> None:
        self._estate, self._base = estate, base

    async def compare(self, request: CompareRequest, progress: OnProgress) -> Comparison:
        """As CanCompare says."""
        work = _Work(self._estate, self._base, request, asyncio.get_running_loop(), progress)
        ended = asyncio.ensure_future(asyncio.to_thread(work.run))
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait({ended})
            if not ended.cancelled():
                ended.exception()  # it was cancelled: what it met while it ended is no answer
            raise


class _Work:
    """One comparison in its thread."""

    def __init__(
        self,
        estate: Estate,
        base: Path,
        request: CompareRequest,
        caller: asyncio.AbstractEventLoop,
        progress: OnProgress,
    ) -> None:
        self._estate, self._base, self._request = estate, base, request
        self._caller, self._progress, self._told = caller, progress, 0.0
        self._lock = threading.Lock()
        self._cancelled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Comparison] | None = None

    def run(self) -> Comparison:
        """In the thread. Raises as CanCompare says, and CancelledError."""
        return asyncio.run(self._compare())

    def cancel(self) -> None:
        """From the caller's thread: end it, also when it has not begun."""
        with self._lock:
            self._cancelled = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def _compare(self) -> Comparison:
        from adapters.databases.comparing.work import CompareWatch, compare

        with self._lock:
            if self._cancelled:
                raise asyncio.CancelledError
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.create_task(
                compare(self._estate, self._base, self._request, CompareWatch(progress=self._tell))
            )
        try:
            return await self._task
        finally:
            with self._lock:
                self._loop = None  # from here on nobody may call into it: it is being closed

    def _tell(self, progress: CompareProgress) -> None:
        now = time.monotonic()
        if now - self._told >= TELLING:
            self._told = now
            self._caller.call_soon_threadsafe(self._progress, progress)
