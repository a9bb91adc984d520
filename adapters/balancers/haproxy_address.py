"""Where a runtime API of HAProxy answers, as it is written in an estate.

    /run/haproxy/admin.sock      a Unix socket of this host
    10.1.0.5:9999                a TCP socket; to another machine only with a waiver, it has no encryption
    /run/haproxy-master.sock@1   the master's socket (`haproxy -W -S`): its current worker
    ssh://edge1/run/haproxy.sock a Unix socket of a host that ssh reaches; `@1` as above

A reload starts another worker, which the master then calls 1: the same address leads to it, and its process is another
one. Source: HAProxy management guide, section 9.4 "Master CLI".
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from adapters.context import split_address
from state.estate.addresses import is_loopback

_WORKER = re.compile(r"(.+)@([0-9]{1,4})")
_SSH = re.compile(r"ssh://([^/@\s]+)(/.+)")
LONGEST = 107
"""Bytes of the path of a Unix socket."""
LONGEST_FILE = 1000
EACH = "{backend}"
"""Stands for the name of a backend in the path of a file of its own."""


@dataclass(frozen=True, slots=True)
class RuntimeApi:
    """`place` is a Unix path, or host and port; on `host` when ssh leads there. `worker` is a worker's number at the
    master's socket, 0 for the socket of the process itself."""

    place: str | tuple[str, int]
    host: str = ""
    worker: int = 0

    @classmethod
    def of(cls, text: str) -> RuntimeApi:
        """Parse an address. Raises ValueError with what was expected."""
        rest, worker = text, 0
        if found := _WORKER.fullmatch(text):
            rest, worker = found[1], int(found[2])
            if not worker:
                raise ValueError("@1 for the master's current worker: its workers are counted from 1")
        host = ""
        if rest.startswith("ssh://"):
            found = _SSH.fullmatch(rest)
            if found is None:
                raise ValueError("ssh://HOST/path/of/socket, with the name of a host of the estate")
            host, rest = found[1], found[2]
        if rest.startswith("/"):
            if len(rest.encode()) > LONGEST:
                raise ValueError(f"a Unix socket path has at most {LONGEST} bytes")
            return cls(rest, host, worker)
        try:
            return cls(split_address(rest), host, worker)
        except ValueError:
            raise ValueError("an absolute path, host:port, or ssh://HOST/path") from None

    def seen_by_all(self, through: str = "") -> tuple[str, ...]:
        """The same for every account and every way to write it; `through` is what leads to another host."""
        if not isinstance(self.place, str):
            host, port = self.place
            return (f"haproxy {through}{_host(host)}:{port}",)
        if through:
            return (f"haproxy {through}{self.place}",)
        return (f"haproxy {os.path.realpath(self.place)}", *_entry(self.place))

    @property
    def here(self) -> str:
        """The socket as a configuration of HAProxy names it, as a path or `host:port`."""
        if isinstance(self.place, str):
            return self.place
        host, port = self.place
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def plain(self) -> bool:
        """Whether plain text goes to another machine."""
        return not isinstance(self.place, str) and not is_loopback(self.place[0])

    @property
    def at_master(self) -> bool:
        """Whether it is the master's socket, which keeps a connection open until its client says that it ends."""
        return self.worker > 0

    def line(self, *commands: str) -> bytes:
        """Commands as one line. At the master's socket each of them names its worker."""
        prefix = f"@{self.worker} " if self.worker else ""
        return ";".join(f"{prefix}{command}" for command in commands).encode()


def _host(host: str) -> str:
    """One name of a host whatever way it is written: this one by a wildcard or a mapped address, too."""
    name = host.lower().rstrip(".")
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(name)
        mapped = getattr(address, "ipv4_mapped", None) or address
        return "loopback" if mapped.is_loopback or mapped.is_unspecified else str(mapped)
    return "loopback" if is_loopback(name) else name


def _entry(path: str) -> tuple[str, ...]:
    """A socket whatever way leads there: hard links and mounts have the same device and inode. None while there is no
    socket; HAProxy makes another one at its start, so the path counts too."""
    with contextlib.suppress(OSError):
        seen = os.stat(path)
        return (f"haproxy socket {seen.st_dev}:{seen.st_ino}",)
    return ()


def _usable(text: str) -> str:
    RuntimeApi.of(text)
    return text


Socket = Annotated[str, AfterValidator(_usable)]
"""An address of a runtime API, as it is written."""


def _file_path(text: str) -> str:
    folder, _, name = text.rpartition("/")
    plain = text.startswith("/") and name and os.path.normpath(text) == text and "\0" not in text
    if not plain or len(text.encode()) > LONGEST_FILE or "{" in folder or ("{" in name and name != EACH):
        raise ValueError(f"the absolute path of a file; {EACH} as its last part where each backend has its own")
    return text


StatePath = Annotated[str, AfterValidator(_file_path)]
"""The path of a server-state file."""
