"""The live stream: what changed in the topics a console asked for, one JSON object a line.

Each console has its own loop and its own record of what it was sent, so a slow one delays no other: while its socket
is full nothing is queued, and when it reads again it gets the difference to the newest state. A console that does
not read for `STALLED` seconds is disconnected and has to connect again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from adapters.api_server.answers import HEADERS, encode
from state.api.service import EngineService
from state.api.wire import Differ
from state.errors import ViewFailed

AT_MOST_EVERY = 0.25  # seconds between two batches
TICK = 1.0  # seconds between two ticks; after a longer pause a console counts the engine as lost
STALLED = 5.0  # seconds a full socket is waited for
BUFFER = 64 * 1024  # bytes buffered for one console beyond the kernel's own buffer


async def run_stream(request: web.Request, service: EngineService, topics: Sequence[str]) -> web.StreamResponse:
    """Serve one console until it disconnects, stalls, or the engine ends."""
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "application/x-ndjson"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    if request.transport is not None and isinstance(request.transport, asyncio.WriteTransport):
        request.transport.set_write_buffer_limits(high=BUFFER)
    differs = [Differ(topic) for topic in topics]
    version = -1
    while True:
        sent = time.monotonic()
        if not await _send(request, response, _batch(service, differs)):
            return response
        version = await _next(service, version, sent + TICK)
        await asyncio.sleep(max(0.0, sent + AT_MOST_EVERY - time.monotonic()))


def _batch(service: EngineService, differs: Sequence[Differ]) -> bytes:
    """A tick, then one frame for every topic that changed."""
    lines = [encode({"tick": {"mono": service.mono(), "wall": time.time()}})]
    for differ in differs:
        frame = _frame(service, differ)
        if frame is not None:
            lines.append(encode(frame))
    return b"\n".join(lines) + b"\n"


def _frame(service: EngineService, differ: Differ) -> dict[str, Any] | None:
    """What changed of one topic; of one that cannot be built, why."""
    try:
        return differ.frame(service.view(differ.topic))
    except ViewFailed as failure:
        return differ.failed(str(failure))


async def _send(request: web.Request, response: web.StreamResponse, batch: bytes) -> bool:
    """Write one batch; False when the console has disconnected or does not read."""
    try:
        async with asyncio.timeout(STALLED):
            await response.write(batch)
    except TimeoutError:
        if request.transport is not None and isinstance(request.transport, asyncio.WriteTransport):
            request.transport.abort()
        return False
    except ConnectionError:
        return False
    return True


async def _next(service: EngineService, version: int, until: float) -> int:
    """The world's new version, or the same one when nothing changed until the next tick is due."""
    try:
        async with asyncio.timeout(max(0.0, until - time.monotonic())):
            return await service.changed(version)
    except TimeoutError:
        return version
