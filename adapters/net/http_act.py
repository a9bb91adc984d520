"""Effects over HTTP: one request, sent once, never followed, never repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from adapters.net.origin import Credential, Origin, context_for
from state.errors import EffectRefused, EffectUnknown

MAX_ANSWER = 64 << 10
PROMPT = 3.0
"""Seconds from deciding on a request to the connection it leaves by; later, nothing is sent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer to an effect."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class HttpActor:
    """Acts on one origin with its own credential; `unix` is the socket to use in place of host and port."""

    origin: Origin
    ca: Path | None = None
    credential: Credential | None = None
    unix: str | None = None

    async def send(self, method: str, path: str, body: Mapping[str, Any] | None, *, deadline: float) -> Reply:
        """Send a request, with JSON if given, and read the whole answer within the deadline.

        Raises EffectRefused (`unreachable`) when no connection was made, so nothing was sent, and EffectUnknown
        (`timeout`, `reset`, `redirect`) for everything else that is no answer.
        """
        progress = _Progress(asyncio.get_running_loop().time() + min(deadline, PROMPT))
        where = self.origin.netloc
        try:
            async with asyncio.timeout(deadline):
                return await self._send(method, path, body, progress)
        except TimeoutError as error:
            if not progress.connected:
                message = f"no connection to {where} within {min(deadline, PROMPT):g} s"
                raise EffectRefused(message, "unreachable") from error
            raise EffectUnknown(f"{where} did not answer within {deadline:g} s", "timeout") from error
        except (aiohttp.ClientError, OSError) as error:
            message = str(error) or type(error).__name__
            if not progress.connected:
                raise EffectRefused(f"no connection to {where}: {message}", "unreachable") from error
            raise EffectUnknown(f"{where} broke off: {message}", "reset") from error

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None, progress: _Progress) -> Reply:
        headers = {"User-Agent": "recovery", "Accept-Encoding": "identity"}
        if self.credential is not None:
            headers["Authorization"] = self.credential.header()
        async with (
            aiohttp.ClientSession(
                connector=self._connector(progress),
                timeout=aiohttp.ClientTimeout(total=None, connect=PROMPT),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            ) as session,
            session.request(
                method,
                f"{self.origin.scheme}://{self.origin.netloc}{self.origin.prefix}{path}",
                json=None if body is None else dict(body),
                headers=headers,
                allow_redirects=False,
            ) as answer,
        ):
            content = await _whole(answer.content)
            if 300 <= answer.status < 400:
                message = f"{self.origin.netloc} answered {answer.status}, a redirect: not followed"
                raise EffectUnknown(message, "redirect")
            return Reply(answer.status, content.decode("utf-8", "replace").strip())

    def _connector(self, progress: _Progress) -> aiohttp.BaseConnector:
        connector: _Prompt
        if self.unix is not None:
            connector = _PromptUnix(self.unix, force_close=True)
        else:
            tls = context_for(self.origin, self.ca)
            connector = _PromptTcp(ssl=True if tls is None else tls, force_close=True)
        connector.progress = progress
        return connector


async def _whole(stream: aiohttp.StreamReader) -> bytes:
    """The body to its end; an answer cut short raises ClientPayloadError, one without end EffectUnknown."""
    content = bytearray()
    async for piece in stream.iter_any():
        content += piece
        if len(content) > MAX_ANSWER:
            raise EffectUnknown(f"the answer is longer than {MAX_ANSWER >> 10} KiB", "oversize")
    return bytes(content)


@dataclass(slots=True)
class _Progress:
    """Whether a connection was made: from then on bytes may have left. One made after `until` is not used."""

    until: float
    connected: bool = False


class _Prompt(aiohttp.BaseConnector):
    """Hands out no connection that came too late: when this process stood still, it is there before the alarm is."""

    progress: _Progress

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        if asyncio.get_running_loop().time() >= self.progress.until:
            connection.close()
            raise TimeoutError
        self.progress.connected = True
        return connection


class _PromptTcp(_Prompt, aiohttp.TCPConnector):
    pass


class _PromptUnix(_Prompt, aiohttp.UnixConnector):
    pass
