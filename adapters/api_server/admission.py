"""Limits the connections of a socket: an account that opens too many blocks itself, not the engine.

Every connection uses a file descriptor; without a free one the engine can neither read its sources nor be stopped.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable

from aiohttp import web

from adapters.api_server.callers import account_of, uid_of
from state.errors import ExitCode

MOST = 256
"""The most connections open on one socket, of all accounts together."""
MOST_OF_ONE = 128
"""The most connections that one account has open on one socket."""


class Admission(asyncio.Protocol):
    """One new connection: passed to the server, or answered with the reason and closed."""

    def __init__(self, limiter: ConnectionLimiter) -> None:
        self._limiter = limiter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept or refuse the connection."""
        assert isinstance(transport, asyncio.Transport)
        uid = uid_of(transport)
        full = self._limiter.full(uid)
        if full:
            transport.write(_busy(full))
            transport.close()
            return
        handler = self._limiter.admit(uid)
        transport.set_protocol(handler)
        handler.connection_made(transport)


class ConnectionLimiter:
    """Counts the connections of one socket by account. It is the socket's protocol factory."""

    def __init__(self, make: Callable[[], web.RequestHandler]) -> None:
        self._make = make
        self._open: defaultdict[int, set[web.RequestHandler]] = defaultdict(set)

    def __call__(self) -> asyncio.Protocol:
        """For one new connection."""
        return Admission(self)

    def full(self, uid: int) -> str:
        """Why this account gets no further connection now; empty when it gets one."""
        for account in list(self._open):
            self._open[account] = {h for h in self._open[account] if h.transport is not None}
        if len(self._open[uid]) >= MOST_OF_ONE:
            return f"the account {account_of(uid)} has {MOST_OF_ONE} connections open; the limit is reached"
        if sum(map(len, self._open.values())) >= MOST:
            return f"{MOST} connections are open; the limit is reached"
        return ""

    def admit(self, uid: int) -> web.RequestHandler:
        """The handler of an accepted connection."""
        handler = self._make()
        self._open[uid].add(handler)
        return handler


def _busy(why: str) -> bytes:
    message, code = f"{why}: close some of them", int(ExitCode.UNREACHABLE)
    content = {"kind": "unreachable", "title": "Engine busy", "message": message, "exit_code": code}
    body = json.dumps(content).encode()
    head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return b"HTTP/1.1 503 Service Unavailable\r\n" + head.encode() + body
