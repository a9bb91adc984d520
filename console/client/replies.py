"""An HTTP answer of the engine, read piece by piece within limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

SILENCE_LIMIT = 5.0
"""Seconds without a line after which a stream counts as lost: the engine ticks at least once a second."""
HEAD_LIMIT = 64 * 1024
LINE_LIMIT = 64 * 1024 * 1024


async def head_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers, by their names in small letters. Raises EOFError."""
    raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    parts = raw[0].split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdecimal():
        raise EOFError("the program behind the socket does not speak HTTP")
    headers = {}
    for line in raw[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(parts[1]), headers


async def body_of(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """The whole body. Raises EOFError."""
    if "content-length" in headers:
        size = headers["content-length"]
        if not size.isdecimal() or int(size) > LINE_LIMIT:
            raise EOFError("an answer that is too long")
        return await reader.readexactly(int(size))
    return b"".join([chunk async for chunk in _chunks(reader, headers)])


async def _chunks(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    """The body piece by piece (RFC 9112, section 7.1), each within the silence limit after the one before."""
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    while True:
        async with asyncio.timeout(SILENCE_LIMIT):
            if not chunked:
                piece = await reader.read(HEAD_LIMIT)
            else:
                size = (await reader.readline()).split(b";")[0].strip()
                try:
                    length = int(size, 16)
                except ValueError:
                    raise EOFError("the answer is incomplete") from None
                if length > LINE_LIMIT:
                    raise EOFError("an answer that is too long")
                piece = (await reader.readexactly(length + 2))[:-2]
        if not piece:
            return
        yield piece


async def lines_of(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    """The lines of a body that goes on. Raises EOFError."""
    rest = bytearray()
    async for piece in _chunks(reader, headers):
        rest += piece
        if b"\n" not in piece:
            if len(rest) > LINE_LIMIT:
                raise EOFError("a line that is too long")
            continue
        *complete, last = bytes(rest).split(b"\n")
        rest = bytearray(last)
        for line in complete:
            if line.strip():
                yield line
