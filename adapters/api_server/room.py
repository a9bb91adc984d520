"""Who gets a connection of a socket: an account that opens too many blocks itself, not the engine and nobody else.

Every connection uses a file descriptor and memory; without them the engine can neither read its sources nor be stopped.
So strangers share a part of the room, people of the estate who may only look share another one, and each account that
may act always gets a connection on which it can stop everything: the newest ones of a few that are kept for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from aiohttp import web

MOST_OF_ACTOR, MOST_OF_ACTORS = 128, 192
"""The most connections of one account that may act, and of all those together."""
MOST_OF_OTHER, MOST_OF_OTHERS = 24, 96
"""The same of the strangers: accounts of no person of the estate."""
MOST_OF_NAMED = 96
"""Besides them the accounts of all people who may only look; one of them has no more than a stranger."""
KEPT = 8
"""Connections besides these for each account that may act, on which it can only stop."""
PER_SECOND, AT_ONCE = 40.0, 120.0
"""New connections of one account that may not act: on average, and after a pause."""
HEADER = 10.0
"""Seconds a new connection may take for its first complete request."""
IDLE = 30.0
"""Seconds a connection may stay open between two requests, and an answer may take to be read."""
KEPT_FOR = 2.0
"""Seconds for the one request of a connection that was kept free."""
MOST_UNREAD = 8 << 20
"""Bytes of answers that one account has asked for and not read; with more it gets no further answer."""


class Standing(Enum):
    """What an account is to the estate."""

    ACTS = "accounts that may act"
    NAMED = "accounts of people who may only look"
    STRANGER = "accounts of no person of this estate"


class Share(Enum):
    """What a connection may be used for."""

    ALL = "all"
    STOPPING = "stopping"


@dataclass(slots=True)
class Bucket:
    """Tokens that come back with time."""

    rate: float
    most: float
    left: float
    at: float

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        self.left = min(self.most, self.left + max(0.0, now - self.at) * self.rate)
        self.at = now
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


@dataclass(slots=True)
class Seat:
    """One connection: whose it is, what for, and since when it waits for a request (None: one is being answered).

    `unread` are the bytes of answers that wait for it since `unread_since`; `made`: its connection was made, so without
    a transport it is closed.
    """

    uid: int
    standing: Standing
    share: Share
    waits_since: float | None
    served: int = 0
    unread: int = 0
    unread_since: float = 0.0
    made: bool = False

    @property
    def acts(self) -> bool:
        """Whether it is of an account that may act."""
        return self.standing is Standing.ACTS

    def limit(self) -> float:
        """Seconds it may wait for a request."""
        if self.share is Share.STOPPING:
            return KEPT_FOR
        return IDLE if self.served else HEADER


class Room:
    """The connections of one socket by account. `now` is a monotonic clock."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seats: dict[web.RequestHandler, Seat] = {}
        self._coming: dict[int, Bucket] = {}

    def seat(self, handler: web.RequestHandler) -> Seat | None:
        """The seat of an open connection."""
        return self._seats.get(handler)

    def full(self, uid: int, standing: Standing) -> str:
        """Why this account gets no further connection now; empty when it gets one, if only to stop."""
        if standing is Standing.ACTS:
            return ""
        now = self._now()
        if len(self._coming) > MOST_OF_OTHERS * 8:
            self._coming = {u: b for u, b in self._coming.items() if now - b.at < AT_ONCE / PER_SECOND}
        bucket = self._coming.setdefault(uid, Bucket(PER_SECOND, AT_ONCE, AT_ONCE, now))
        if not bucket.take(now):
            return f"it opens more than {PER_SECOND:.0f} connections a second"
        if self._count(uid, Share.ALL) >= MOST_OF_OTHER:
            return f"it has {MOST_OF_OTHER} connections open"
        most = MOST_OF_NAMED if standing is Standing.NAMED else MOST_OF_OTHERS
        if sum(seat.standing is standing for seat in self._seats.values()) >= most:
            return f"{standing.value} have {most} connections open"
        return ""

    def take(self, handler: web.RequestHandler, uid: int, standing: Standing) -> None:
        """Give a connection its seat; the oldest of those kept for stopping makes room for a new one."""
        share = Share.ALL
        if standing is Standing.ACTS:
            actors = sum(seat.acts and seat.share is Share.ALL for seat in self._seats.values())
            if self._count(uid, Share.ALL) >= MOST_OF_ACTOR or actors >= MOST_OF_ACTORS:
                share = Share.STOPPING
                kept = [h for h, s in self._seats.items() if s.uid == uid and s.share is Share.STOPPING]
                for oldest in kept[: max(0, len(kept) - KEPT + 1)]:
                    self.leave(oldest)
        self._seats[handler] = Seat(uid, standing, share, self._now())

    def came(self, handler: web.RequestHandler) -> None:
        """Its connection is made, or was lost meanwhile."""
        if (seat := self._seats.get(handler)) is not None:
            seat.made = True

    def leave(self, handler: web.RequestHandler) -> None:
        """End a connection."""
        self._seats.pop(handler, None)
        if handler.transport is not None:
            handler.transport.abort()

    def begin(self, handler: web.RequestHandler) -> None:
        """A complete request has come."""
        if (seat := self._seats.get(handler)) is not None:
            seat.waits_since = None

    def end(self, handler: web.RequestHandler) -> None:
        """It was handled; from here on its answer is read, or another one is waited for."""
        if (seat := self._seats.get(handler)) is not None:
            seat.waits_since, seat.served = self._now(), seat.served + 1

    def unread(self, uid: int) -> int:
        """Bytes that wait for an account to read them."""
        return sum(_waiting(handler) for handler, seat in self._seats.items() if seat.uid == uid)

    def forget_closed(self) -> None:
        """Seats of connections that are closed are free again."""
        for handler, seat in list(self._seats.items()):
            if seat.made and handler.transport is None:
                del self._seats[handler]

    def overdue(self, stalled: float) -> Iterator[tuple[web.RequestHandler, Seat, str]]:
        """Connections that have waited too long, with the reason; `stalled` is how long a reader may stand still."""
        now = self._now()
        self.forget_closed()
        for handler, seat in list(self._seats.items()):
            unread = _waiting(handler)
            if not seat.unread or unread < seat.unread:
                seat.unread_since = now
            seat.unread = unread
            if unread and now - seat.unread_since > stalled:
                yield handler, seat, f"it did not read for {stalled:.0f} s"
            elif seat.waits_since is not None and now - seat.waits_since > seat.limit():
                yield handler, seat, f"no complete request within {seat.limit():.0f} s"

    def _count(self, uid: int, share: Share) -> int:
        self.forget_closed()
        return sum(seat.uid == uid and seat.share is share for seat in self._seats.values())


def _waiting(handler: web.RequestHandler) -> int:
    return 0 if handler.transport is None else handler.transport.get_write_buffer_size()
