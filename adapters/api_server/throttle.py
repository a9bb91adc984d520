"""How much one account may ask for: requests in a second, and one expensive reading at a time.

Who asks for more is answered late, on its own connection, which costs the engine nothing. Stopping is never counted.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from aiohttp import web

from adapters.api_server.answers import EngineBusy
from adapters.api_server.room import MOST_UNREAD, Bucket, Room, Seat, Standing

R = TypeVar("R")
LOOKING, ACTING_RATE = (20.0, 60.0), (100.0, 300.0)
"""Requests of one account in a second, and at once after a pause: of those that may only look, and of the others."""
PENALTY = 1.0
"""Seconds that the answer to a request too many waits."""
MOST_PREVIEWS = 8
"""Previews of one account at a time: each reads all of its targets."""
MOST_READINGS = 4
"""Expensive readings at a time of all strangers, and of all people who may only look; of one account there is one."""
GONE = 0.25
"""Seconds between two looks whether somebody still waits for an expensive answer."""


class Throttle:
    """Counts requests by account. `own` is the account of this process, which could end it anyway: it has no rate."""

    def __init__(self, room: Room, own: int, now: Callable[[], float] = time.monotonic) -> None:
        self._room, self._own, self._now = room, own, now
        self._buckets: dict[int, Bucket] = {}
        self._reading: Counter[int] = Counter()
        self._looking: Counter[Standing] = Counter()
        self._previews: Counter[int] = Counter()
        self._one = asyncio.Lock()

    async def admit(self, seat: Seat) -> None:
        """Let a request through. Raises EngineBusy (429), after a while, where there are too many."""
        if seat.uid == self._own:
            return
        rate, most = ACTING_RATE if seat.acts else LOOKING
        now = self._now()
        bucket = self._buckets.setdefault(seat.uid, Bucket(rate, most, most, now))
        if not bucket.take(now):
            await asyncio.sleep(PENALTY)
            raise EngineBusy(f"more than {rate:.0f} requests a second of this account: ask less often")
        if self._room.unread(seat.uid) > MOST_UNREAD:
            await asyncio.sleep(PENALTY)
            raise EngineBusy("this account does not read the answers it asked for: read them first")

    @contextmanager
    def preview(self, uid: int) -> Iterator[None]:
        """One preview. Raises EngineBusy (429) for one too many at a time."""
        if self._previews[uid] >= MOST_PREVIEWS:
            raise EngineBusy(f"{MOST_PREVIEWS} previews of this account are under way: wait for one of them")
        self._previews[uid] += 1
        try:
            yield
        finally:
            self._previews[uid] -= 1

    @asynccontextmanager
    async def reading(self, seat: Seat) -> AsyncIterator[None]:
        """One expensive reading. Raises EngineBusy (429) for a second one of an account, and where there are many."""
        if self._reading[seat.uid]:
            raise EngineBusy("a verification or export of this account is under way: wait for it")
        if not seat.acts and self._looking[seat.standing] >= MOST_READINGS:
            raise EngineBusy(f"{MOST_READINGS} verifications and exports are under way: try again later")
        self._reading[seat.uid] += 1
        self._looking[seat.standing] += 1
        try:
            yield
        finally:
            self._reading[seat.uid] -= 1
            self._looking[seat.standing] -= 1

    async def alone(self, request: web.Request, work: Awaitable[R]) -> R:
        """Do it when no other one is done, as long as somebody waits for it. Raises ConnectionResetError."""
        async with self._one:
            task = asyncio.ensure_future(work)
            try:
                while not task.done():
                    await asyncio.wait({task}, timeout=GONE)
                    if request.transport is None or request.transport.is_closing():
                        raise ConnectionResetError("nobody waits for the answer any more")
                return task.result()
            finally:
                task.cancel()
