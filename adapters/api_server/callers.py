"""Who is on the other end of a Unix socket, as the kernel reports it (unix(7), SO_PEERCRED)."""

from __future__ import annotations

import os
import socket
import struct
from asyncio import BaseTransport

from adapters.api_server.accounts import ACCOUNTS
from adapters.api_server.room import Standing
from state.api.caller import Caller, KernelAccount
from state.api.service import EngineService
from state.policy.authority import ACTING

UNSET = 2**32 - 1
"""The login of what nobody logged in for, such as a service."""
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


def uid_at(peer: socket.socket) -> int:
    """The account at the other end of a socket. Raises OSError."""
    uid: int = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1]
    return uid


def standing_of(uid: int, service: EngineService) -> Standing:
    """What an account is to the estate; that of this process may act."""
    person, roles, _, _ = service.who(_account(uid))
    if uid == os.getuid() or not set(ACTING).isdisjoint(roles):
        return Standing.ACTS
    return Standing.NAMED if person and roles else Standing.STRANGER


def caller_of(transport: BaseTransport | None, service: EngineService, *, read_only: bool) -> Caller:
    """The caller of one connection. Raises ConnectionError when it is closed or has no credentials."""
    pid, uid = _peer(transport)
    account, login = _account(uid), login_uid(pid)
    person, roles, doubt, shared = service.who(account, None if login is None else _account(login))
    return Caller(uid, account.name, person, roles, f"pid:{pid}", read_only, login, doubt, shared)


def _account(uid: int) -> KernelAccount:
    return KernelAccount(uid, ACCOUNTS.name(uid))


def login_uid(pid: int, proc: str = "/proc") -> int | None:
    """The account that logged in, which su and sudo keep (loginuid of the kernel's audit); None where none did, or the
    kernel does not know. Of a process of root it says nothing: root may set it."""
    try:
        with open(f"{proc}/{pid}/loginuid", encoding="ascii") as file:
            text = file.read(16).strip()
        of_root = os.stat(f"{proc}/{pid}").st_uid == 0
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) != UNSET and not of_root else None


def _peer(transport: BaseTransport | None) -> tuple[int, int]:
    """Process and account."""
    peer = None if transport is None else transport.get_extra_info("socket")
    if peer is None:
        raise ConnectionResetError("the caller has closed the connection")
    pid, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid
