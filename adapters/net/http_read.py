"""Reading over HTTP for polling over a kept connection, answers bounded in size and time: GET, and POST where a product
has its questions in the body.

No redirect is followed, and a credential is sent only to the one origin it belongs to.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from adapters.concealed import Concealed, said_in
from adapters.net.http_client import Reply, UnusableAnswer, address, client, reason, trouble, whole
from adapters.net.origin import ClientCertificate, Credential, Origin, context_for
from adapters.net.tunnel import Tunnel, TunnelConnector
from state.errors import ReadFailure, Trouble
from state.units import time_limit

MAX_BODY = 8 << 20
MAX_CONNECTIONS = 2
KEPT_SECONDS = 60.0
"""How long an idle connection is kept: longer than the usual polling interval."""
CLOSE_SECONDS = 0.5
SHOWN = 200
MOST_SAID = 256 << 10
"""Bytes of an answer in which a credential is hidden; a larger one that has it is not taken."""


class HttpReader:
    """GETs from one origin over at most two kept connections; `unix` is a socket in place of host and port, `via`
    a host that leads to them."""

    def __init__(
        self,
        url: str,
        *,
        ca: Path | None = None,
        credential: Credential | None = None,
        headers: Mapping[str, str] | None = None,
        unix: str | None = None,
        client: ClientCertificate | None = None,
        via: Tunnel | None = None,
    ) -> None:
        self.origin = Origin.of(url)
        self._ca = ca
        self._credential = credential
        self._unix = unix
        self._certificate = client
        self.via = via
        self._headers = {"Accept-Encoding": "gzip", **(headers or {})}
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, *, deadline: float, cap: int = MAX_BODY) -> bytes:
        """The body of a 2xx answer. Raises ReadFailure as `page` does."""
        return (await self.page(path, deadline=deadline, cap=cap)).body

    async def page(self, path: str, *, deadline: float, cap: int = MAX_BODY) -> Reply:
        """A 2xx answer with a body. Raises ReadFailure for any other answer: 401 and 403 denied, 204 or no body
        empty, the rest error."""
        return self.usable(await self.fetch(path, deadline=deadline, cap=cap), path)

    async def ask(
        self, path: str, question: bytes, headers: Mapping[str, str], *, deadline: float, cap: int = MAX_BODY
    ) -> Reply:
        """The answer to a question in JSON that only reads. Raises ReadFailure as `page` does."""
        more = {"Content-Type": "application/json", **headers}
        return self.usable(await self.fetch(path, deadline=deadline, cap=cap, question=question, more=more), path)

    def usable(self, answer: Reply, path: str) -> Reply:
        """The answer to this path if it is 2xx with a body. Raises ReadFailure as `page` does."""
        if answer.status in (401, 403):
            raise ReadFailure(Trouble.DENIED, f"{self.origin.netloc} answered {answer.status} to {_short(path)}")
        if not 200 <= answer.status < 300:
            message = answer.body[:SHOWN].decode("utf-8", "replace").strip()
            raise ReadFailure(
                Trouble.ERROR, f"{self.origin.netloc} answered {answer.status} to {_short(path)}: {message}"
            )
        if not answer.body:
            raise ReadFailure(Trouble.EMPTY, f"{self.origin.netloc} sent an empty answer to {_short(path)}")
        return answer

    async def fetch(
        self,
        path: str,
        *,
        deadline: float,
        cap: int = MAX_BODY,
        decode: bool = True,
        cut: bool = False,
        question: bytes | None = None,
        more: Mapping[str, str] | None = None,
        redirects: bool = False,
    ) -> Reply:
        """Any answer, `redirects` only where they are wanted, to a GET or to a POST of the `question`; without `decode`
        its body stays as it was encoded, and a larger one ends after `cap` bytes where it is `cut`. Raises ReadFailure
        on a redirect, an answer that is not complete, larger than `cap` bytes or in an unknown encoding, and on no
        answer within the deadline in seconds."""
        url = address(self.origin, path)
        where = self.origin.netloc
        sent = dict(more or {})
        if self._credential is not None:
            sent["Authorization"] = self._credential.header()
        verb = "GET" if question is None else "POST"
        try:
            async with (
                asyncio.timeout(deadline),
                self._client().request(verb, url, headers=sent, data=question, allow_redirects=False) as response,
            ):
                answer = await whole(response, cap, decode=decode, cut=cut)
        except TimeoutError as error:
            raise ReadFailure(Trouble.TIMEOUT, f"{where} did not answer within {time_limit(deadline)}") from error
        except UnusableAnswer as error:
            raise ReadFailure(Trouble.ERROR, f"{where}: {error}") from error
        except (aiohttp.ClientError, OSError) as error:  # it may contain the request with its credential
            raise ReadFailure(trouble(error), f"{where}: {reason(error)}") from None
        if 300 <= answer.status < 400 and not redirects:
            target = _place(answer.location) or where
            raise ReadFailure(Trouble.ERROR, f"{where} answered {answer.status}, a redirect to {target}: not followed")
        return self._unsaid(answer, where)

    def _unsaid(self, answer: Reply, where: str) -> Reply:
        """The answer without the credential, where the server says it again: a label or a text of it would be shown."""
        if self._credential is None or not said_in(self._credential.secret, answer.body):
            return answer
        if len(answer.body) > MOST_SAID:
            raise ReadFailure(Trouble.ERROR, f"{where} says the credential that it was sent in its answer")
        text = answer.body.decode("utf-8", "surrogateescape")
        hidden = Concealed([self._credential.secret]).hide(text)
        return replace(answer, body=hidden.encode("utf-8", "surrogateescape"))

    def apart(self) -> HttpReader:
        """One of the same origin with connections of its own: to close it ends nobody else's reading."""
        other = copy(self)
        other._session = None
        return other

    def trusted(self) -> ssl.SSLContext | None:
        """What its connections believe, None of plain text. Raises OSError for a bad `ca`."""
        return context_for(self.origin, self._ca, self._certificate)

    async def close(self) -> None:
        """Drop the kept connections; never raises, never waits longer than half a second."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await session.close()

    def _client(self) -> aiohttp.ClientSession:
        """Made at the first request, since it belongs to the event loop that reads. Raises OSError for a bad `ca`."""
        if self._session is None:
            self._session = client(self._connector(), self._headers)
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        if self._unix is not None:
            return aiohttp.UnixConnector(self._unix, limit=MAX_CONNECTIONS, keepalive_timeout=KEPT_SECONDS)
        tls = self.trusted()
        if self.via is not None:
            return TunnelConnector(self.via, self.origin, tls, limit=MAX_CONNECTIONS, keepalive_timeout=KEPT_SECONDS)
        return aiohttp.TCPConnector(
            ssl=True if tls is None else tls,
            limit=MAX_CONNECTIONS,
            keepalive_timeout=KEPT_SECONDS,
            use_dns_cache=False,  # after a DNS change the next connection goes to the new address
        )


def _short(path: str) -> str:
    return path.partition("?")[0]


def _place(location: str) -> str:
    """Host and port of a redirect's address, without user and password; empty when there is none."""
    try:
        return urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:
        return ""
