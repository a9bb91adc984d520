"""What reading and acting over HTTP have in common: one client without implicit behaviour, and complete answers.

HTTP itself (RFC 9112) is aiohttp's: framing, kept connections, TLS. This module sets what is not left to a default.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
from yarl import URL

from adapters.net.origin import Origin, printable
from adapters.net.tls_reasons import tls_refusal
from state.errors import Trouble

GZIP = 16 + zlib.MAX_WBITS
COMPRESSIONS = ("br", "deflate", "zstd", "compress", "lz4", "xz", "bzip2")
SLICE = 64 << 10
"""Bytes that are decompressed before other tasks run."""
MOST_MEMBERS = 1000
"""Parts of a gzip stream: each costs as much as a slice, however little is in it."""
MAX_HEADER = 64 << 10
"""The longest header of an answer in bytes. Content security policies and cookies pass the 8 KiB of aiohttp."""


class UnusableAnswer(Exception):
    """An answer came, but its body cannot be used; `code` is `oversize` or `encoding`."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer: status code, decoded body, the target of a redirect (empty for other answers), media type,
    the server's own time, as it wrote it, the names and values of the cookies that it sets, and the `Age` of an answer
    that a cache gave, empty without one."""

    status: int
    body: bytes
    location: str
    media: str = ""
    date: str = ""
    cookies: tuple[tuple[str, str], ...] = ()
    age: str = ""

    @property
    def text(self) -> str:
        """The body as text, without the white space around it."""
        return self.body.decode("utf-8", "replace").strip()


def client(connector: aiohttp.BaseConnector, headers: Mapping[str, str]) -> aiohttp.ClientSession:
    """A client that sends these headers, keeps no cookies and reads no proxy or password from the environment.

    It has no time limits (the callers set deadlines) and leaves bodies encoded for `whole`. Needs a running
    event loop.
    """
    return aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": "recovery", **headers},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
    )


@lru_cache(maxsize=1024)
def address(origin: Origin, path: str) -> URL:
    """The URL of a path at an origin, as it is sent. Raises ValueError."""
    if path and not path.startswith("/"):
        raise ValueError("a path must start with a slash")
    if not printable(path):
        raise ValueError("a path must be printable ASCII without spaces")
    return URL(f"{origin.scheme}://{origin.netloc}{origin.prefix}{path}", encoded=True)


async def whole(answer: aiohttp.ClientResponse, cap: int, *, decode: bool = True, cut: bool = False) -> Reply:
    """The answer to its end, with a body of at most `cap` bytes, decoded unless nobody reads it. One that is `cut` ends
    after `cap` bytes, and its connection with it.

    Raises UnusableAnswer, and ClientPayloadError when the answer is cut short.
    """
    headers = answer.headers
    if "Transfer-Encoding" in headers and headers["Transfer-Encoding"].lower() != "chunked":
        raise UnusableAnswer("the answer has an unknown transfer encoding", "encoding")
    pieces, size = [], 0
    while piece := await answer.content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > cap and not cut:
            raise _oversize(cap)
        if size > cap:
            answer.close()
            break
    content = b"".join(pieces)
    if decode and content and "Content-Encoding" in headers:
        content = await _decoded(content, headers["Content-Encoding"].lower(), cap)
    location = headers.get("Location", "") if 300 <= answer.status < 400 else ""
    media = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    cookies = tuple((each.key, each.coded_value) for each in answer.cookies.values() if each.value)
    date, age = headers.get("Date", ""), headers.get("Age", "")
    return Reply(answer.status, content, location, media, date, cookies, age)


async def _decoded(body: bytes, encoding: str, cap: int) -> bytes:
    """The content of a body. aiohttp accepts a truncated gzip stream, so it is decoded here, a slice at a time."""
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "x-gzip"):
        known = f" ({encoding})" if encoding in COMPRESSIONS else ""
        raise UnusableAnswer(f"the answer is compressed{known} in a way that was not asked for", "encoding")
    content = bytearray()
    member, begun, members = zlib.decompressobj(GZIP), False, 1
    try:
        for start in range(0, len(body), SLICE):
            rest, held = body[start : start + SLICE], False
            while rest or held:  # RFC 1952: a stream is one member or several
                begun = True
                piece = member.decompress(rest, SLICE)
                content += piece
                rest, held = member.unconsumed_tail, len(piece) == SLICE
                if len(content) > cap:
                    raise _oversize(cap)
                if member.eof:
                    rest, held, begun = member.unused_data, False, False
                    member, members = zlib.decompressobj(GZIP), members + 1
                if members > MOST_MEMBERS:
                    raise UnusableAnswer(f"the gzip stream has more than {MOST_MEMBERS} parts", "encoding")
                await asyncio.sleep(0)
    except zlib.error as error:
        raise UnusableAnswer("the answer is not valid gzip", "encoding") from error
    if begun:
        raise UnusableAnswer("the gzip stream of the answer is cut short", "encoding")
    return bytes(content)


def _oversize(cap: int) -> UnusableAnswer:
    return UnusableAnswer(f"the answer is longer than {cap} bytes", "oversize")


def trouble(error: aiohttp.ClientError | OSError) -> Trouble:
    """Whether a request did not reach its server, or was answered in a way that is of no use."""
    refused = isinstance(error, aiohttp.ClientSSLError) or bool(tls_refusal(error))
    lost = isinstance(error, aiohttp.ClientConnectionError | ConnectionError)
    return Trouble.UNREACHABLE if lost and not refused else Trouble.ERROR


def reason(error: aiohttp.ClientError | OSError) -> str:
    """Why a request failed, in short. Not aiohttp's own message, which may quote the request and the answer."""
    if refused := tls_refusal(error):
        return refused
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed before an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection was closed before a complete answer"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the answer is not valid HTTP: {error.message.partition(':')[0]}"
    cause = error.__cause__ if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError):
        known = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror
        return known or str(cause) or "the connection was closed"
    return type(error).__name__
