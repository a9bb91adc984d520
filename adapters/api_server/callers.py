"""Who is on the other end of a Unix socket, as the kernel reports it (unix(7), SO_PEERCRED)."""

from __future__ import annotations

import os
import socket
import struct
from asyncio import BaseTransport

from adapters.api_server.accounts import ACCOUNTS
from adapters.api_server.room import Standing
from state.api.caller import Caller
from state.api.service import EngineService
from state.policy.authority import ACTING

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


def uid_at(peer: socket.socket) -> int:
    """The account at the other end of a socket. Raises OSError."""
    uid: int = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1]
    return uid


def standing_of(uid: int, service: EngineService) -> Standing:
    """What an account is to the estate; that of this process may act."""
    person, roles = service.who(uid, ACCOUNTS.name(uid))
    if uid == os.getuid() or not set(ACTING).isdisjoint(roles):
        return Standing.ACTS
    return Standing.NAMED if person and roles else Standing.STRANGER


def caller_of(transport: BaseTransport | None, service: EngineService, *, read_only: bool) -> Caller:
    """The caller of one connection. Raises ConnectionError when it is closed or has no credentials."""
    pid, uid = _peer(transport)
    account = ACCOUNTS.name(uid)
    person, roles = service.who(uid, account)
    return Caller(uid=uid, account=account, person=person, roles=roles, session=f"pid:{pid}", read_only=read_only)


def _peer(transport: BaseTransport | None) -> tuple[int, int]:
    """Process and account."""
    peer = None if transport is None else transport.get_extra_info("socket")
    if peer is None:
        raise ConnectionResetError("the caller has closed the connection")
    pid, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid
