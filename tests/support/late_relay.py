"""A relay that holds what it was given and delivers it later, whether or not somebody still waits for the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

CHUNK = 1 << 16


@dataclass
class LateRelay:
    """Between a client and a port of this machine. What begins with one of `held` waits `delay` seconds."""

    port: int
    delay: float
    held: tuple[bytes, ...] = (b"PUT", b"POST")
    at: str = ""
    delivered: int = 0
    waiting: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection. Not a coroutine: asyncio reports the cancellation of a task that it made itself."""
        self._tasks.add(task := asyncio.create_task(self._serve(reader, writer)))
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """End what is still held."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._carry(reader, writer)
        finally:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The client may be gone long before its bytes arrive."""
        with contextlib.suppress(OSError):
            first = await reader.read(CHUNK)
            if first.startswith(self.held):
                self.waiting += 1
                with contextlib.suppress(TimeoutError):  # the rest of the request, until nothing more comes
                    while more := await asyncio.wait_for(reader.read(CHUNK), 0.1):
                        first += more
                await asyncio.sleep(self.delay)
                self.delivered += 1
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
            back.write(first)
            onward = asyncio.create_task(_copy(reader, back))
            try:
                await _copy(there, writer)
            finally:
                onward.cancel()
                await asyncio.gather(onward, return_exceptions=True)
                back.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()


@asynccontextmanager
async def late_relay(port: int, delay: float) -> AsyncIterator[LateRelay]:
    """A relay on a port of its own."""
    relay = LateRelay(port, delay)
    server = await asyncio.start_server(relay.accept, "127.0.0.1", 0)
    relay.at = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        await relay.end()


@dataclass
class Release:
    """A service that holds a release, and counts how often it was set."""

    value: str = "v1"
    count: int = 0
    port: int = 0

    async def serve(self, request: web.Request) -> web.Response:
        """Read it, or set it."""
        if request.method == "PUT":
            self.value, self.count = (await request.json())["release"], self.count + 1
        return web.json_response({"release": self.value})


@asynccontextmanager
async def release_service() -> AsyncIterator[Release]:
    """The service on a port of its own."""
    held = Release()
    app = web.Application()
    app.router.add_route("*", "/release", held.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    held.port = runner.addresses[0][1]
    try:
        yield held
    finally:
        await runner.cleanup()


def deploy_through(relay: LateRelay, held: Release, **more: str) -> dict[str, object]:
    """A call that is sent through the relay and read past it."""
    return {
        "method": "PUT",
        "url": f"{relay.at}/release",
        "body": {"release": "v2"},
        "risk": "B1",
        "settle": "50ms",
        "quiet": "200ms",
        "timeout": "1s",
        "read": {
            "url": f"{relay.at}/release",
            "done": {"field": "release", "equals": "v2"},
            "not_done": {"field": "release", "equals": "v1"},
        },
        **more,
    }
