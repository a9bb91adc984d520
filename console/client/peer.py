"""Whose engine is at the other end: asked before anything is sent or believed, by the folder and by the kernel.

Standard library only. Which folders may be an engine's, and whose, is decided by `state.host.trust`.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import NamedTuple, Protocol

from state.errors import Refused
from state.host.trust import SYSTEM, Offence, account_name, engine_account

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
RULE = "engine-account"


class Peer(NamedTuple):
    """The process and the account that listen at the other end."""

    pid: int
    uid: int


class HasOptions(Protocol):
    """A socket, or what asyncio gives for one."""

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes: ...


def peer_of(connected: HasOptions) -> Peer:
    """What the kernel says about the other end (unix(7), SO_PEERCRED)."""
    pid, uid, _ = _CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, uid)


def require_engine_folder(path: str | os.PathLike[str]) -> int:
    """The account whose engine may listen on a socket. Raises Refused when its folder is somebody else's, OSError when
    there is no folder."""
    folder = Path(path).parent
    os.stat(folder)
    account = engine_account(folder)
    if isinstance(account, Offence):
        fact = f"what listens on {path} may be anybody's: {account.path} is a {account.found}"
        way = f"an engine is believed in a folder of this account, of root, or that root gave it below {SYSTEM}"
        raise Refused(RULE, fact, f"{way}; {account.way_out}")
    return account


def require_account(connected: HasOptions, account: int, path: str | os.PathLike[str]) -> None:
    """Raise Refused unless that account, or root, listens at the other end."""
    peer = peer_of(connected)
    if peer.uid not in (account, 0):
        raise Refused(
            RULE,
            f"process {peer.pid} of {account_name(peer.uid)} listens on {path}, a socket for {account_name(account)}",
            f"nothing was sent to it; find out what it is (ps -fp {peer.pid}), end it, then: recovery engine start",
        )


def connect_engine(path: str | os.PathLike[str], within: float | None = None) -> socket.socket:
    """A connection to an engine's socket. Raises Refused for a foreign one, OSError where none listens."""
    account = require_engine_folder(path)
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(within)
        connected.connect(os.fspath(path))
        require_account(connected, account, path)
    except BaseException:
        connected.close()
        raise
    return connected
