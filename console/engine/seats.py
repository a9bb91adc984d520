"""One engine of this host for each place where effects go, whatever account, home or runtime folder it has.

An engine counts servers, floors and leases by its own runs. Two that act at one balancer each take "the last but one"
server away. So an engine holds a name in the kernel for its estate's file and for each place where it acts (abstract
socket, unix(7)): all accounts of the host see it, it depends on no folder, and the kernel releases it with the process.
Who holds it the kernel says (SO_PEERCRED). Networks of containers are hosts of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from console.client.peer import Peer, peer_of
from state.errors import Refused
from state.host.trust import account_name
from state.ports.outside import Outside
from state.ports.target import ActsAt
from state.text import clean

RULE = "one engine per target"
PREFIX = "\0recovery/engine/"
LONGEST_COMMAND = 120
BACKLOG = 64
EVERY = 1.0
"""Seconds between two times at which those who asked are let go."""


def seats_of(file: Path, outside: Outside) -> Iterator[str]:
    """What an engine holds: the estate's file, whoever starts it, and every place where its effects go."""
    yield seat_of(file)
    for target in (*outside.balancers.values(), *outside.databases.values(), *outside.zones.values()):
        if isinstance(target, ActsAt):
            yield from target.acts_at()


def seat_of(file: Path) -> str:
    """An estate's file, by whatever path it is reached."""
    seen = file.stat()
    return f"estate {seen.st_dev}:{seen.st_ino}"


class Seats:
    """The names that this process holds. They end with it."""

    def __init__(self) -> None:
        self._held: dict[str, socket.socket] = {}

    def hold(self, wanted: Iterable[str]) -> None:
        """Hold these names and no other. Raises Refused, with nothing changed, when another process holds one."""
        names, taken = set(wanted), dict[str, socket.socket]()
        try:
            for name in sorted(names - set(self._held)):
                taken[name] = _bound(name)
        except BaseException:
            for each in taken.values():
                each.close()
            raise
        for name in set(self._held) - names:
            self._held.pop(name).close()
        self._held |= taken

    async def let_go(self) -> None:
        """As long as the engine lives: end the connections of those who asked, so that the next one is told too."""
        while True:
            for held in self._held.values():
                with contextlib.suppress(OSError):
                    for _ in range(BACKLOG):
                        held.accept()[0].close()
            await asyncio.sleep(EVERY)

    def release(self) -> None:
        """Hold nothing."""
        self.hold(())


def _address(name: str) -> str:
    return PREFIX + hashlib.sha256(name.encode()).hexdigest()


def _bound(name: str) -> socket.socket:
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(_address(name))
        held.listen(BACKLOG)  # only so that the kernel tells others who holds it; nobody is answered
        held.setblocking(False)
    except OSError as error:
        held.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise _refused(name, _holder(name)) from error
    return held


def _holder(name: str) -> Peer | None:
    """Who holds a name; None where the kernel cannot say it now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(_address(name))
            return peer_of(asking)
        except OSError:
            return None


def _refused(name: str, holder: Peer | None) -> Refused:
    kind, _, place = name.partition(" ")
    what = "this estate's file" if kind == "estate" else f"{kind} {place}"
    if holder is None:
        fact = f"another process of this host holds {what}; the kernel does not say which"
        return Refused(RULE, fact, "Look for it: pgrep -af recovery. Attach to its engine, or end it, then start again")
    try:
        command = Path(f"/proc/{holder.pid}/cmdline").read_bytes().decode("utf-8", "replace").replace("\0", " ").strip()
    except OSError:
        command = ""
    told = f" ({clean(command, LONGEST_COMMAND)})" if command else ""
    return Refused(
        RULE,
        f"process {holder.pid} of {account_name(holder.uid)}{told} holds {what}: two engines there would not see each"
        " other's runs",
        f"Attach to its engine as {account_name(holder.uid)}, or end it there (kill {holder.pid}), then start again",
    )
