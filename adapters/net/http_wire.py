"""One HTTP/1.1 client connection: Content-Length, chunked and close-delimited bodies (RFC 9112, section 6)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

MAX_HEAD = 64 << 10
MAX_BODY = 8 << 20
FIRST_BUFFER = 16 << 10
KEPT_BUFFER = 1 << 20


class Garbled(Exception):
    """The bytes are no HTTP answer, or one larger than allowed."""


@dataclass(slots=True)
class Head:
    """What the header says that matters for reading on."""

    status: int
    length: int | None
    chunked: bool
    keep: bool
    location: str


def _field(head: bytes, lower: bytes, name: bytes) -> bytes:
    """The value of the first field that begins with `name`: line end, lower case name, colon."""
    place = lower.find(name)
    if place < 0:
        return b""
    start = place + len(name)
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else None].strip()


def _parse_head(head: bytes) -> Head:
    if head[:7] != b"HTTP/1." or head[7:9] not in (b"1 ", b"0 ") or not head[9:12].isdigit():
        raise Garbled("the answer is no HTTP")
    lower = head.lower()
    length = _field(head, lower, b"\r\ncontent-length:")
    if length and not (length.isdigit() and len(length) < 16):
        raise Garbled("a Content-Length that is no size")
    status = int(head[9:12])
    return Head(
        status=status,
        length=int(length) if length else None,
        chunked=not length and _field(lower, lower, b"\r\ntransfer-encoding:") == b"chunked",
        keep=head[7] == 0x31 and b"\r\nconnection: close" not in lower,
        location=_field(head, lower, b"\r\nlocation:").decode("latin-1") if 300 <= status < 400 else "",
    )


class Connection(asyncio.BufferedProtocol):
    """One connection with at most one request under way.

    It receives into a buffer of its own: the event loop would allocate 256 KiB for every answer.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.reusable = True
        self.heard = False
        self._buffer = bytearray(FIRST_BUFFER)
        self._filled = 0
        self._head: Head | None = None
        self._at = 0
        self._chunks: list[bytes] = []
        self._chunked_size = 0
        self._cap = MAX_BODY
        self._waiter: asyncio.Future[tuple[Head, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes, cap: int) -> asyncio.Future[tuple[Head, bytes]]:
        """Send a request; the future ends with the answer's head and body or with what went wrong."""
        assert self.transport is not None
        if len(self._buffer) > KEPT_BUFFER:
            self._buffer = bytearray(FIRST_BUFFER)
        self._filled = self._at = self._chunked_size = 0
        self._head, self._chunks = None, []
        self._cap, self.heard = cap, False
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._waiter

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        if self._filled == len(self._buffer):
            larger = bytearray(2 * self._filled)
            larger[: self._filled] = self._buffer
            self._buffer = larger
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self.heard = True
        if self._waiter is None or self._waiter.done():
            self.reusable = False  # bytes nobody asked for
            return
        self._filled += nbytes
        try:
            if self._head is None and not self._take_head():
                return
            self._take_body()
        except Garbled as error:
            self._fail(error)

    def eof_received(self) -> None:
        head = self._head
        if head is not None and head.length is None and not head.chunked:
            self._finish(self._cut(self._at, self._filled))

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        self._fail(error or ConnectionResetError("the connection was closed before a whole answer"))

    def _cut(self, start: int, end: int) -> bytes:
        return bytes(memoryview(self._buffer)[start:end])

    def _take_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", self._at, self._filled)
        if end < 0:
            if self._filled - self._at > MAX_HEAD:
                raise Garbled("the header is longer than 64 KiB")
            return False
        head = _parse_head(self._cut(self._at, end))
        self._at = end + 4
        if 100 <= head.status < 200:
            return self._take_head()
        if head.status in (204, 304):
            head.length, head.chunked = 0, False
        self._head = head
        self.reusable = head.keep and (head.chunked or head.length is not None)
        return True

    def _take_body(self) -> None:
        assert self._head is not None
        if self._head.chunked:
            self._take_chunks()
            return
        length, have = self._head.length, self._filled - self._at
        if max(have, length or 0) > self._cap:
            raise Garbled(f"the answer is longer than {self._cap} bytes")
        if length is not None and have >= length:
            self._finish(self._cut(self._at, self._at + length))

    def _take_chunks(self) -> None:
        while (end := self._buffer.find(b"\r\n", self._at, self._filled)) >= 0:
            try:
                size = int(self._cut(self._at, end).split(b";", 1)[0], 16)
            except ValueError as error:
                raise Garbled("a chunk without a size") from error
            if size < 0 or self._chunked_size + size > self._cap:
                raise Garbled(f"the answer is longer than {self._cap} bytes")
            if size == 0:
                if self._buffer.find(b"\r\n\r\n", end, self._filled) >= 0:  # line end, trailers, blank line
                    self._finish(b"".join(self._chunks))
                return
            start = end + 2
            if self._filled < start + size + 2:
                return
            self._chunks.append(self._cut(start, start + size))
            self._chunked_size += size
            self._at = start + size + 2
        if self._filled - self._at > MAX_HEAD:
            raise Garbled("a chunk without a size")

    def _finish(self, body: bytes) -> None:
        if self._waiter is not None and not self._waiter.done() and self._head is not None:
            self._waiter.set_result((self._head, body))

    def _fail(self, error: Exception) -> None:
        self.reusable = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def expire(self) -> None:
        """The deadline has come."""
        self._fail(TimeoutError())

    def hang_up(self) -> None:
        """Close at once, without waiting for anybody."""
        if self.transport is not None:
            self.transport.abort()
