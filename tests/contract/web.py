"""A tiny real HTTP server that answers by rote and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contract.components import serving


@dataclass
class Canned:
    """What to answer: by `METHOD path`, without query. `raw` bytes are sent as they are, None hangs."""

    answers: dict[str, tuple[int, Any] | bytes | None]
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while line := await reader.readline():
            method, target, _ = line.decode().split(" ", 2)
            headers = {}
            while (field_line := (await reader.readline()).decode().strip()) != "":
                name, _, value = field_line.partition(":")
                headers[name.lower()] = value.strip()
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.asked.append((f"{method} {target}", headers, body))
            answer = self.answers.get(f"{method} {target.partition('?')[0]}", (404, "not here"))
            if answer is None:
                await asyncio.sleep(30)
            if isinstance(answer, bytes):
                writer.write(answer)
                return
            assert answer is not None
            status, content = answer
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


@asynccontextmanager
async def canned(answers: dict[str, tuple[int, Any] | bytes | None], path: Path | None = None) -> AsyncIterator[Canned]:
    """A running server with these answers, on a loopback port or a socket path."""
    server = Canned(answers)
    async with serving(server.serve, path) as server.port:
        yield server
