"""The session log: what each console has shown and what was pressed there, kept beside the journal, not in its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

from state.api.caller import Caller
from state.api.sessions import SeenLine, SessionKept
from state.clock import Clock
from state.ports.sessions import KeepsSessions

WAIT = 1.0
"""Seconds for which a console waits until its lines are written."""


class SessionLog:
    """Writes what consoles say, one batch at a time. A disk that hangs keeps nobody: its lines are told as not kept."""

    def __init__(self, store: KeepsSessions | None, clock: Clock, version: Callable[[], int]) -> None:
        """`version` is that of the views that consoles have."""
        self._store, self._clock, self._version = store, clock, version
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, caller: Caller, console: str, lines: Sequence[SeenLine]) -> SessionKept:
        """Keep what a console said; never raises."""
        if self._store is None:
            return SessionKept(0, "this engine keeps no session log")
        if not lines:
            return SessionKept(0)
        if self._writing is not None and not self._writing.done():
            return SessionKept(0, "the disk of the session log does not answer")
        now = self._clock.wall()
        made = [self._line(caller, console, line, now) for line in lines]
        self._writing = asyncio.create_task(asyncio.to_thread(self._store.append, made, now))
        done, _ = await asyncio.wait([self._writing], timeout=WAIT)
        if not done:
            return SessionKept(0, "the disk of the session log does not answer")
        error = self._writing.exception()
        if isinstance(error, OSError):
            return SessionKept(0, error.strerror or str(error))
        if error is not None:
            return SessionKept(0, f"a defect of this engine: {type(error).__name__}")
        return SessionKept(len(made))

    async def lines(self) -> bytes:
        """Everything that is kept, one JSON object a line, oldest first. Raises OSError."""
        return b"" if self._store is None else await asyncio.to_thread(self._store.read)

    def _line(self, caller: Caller, console: str, line: SeenLine, now: float) -> bytes:
        told = {
            "at": round(now - line.ago, 3),
            "person": caller.person,
            "account": caller.account,
            "session": caller.session,
            "console": console,
            "read_only": caller.read_only,
            "kind": line.kind.value,
            "what": line.what,
            "about": line.about,
            "views": self._version(),
        }
        return json.dumps(told, ensure_ascii=True).encode() + b"\n"
