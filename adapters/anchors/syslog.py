"""Anchors in a system log, RFC 5424: over TLS or TCP with octet counts (RFC 5425, RFC 6587), or to a Unix socket.

A system log says nothing back. Over TCP and TLS the anchor counts as taken when the receiver ends the connection after
it: it has then read everything. A datagram counts as taken when the socket took it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from adapters.context import AdapterContext, split_address
from adapters.net.origin import tls_context
from adapters.net.tls_reasons import tls_refusal
from state.config_files.findings import refuse
from state.errors import ReadFailure, Trouble
from state.estate.addresses import is_loopback, wrong_address
from state.estate.model import AnchorEntry
from state.text import clean
from state.units import time_limit

KIND = "syslog"
PRIORITY = 13 * 8 + 5
"""Log audit, notice."""


class SyslogOptions(AnchorEntry):
    """`address`: host:port, or the path of a Unix socket such as /dev/log. `ca` is a file of certificates. `tls: plain`
    is TCP without TLS; to another machine it needs `waive.tls`."""

    address: str
    tls: Literal["verify-full", "plain"] = "verify-full"
    ca: str | None = None

    @property
    def goes_without(self) -> Sequence[str]:
        return ("tls",) if self._plain() else ()

    @model_validator(mode="after")
    def _proven_or_waived(self) -> SyslogOptions:
        expected = "" if self.address.startswith("/") else wrong_address(self.address)
        if expected:
            refuse(type(self), [(("address",), self.address, f"{expected}, or a path")])
        if self._plain() and self.waive.tls is None:
            refuse(type(self), [(("tls",), self.tls, "tls: verify-full, or waive: {tls: the reason}")])
        return self

    def _plain(self) -> bool:
        if self.address.startswith("/") or self.tls != "plain" or wrong_address(self.address):
            return False
        return not is_loopback(split_address(self.address)[0])


OPTIONS = SyslogOptions


class SyslogPlace:
    """Fulfils AnchorPlace."""

    def __init__(self, name: str, address: str, tls: ssl.SSLContext | None, wall: Callable[[], datetime]) -> None:
        self._name, self._address, self._tls, self._wall = name, address, tls, wall
        self._host = clean(socket.gethostname(), 255).replace(" ", "-") or "-"

    async def look(self, *, deadline: float) -> str:
        """Connect and leave: whether it reads messages is shown by an anchor only."""
        await self._within(self._connected(), deadline)
        if self._address.startswith("/"):
            return "its socket is there; a system log says nothing back"
        return f"connects over {'TLS' if self._tls else 'TCP'}; a system log says nothing back"

    async def keep(self, line: str, *, deadline: float) -> None:
        """Send it as one message."""
        when = self._wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        message = f"<{PRIORITY}>1 {when} {self._host} recovery {os.getpid()} anchor - {line}".encode()
        local = self._address.startswith("/")
        await self._within(self._datagram(message) if local else self._stream(message), deadline)

    async def _within(self, asking: Coroutine[Any, Any, None], deadline: float) -> None:
        try:
            async with asyncio.timeout(deadline):
                await asking
        except TimeoutError as error:
            within = time_limit(deadline)
            raise ReadFailure(Trouble.TIMEOUT, f"{self._name} did not confirm it within {within}") from error
        except ssl.SSLError as error:
            raise ReadFailure(Trouble.DENIED, f"{self._name}: {tls_refusal(error)}") from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ReadFailure(Trouble.UNREACHABLE, f"{self._name}: {reason}") from error

    async def _connected(self) -> None:
        if self._address.startswith("/"):
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as end:
                end.connect(self._address)
            return
        host, port = split_address(self._address)
        _, writer = await asyncio.open_connection(host, port, ssl=self._tls, limit=4096)
        writer.transport.abort()

    async def _datagram(self, message: bytes) -> None:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as end:
            end.setblocking(False)
            end.connect(self._address)
            await asyncio.get_running_loop().sock_sendall(end, message)

    async def _stream(self, message: bytes) -> None:
        host, port = split_address(self._address)
        reader, writer = await asyncio.open_connection(host, port, ssl=self._tls, limit=4096)
        try:
            writer.write(b"%d %s" % (len(message), message))
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
                while await reader.read(4096):  # nothing is said; its end is the answer
                    pass
            else:
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()


def build(name: str, options: SyslogOptions, context: AdapterContext) -> SyslogPlace:
    """The place. Raises ConfigError."""
    plain = options.tls == "plain" or options.address.startswith("/")
    authorities: Path | None = context.authorities(f"anchors.{name}", options.ca)
    tls = None if plain else tls_context(authorities)
    return SyslogPlace(f"anchors.{name}", options.address, tls, lambda: datetime.now(UTC))
