"""Faults on a link between two components, without privileges and without kernel support.

A `NetworkLink` is a named rule. Every connection of that link passes through a proxy (`proxies.py`, `startup.py`)
which asks the rule what to do with each chunk, so a link can be cut, slowed or made to return garbage while in use.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from enum import StrEnum

CHUNK = 65536
HELD_LIMIT = 1 << 20  # bytes buffered from a client while the link is a black hole


class Mode(StrEnum):
    """What a link does with the bytes it is given."""

    PASS = "pass"
    LATENCY = "latency"
    BLACKHOLE = "blackhole"
    REFUSE = "refuse"
    RESET = "reset"
    GARBAGE = "garbage"


class NetworkLink:
    """One named link: its mode, the delay of each chunk in seconds, and the connections now open on it."""

    def __init__(self, name: str, description: str) -> None:
        self.name = name
        self.description = description
        self.mode = Mode.PASS
        self.delay = 0.0
        self.accepted = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._listeners: list[Callable[[Mode], Awaitable[None]]] = []

    def follow(self, listener: Callable[[Mode], Awaitable[None]]) -> None:
        """Call `listener` after every change of mode (a proxy closes its port under `refuse`)."""
        self._listeners.append(listener)

    def opened(self, *writers: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._open.update(writers)

    def closed(self, *writers: asyncio.StreamWriter) -> None:
        self._open.difference_update(writers)

    @property
    def connections(self) -> int:
        """Streams now open, both directions of a connection counted."""
        return len(self._open)

    async def set(self, mode: Mode, delay: float = 0.3) -> None:
        """Change the mode. `delay` (seconds per chunk) is used by `latency` only."""
        self.mode = mode
        self.delay = delay if mode is Mode.LATENCY else 0.0
        if mode is Mode.BLACKHOLE:
            self._flowing.clear()
        else:
            self._flowing.set()
        if mode in (Mode.REFUSE, Mode.RESET):
            self.cut(reset=True)
        for listener in self._listeners:
            await listener(mode)

    def cut(self, *, reset: bool) -> None:
        """End every open connection at once; with `reset` the peers see ECONNRESET instead of an end of file."""
        for writer in list(self._open):
            abort(writer, reset=reset)

    async def hold(self, reader: asyncio.StreamReader) -> bytes | None:
        """Wait until bytes may flow. Returns what the client sent meanwhile, or None when it closed."""
        buffer = bytearray()
        while not self._flowing.is_set():
            flowing = asyncio.ensure_future(self._flowing.wait())
            reading = asyncio.ensure_future(reader.read(CHUNK))
            try:
                await asyncio.wait({flowing, reading}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    chunk = reading.result()
                    if not chunk or len(buffer) > HELD_LIMIT:
                        return None
                    buffer += chunk
            finally:
                flowing.cancel()
                if not reading.done():
                    reading.cancel()
                    await asyncio.wait({reading})
        return bytes(buffer)

    async def shape(self, chunk: bytes, *, answering: bool) -> bytes:
        """Delay, hold or falsify one chunk. `answering` marks the direction from the server to the client."""
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._flowing.wait()
        if self.mode is Mode.GARBAGE and answering:
            return os.urandom(len(chunk))
        return chunk


def abort(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """Drop a connection; with `reset` through a zero linger, which makes the kernel send RST."""
    peer: socket.socket | None = writer.get_extra_info("socket")
    if reset and peer is not None and peer.fileno() >= 0 and peer.family != socket.AF_UNIX:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
