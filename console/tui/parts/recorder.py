"""What this console tells the session log: screens, dialogs, keys as actions; never what was typed or pasted."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

from console.client.engine_client import EngineClient
from state.api.sessions import MOST_LINES, SeenKind
from state.errors import RecoveryError

MOST = 256
"""Lines that wait; the oldest are dropped first, and how many is told."""


class Noted(NamedTuple):
    """One thing, when it happened by the monotonic clock of this process."""

    kind: SeenKind
    what: str
    about: str
    at: float


class Recorder:
    """Keeps lines until the engine has them. `trouble` says why the log is not kept; empty while it is. Nothing in the
    console waits for it."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._waiting: deque[Noted] = deque()
        self._dropped = 0
        self._telling = False
        self.trouble = ""

    def note(self, kind: SeenKind, what: str, about: str = "") -> None:
        """Remember one thing."""
        if len(self._waiting) >= MOST:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(Noted(kind, what, about, time.monotonic()))

    @property
    def waits(self) -> bool:
        """Whether there is something to tell, and nothing is being told: a line is never on its way twice."""
        return bool(self._waiting) and not self._telling

    async def tell(self) -> None:
        """Tell the engine what waits; what it did not get is told later."""
        if self._telling:
            return
        self._telling = True
        try:
            await self._tell(list(self._waiting)[:MOST_LINES])
        finally:
            self._telling = False

    async def _tell(self, lines: list[Noted]) -> None:
        now = time.monotonic()
        told = [[each.kind.value, each.what, each.about, round(now - each.at, 3)] for each in lines]
        if self._dropped:
            told[0][2] = f"{told[0][2]} ({self._dropped} before it are not kept)".strip()
        try:
            kept = await self._client.session_lines(told)
        except RecoveryError as error:
            self.trouble = f"{error.title.lower()}: {error}"
            return
        self.trouble = kept.trouble
        if not kept.trouble:
            self._dropped = 0
            for each in lines:
                if self._waiting and self._waiting[0] is each:
                    self._waiting.popleft()
