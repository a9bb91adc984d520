"""Who is on the other end of a Unix socket, as the kernel reports it (unix(7), SO_PEERCRED)."""

from __future__ import annotations

import os
import pwd
import socket
import struct
import time
from asyncio import BaseTransport
from functools import lru_cache

from adapters.api_server.room import Standing
from state.api.caller import Caller
from state.api.service import EngineService
from state.policy.authority import ACTING

ASK_AGAIN = 300.0
"""Seconds for which the name of an account is kept."""
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


NOT_KNOWN = -1
"""In place of an account, where the kernel names none: over TCP."""


def account_of(uid: int) -> str:
    """The account's name, or the uid where the host has no name for it; asked for once in a while only, since the
    answer may come from a directory on the network."""
    return _account(uid, int(time.monotonic() / ASK_AGAIN))


@lru_cache(maxsize=1024)
def _account(uid: int, period: int) -> str:
    del period
    if uid == NOT_KNOWN:
        return "that is not known"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def uid_at(peer: socket.socket) -> int:
    """The account at the other end of a socket. Raises OSError."""
    uid: int = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1]
    return uid


def standing_of(uid: int, service: EngineService) -> Standing:
    """What an account is to the estate; that of this process may act."""
    person, roles = service.who(uid, account_of(uid))
    if uid == os.getuid() or not set(ACTING).isdisjoint(roles):
        return Standing.ACTS
    return Standing.NAMED if person and roles else Standing.STRANGER


def caller_of(transport: BaseTransport | None, service: EngineService, *, read_only: bool) -> Caller:
    """The caller of one connection. Raises ConnectionError when it is closed or has no credentials."""
    pid, uid = _peer(transport)
    account = account_of(uid)
    person, roles = service.who(uid, account)
    return Caller(uid=uid, account=account, person=person, roles=roles, session=f"pid:{pid}", read_only=read_only)


def _peer(transport: BaseTransport | None) -> tuple[int, int]:
    """Process and account."""
    peer = None if transport is None else transport.get_extra_info("socket")
    if peer is None:
        raise ConnectionResetError("the caller has closed the connection")
    pid, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid
