"""A server that says everything again that it was sent: in its status line's body, its labels and its errors.

One port speaks HTTP and the protocol of PostgreSQL; it runs in a thread of its own, beside processes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SSL_REQUEST = 80877103


class Parrot:
    """`port` is where it listens, `heard` everything that it was sent, also with basic credentials unpacked."""

    def __init__(self) -> None:
        self.port = 0
        self.heard = bytearray()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of either kind."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            first = await reader.readexactly(4)
            if first[:1] == b"\0":
                await self._postgres(int.from_bytes(first, "big"), reader, writer)
            else:
                await self._http(first, reader, writer)
        writer.close()

    async def _postgres(self, size: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ask for the password in plain text, and say it again in the error."""
        told = await reader.readexactly(size - 4)
        if size == 8 and int.from_bytes(told, "big") == SSL_REQUEST:
            writer.write(b"N")
            size = int.from_bytes(await reader.readexactly(4), "big")
            await reader.readexactly(size - 4)
        writer.write(b"R" + (8).to_bytes(4, "big") + (3).to_bytes(4, "big"))
        await reader.readexactly(1)
        size = int.from_bytes(await reader.readexactly(4), "big")
        word = (await reader.readexactly(size - 4)).rstrip(b"\0")
        self.heard += word
        fields = b"SFATAL\0C28P01\0Mthe password " + word + b" is wrong for this account\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        await writer.drain()

    async def _http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = first + await reader.readuntil(b"\r\n\r\n")
        sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(sizes[0].split(b":")[1]) if sizes else 0)
        said = head + body
        for word in head.split():
            with contextlib.suppress(ValueError):
                said += b" " + base64.b64decode(word, validate=True) if len(word) > 12 else b""
        self.heard += said
        told = said.decode(errors="replace")
        if b"/api/v2/alerts" in head:
            answer, status = json.dumps([_alert("Watchdog", ""), _alert("Loud", told)]), b"200 OK"
        else:
            answer, status = told, b"500 X"
        raw = answer.encode()
        writer.write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\n" % status)
        writer.write(b"Content-Length: %d\r\n\r\n" % len(raw) + raw)
        await writer.drain()


def _alert(name: str, said: str) -> dict[str, Any]:
    """An alert whose labels and annotations say what the server was sent."""
    words = " ".join(said.split())[:900]
    return {
        "labels": {"alertname": name, "severity": "critical", "service": "shop", "scrape": words},
        "annotations": {"summary": f"it was asked so: {words}"},
        "startsAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z", "endsAt": "2126-01-01T00:00:00Z",
        "fingerprint": name, "receivers": [{"name": "x"}], "generatorURL": "http://x/",
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
    }  # fmt: skip


@contextmanager
def parrot() -> Iterator[Parrot]:
    """A parrot while the context lasts."""
    made, ready = Parrot(), threading.Event()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
        made.port = server.sockets[0].getsockname()[1]
        ready.set()
        await over.wait()
        server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
        loop.close()
