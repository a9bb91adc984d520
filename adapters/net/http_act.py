"""Effects over HTTP: one request, sent once, never followed, never repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from adapters.concealed import Concealed
from adapters.net.http_client import Reply, UnusableAnswer, address, client, reason, whole
from adapters.net.late import forget_soon
from adapters.net.origin import ClientCertificate, Credential, Origin, context_for
from adapters.net.tunnel import Tunnel, TunnelConnector
from adapters.secrets import Secret
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.units import time_limit

MAX_ANSWER = 64 << 10
MOST_SAID = 4000
"""Characters of an answer to a request with a credential that are kept: they are for people."""
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
PROMPT = 3.0
"""Seconds within which a request must have its connection; later, nothing is sent."""


@dataclass(frozen=True, slots=True)
class HttpActor:
    """Acts on one origin with its own credential and headers; `unix` is the socket to use in place of host and port,
    `via` a host that leads to them."""

    origin: Origin
    ca: Path | None = None
    credential: Credential | None = None
    unix: str | None = None
    client: ClientCertificate | None = None
    via: Tunnel | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, Secret] = field(default_factory=dict)

    async def send(
        self, method: str, path: str, body: Any | None, *, deadline: float, more: Mapping[str, str] = NO_HEADERS
    ) -> Reply:
        """Send a request, with JSON and `more` headers if given, and read the complete answer within the deadline.

        Raises EffectRefused (`unreachable`) when no connection was made, so nothing was sent, and EffectUnknown
        (`timeout`, `reset`, `redirect`, `oversize`, `encoding`) for everything else that is no answer.
        """
        progress = _Progress(asyncio.get_running_loop().time() + min(deadline, PROMPT))
        where = self.origin.netloc
        try:
            async with asyncio.timeout(deadline):
                return await self._send(method, path, body, progress, more)
        except TimeoutError as error:
            if not progress.connected:
                message = f"no connection to {where} within {min(deadline, PROMPT):g} s"
                raise EffectRefused(message, "unreachable") from error
            raise EffectUnknown(f"{where} did not answer within {time_limit(deadline)}", "timeout") from error
        except ReadFailure as error:  # the host that leads there
            raise EffectRefused(f"no connection to {where}: {error.message}", "unreachable") from error
        except UnusableAnswer as error:
            raise EffectUnknown(f"{where}: {error}", error.code) from error
        except (aiohttp.ClientError, OSError) as error:  # it may contain the request with its credential
            if not progress.connected:
                raise EffectRefused(f"no connection to {where}: {reason(error)}", "unreachable") from None
            raise EffectUnknown(f"{where}: the connection was lost: {reason(error)}", "reset") from None

    async def _send(
        self, method: str, path: str, body: Any | None, progress: _Progress, more: Mapping[str, str]
    ) -> Reply:
        secret = {name: value.reveal() for name, value in self.secret_headers.items()}
        headers = {"Accept-Encoding": "identity", **self.headers, **more, **secret}
        if self.credential is not None:
            headers["Authorization"] = self.credential.header()
        async with (
            client(self._connector(progress), headers) as session,
            session.request(
                method,
                address(self.origin, path),
                json=dict(body) if isinstance(body, Mapping) else body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=PROMPT),
            ) as response,
        ):
            reply = await whole(response, MAX_ANSWER)
        if 300 <= reply.status < 400:
            raise EffectUnknown(
                f"{self.origin.netloc} answered {reply.status}, a redirect: not followed", "redirect", over=True
            )
        return reply if self.credential is None else self._unsaid(reply, self.credential)

    @staticmethod
    def _unsaid(reply: Reply, credential: Credential) -> Reply:
        """The answer without the credential, which a target may say again."""
        return replace(reply, body=Concealed([credential.secret]).hide(reply.text[:MOST_SAID]).encode())

    def _connector(self, progress: _Progress) -> aiohttp.BaseConnector:
        connector: _Prompt
        tls = None if self.unix is not None else context_for(self.origin, self.ca, self.client)
        if self.unix is not None:
            connector = _PromptUnix(self.unix, force_close=True)
        elif self.via is not None:
            connector = _PromptTunnel(self.via, self.origin, tls, force_close=True)
        else:
            connector = _PromptTcp(ssl=True if tls is None else tls, force_close=True)
        connector.progress = progress
        return connector


@dataclass(slots=True)
class _Progress:
    """Whether a connection was made: from then on bytes may have left. A connection made after `until` is not used."""

    until: float
    connected: bool = False


class _Prompt(aiohttp.BaseConnector):
    """Hands out one connection, and none that came too late: after a suspended process continues, it is there before
    the timer fires. A second one would repeat the request, as aiohttp does for methods like DELETE."""

    progress: _Progress

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        if self.progress.connected:
            raise aiohttp.ServerDisconnectedError
        connection = await super().connect(req, traces, timeout)
        if asyncio.get_running_loop().time() >= self.progress.until:
            connection.close()
            raise TimeoutError
        if connection.transport is not None:
            forget_soon(connection.transport)
        self.progress.connected = True
        return connection


class _PromptTcp(_Prompt, aiohttp.TCPConnector):
    pass


class _PromptTunnel(_Prompt, TunnelConnector):
    pass


class _PromptUnix(_Prompt, aiohttp.UnixConnector):
    pass
