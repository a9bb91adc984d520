"""A lean HTTP reader for polling: GET over a kept connection, answers bounded in size and time.

No redirects, no cookies, no compression, no proxy from the environment. A credential is bound to the one origin it
was given for.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from adapters.net.http_wire import MAX_BODY, Connection, Garbled, Head
from adapters.net.origin import Credential, Origin, context_for, printable
from state.errors import ReadFailure, Trouble

MAX_CONNECTIONS = 2
SHOWN = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status code, body, and the seconds it took."""

    status: int
    body: bytes
    seconds: float


class HttpReader:
    """GETs from one origin over at most two kept connections; `unix` is a socket in place of host and port."""

    def __init__(
        self,
        url: str,
        *,
        ca: Path | None = None,
        credential: Credential | None = None,
        headers: Mapping[str, str] | None = None,
        unix: str | None = None,
    ) -> None:
        self.origin = Origin.of(url)
        self._ca = ca
        self._credential = credential
        self._unix = unix
        fields = {"Host": self.origin.netloc, "User-Agent": "recovery", "Accept-Encoding": "identity"}
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in {**fields, **(headers or {})}.items())
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)

    async def get(self, path: str, *, deadline: float, cap: int = MAX_BODY) -> bytes:
        """The body of a 200 answer. Raises ReadFailure for every other one: 401 and 403 denied, 204 or no body
        empty, the rest error."""
        answer = await self.fetch(path, deadline=deadline, cap=cap)
        if answer.status in (401, 403):
            raise ReadFailure(Trouble.DENIED, f"{self.origin.netloc} answered {answer.status} to {_short(path)}")
        if not 200 <= answer.status < 300:
            message = answer.body[:SHOWN].decode("utf-8", "replace").strip()
            raise ReadFailure(
                Trouble.ERROR, f"{self.origin.netloc} answered {answer.status} to {_short(path)}: {message}"
            )
        if not answer.body:
            raise ReadFailure(Trouble.EMPTY, f"{self.origin.netloc} answered nothing to {_short(path)}")
        return answer.body

    async def fetch(self, path: str, *, deadline: float, cap: int = MAX_BODY) -> Answer:
        """Whatever answer comes, except a redirect. Raises ReadFailure on redirect, silence or rubbish."""
        began = time.perf_counter()
        request = self._request(path)
        try:
            head, body = await self._exchange(request, deadline, cap)
        except TimeoutError as error:
            message = f"{self.origin.netloc} did not answer within {deadline:g} s"
            raise ReadFailure(Trouble.TIMEOUT, message) from error
        except ssl.SSLError as error:
            message = f"{self.origin.netloc}: TLS refused: {error.reason or error}"
            raise ReadFailure(Trouble.ERROR, message) from error
        except (OSError, Garbled) as error:
            raise ReadFailure(Trouble.ERROR, f"{self.origin.netloc}: {_reason(error)}") from error
        if 300 <= head.status < 400:
            target = urlsplit(head.location).netloc or self.origin.netloc
            message = f"{self.origin.netloc} answered {head.status}, a redirect to {target}: not followed"
            raise ReadFailure(Trouble.ERROR, message)
        return Answer(head.status, body, time.perf_counter() - began)

    async def close(self) -> None:
        """Drop the kept connections."""
        while self._idle:
            self._idle.pop().hang_up()

    def _request(self, path: str) -> bytes:
        if not path.startswith("/") and path:
            raise ValueError("a path starts with a slash")
        target = f"{self.origin.prefix}{path}" or "/"
        if not printable(target):
            raise ValueError("a path is printable ASCII without spaces")
        secret = "" if self._credential is None else f"Authorization: {self._credential.header()}\r\n"
        return f"GET {target} HTTP/1.1\r\n{self._fields}{secret}\r\n".encode("latin-1")

    async def _exchange(self, request: bytes, deadline: float, cap: int) -> tuple[Head, bytes]:
        end = asyncio.get_running_loop().time() + deadline
        if self._room.locked():
            async with asyncio.timeout_at(end):
                await self._room.acquire()
        else:
            await self._room.acquire()  # at once: the timer is spared
        try:
            while self._idle:
                kept = self._idle.pop()
                if not kept.reusable:
                    kept.hang_up()
                    continue
                try:
                    return await self._ask(kept, request, end, cap)
                except OSError as error:
                    if kept.heard or isinstance(error, TimeoutError):
                        raise
                    # the server had closed the kept connection meanwhile: a GET may be asked again
            async with asyncio.timeout_at(end):
                fresh = await self._dial()
            return await self._ask(fresh, request, end, cap)
        finally:
            self._room.release()

    async def _dial(self) -> Connection:
        loop = asyncio.get_running_loop()
        if self._unix is not None:
            return (await loop.create_unix_connection(Connection, self._unix))[1]
        tls = context_for(self.origin, self._ca)
        return (await loop.create_connection(Connection, self.origin.host, self.origin.port, ssl=tls))[1]

    async def _ask(self, connection: Connection, request: bytes, end: float, cap: int) -> tuple[Head, bytes]:
        waiter = connection.ask(request, cap)
        timer = asyncio.get_running_loop().call_at(end, connection.expire)
        try:
            answer = await waiter
        except BaseException:
            connection.hang_up()
            raise
        finally:
            timer.cancel()
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.hang_up()
        return answer


def _short(path: str) -> str:
    return path.partition("?")[0]


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
