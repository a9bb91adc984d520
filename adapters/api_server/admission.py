"""How many connections a socket takes: an account that opens more than it needs stops itself, not the engine.

Every connection costs a file descriptor, and without any left the engine can neither read its sources nor be stopped.
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
"""Connections one socket has open at once, from everybody together."""
MOST_OF_ONE = 128
"""Connections one account has open at once on one socket."""


class Admission(asyncio.Protocol):
    """One new connection: handed to the server, or told why not and closed."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or turn it away."""
        assert isinstance(transport, asyncio.Transport)
        uid = uid_of(transport)
        full = self._doorkeeper.full(uid)
        if full:
            transport.write(_busy(full))
            transport.close()
            return
        handler = self._doorkeeper.admit(uid)
        transport.set_protocol(handler)
        handler.connection_made(transport)


class Doorkeeper:
    """Counts who is connected to one socket. It is the socket's protocol factory."""

    def __init__(self, make: Callable[[], web.RequestHandler]) -> None:
        self._make = make
        self._open: defaultdict[int, set[web.RequestHandler]] = defaultdict(set)

    def __call__(self) -> asyncio.Protocol:
        """For one new connection."""
        return Admission(self)

    def full(self, uid: int) -> str:
        """Why this account is not let in now; empty when it is."""
        for account in list(self._open):
            self._open[account] = {h for h in self._open[account] if h.transport is not None}
        if len(self._open[uid]) >= MOST_OF_ONE:
            return f"the account {account_of(uid)} has {MOST_OF_ONE} connections open already"
        if sum(map(len, self._open.values())) >= MOST:
            return f"{MOST} connections are open already"
        return ""

    def admit(self, uid: int) -> web.RequestHandler:
        """The handler of a connection that is let in."""
        handler = self._make()
        self._open[uid].add(handler)
        return handler


def _busy(why: str) -> bytes:
    told = {"title": "Engine busy", "message": f"{why}; close some", "exit_code": int(ExitCode.UNREACHABLE)}
    body = json.dumps(told).encode()
    head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return b"HTTP/1.1 503 Service Unavailable\r\n" + head.encode() + body
