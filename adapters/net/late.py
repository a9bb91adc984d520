"""What a connection has sent and nobody has acknowledged is not sent for ever."""

from __future__ import annotations

import asyncio
import contextlib
import socket

FORGET = 10.0
"""Seconds after which the kernel drops what was not acknowledged, also when this process is gone."""


def forget_soon(transport: asyncio.BaseTransport) -> None:
    """Bound how long the kernel goes on delivering for a connection, which is minutes otherwise (tcp(7))."""
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is not None and peer.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):  # not there on every system
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(FORGET * 1000))
