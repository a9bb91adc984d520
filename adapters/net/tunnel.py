"""Reaching a target through a host: a local Unix socket stands for an address as that host sees it."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace

from adapters.net.origin import Origin

OPENING = 5.0
"""Seconds that opening a way may take; what waits for it has its own deadline."""


class Tunnel(Protocol):
    """A host that leads further, such as `adapters.net.ssh.SshConnection`."""

    name: str

    async def forward(self, remote: str, *, deadline: float = OPENING) -> str:
        """The local Unix socket that leads to a Unix socket or `host:port` as seen from there. Raises ReadFailure."""


class TunnelConnector(aiohttp.UnixConnector):
    """HTTP through a host. TLS is with the target, whose own name is verified, not with the host between."""

    def __init__(self, tunnel: Tunnel, origin: Origin, tls: ssl.SSLContext | None, **options: Any) -> None:
        super().__init__("", **options)
        self._tunnel, self._origin, self._tls = tunnel, origin, tls

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        path = await self._tunnel.forward(self._origin.netloc)
        name = None if self._tls is None else self._origin.host
        try:
            _, protocol = await self._loop.create_unix_connection(
                self._factory, path, ssl=self._tls, server_hostname=name
            )
        except ssl.SSLError as error:
            raise aiohttp.ClientConnectorSSLError(req.connection_key, error) from error
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        return protocol


class LoopThrough:
    """The running loop, whose TCP connections go through a Unix socket: for drivers that connect by host and port."""

    def __init__(self, path: str) -> None:
        self._loop, self._path = asyncio.get_running_loop(), path

    async def create_connection(self, factory: Any, _host: str, _port: int) -> Any:
        """A connection to the socket, whatever address is asked for."""
        return await self._loop.create_unix_connection(factory, self._path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)
