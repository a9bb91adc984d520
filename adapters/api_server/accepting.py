"""Accepts the connections of one socket: a few in a turn, so that a flood of them delays nothing else.

Who is turned away is so before anything is made for it. Where the kernel has no descriptor left, that is logged once,
and accepting goes on when there are some again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Callable
from functools import partial

from aiohttp import web

from adapters.api_server.accounts import ACCOUNTS
from adapters.api_server.callers import uid_at
from adapters.api_server.room import Room, Standing
from state.errors import ExitCode

IN_A_TURN = 64
"""Connections accepted before other tasks run."""
REST = 0.02
"""Seconds between two turns of a flood."""
NO_ROOM = 1.0
"""Seconds until the next attempt where the kernel has nothing left."""

log = logging.getLogger("recovery.door")


class Accepting:
    """One listening socket. `whose` tells the account at the other end, `standing` what that is to the estate, `make`
    makes the handler of a connection."""

    def __init__(
        self,
        listening: socket.socket,
        room: Room,
        make: Callable[[], web.RequestHandler],
        standing: Callable[[int], Standing],
        whose: Callable[[socket.socket], int] = uid_at,
    ) -> None:
        self._listening, self._room, self._make = listening, room, make
        self._standing, self._whose = standing, whose
        self._loop = asyncio.get_running_loop()
        self._resting: asyncio.TimerHandle | None = None
        self._coming: set[asyncio.Task[object]] = set()
        self._told: set[int] = set()
        self._trouble = ""

    def start(self) -> None:
        """Accept from now on."""
        self._resting = None
        self._loop.add_reader(self._listening.fileno(), self._some)

    def close(self) -> None:
        """Accept nothing more; open connections stay."""
        if self._resting is not None:
            self._resting.cancel()
        with contextlib.suppress(OSError, ValueError):
            self._loop.remove_reader(self._listening.fileno())
        self._listening.close()

    def _some(self) -> None:
        for _ in range(IN_A_TURN):
            try:
                peer, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor, no memory: of this process or of the machine
                self._rest(NO_ROOM)
                if not self._trouble:
                    self._trouble = error.strerror or type(error).__name__
                    log.error("no connection is accepted: %s; tried again every second", self._trouble)
                return
            self._come(peer)
        self._rest(REST)

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._resting = self._loop.call_later(seconds, self.start)

    def _come(self, peer: socket.socket) -> None:
        if self._trouble:
            log.warning("connections are accepted again")
            self._trouble = ""
        try:
            peer.setblocking(False)
            uid = self._whose(peer)
            standing = self._standing(uid)
            if why := self._room.full(uid, standing):
                self._turn_away(peer, uid, why)
                return
        except OSError:
            peer.close()
            return
        handler = self._make()
        self._room.take(handler, uid, standing)
        task = self._loop.create_task(self._loop.connect_accepted_socket(lambda: handler, peer))
        self._coming.add(task)
        task.add_done_callback(partial(self._came, handler))

    def _came(self, handler: web.RequestHandler, task: asyncio.Task[object]) -> None:
        self._coming.discard(task)
        self._room.came(handler)
        if not task.cancelled() and task.exception() is not None:
            log.debug("a connection was lost while it was accepted: %s", task.exception())

    def _turn_away(self, peer: socket.socket, uid: int, why: str) -> None:
        account = ACCOUNTS.name(uid)
        with contextlib.suppress(OSError):
            peer.send(_busy(f"the account {account} gets no further connection: {why}"))
        peer.close()
        if uid not in self._told:  # once for each account, however long it tries
            self._told.add(uid)
            log.warning("connections of the account %s are turned away: %s", account, why)


def _busy(why: str) -> bytes:
    message, code = f"{why}; close some of them", int(ExitCode.UNREACHABLE)
    content = {"kind": "busy", "title": "Engine busy", "message": message, "exit_code": code}
    body = json.dumps(content).encode()
    head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return b"HTTP/1.1 503 Service Unavailable\r\n" + head.encode() + body
