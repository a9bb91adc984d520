"""Which configuration the next process of a HAProxy on this host reads, as far as this account can tell.

The process says with which arguments it was started, and the kernel which program it is; an estate can name the files
where this account may not see the process. A file counts only where it names the very socket that is used: in a
container a path may lead elsewhere, and a number may be another process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from pathlib import Path

from state.discovery.haproxy_state_cfg import StateLoading, state_loading
from state.host.regular import bounded

MOST = 16 << 20
"""Bytes of one file of a configuration."""
PROGRAM = b"haproxy"
Signature = tuple[tuple[str, int, int, int], ...]


class ConfigurationReader:
    """Reads the configuration again when a file of it is another one. `given` is what the estate names, a file or a
    folder of `*.cfg`; empty where the process is asked."""

    def __init__(self, socket: str, given: str = "") -> None:
        self._socket, self._given = socket, given
        self._signature: Signature = ()
        self._last: StateLoading | str = "it was not looked for yet"

    def look(self, pid: int) -> StateLoading | str:
        """What it says of state files, or why that is not known. Blocks: for a thread."""
        found = _started_with(pid) if not self._given else _listed([self._given], set())
        if isinstance(found, str):
            return found
        files, own_sockets = found
        try:
            signature = tuple(_signature(path) for path in files)
            if signature != self._signature:
                text = "\n".join(bounded(Path(path), MOST).decode("utf-8", "replace") for path in files)
                self._signature, self._last = signature, self._judged(state_loading(text), files, own_sockets)
        except OSError as error:
            self._signature = ()
            return f"its configuration {error.filename or files[0]}: {error.strerror}"
        return self._last

    def _judged(self, loading: StateLoading, files: Sequence[str], own: frozenset[str]) -> StateLoading | str:
        here = os.path.realpath(self._socket) if self._socket.startswith("/") else self._socket
        names = {os.path.realpath(each) if each.startswith("/") else each for each in loading.sockets | own}
        if not files:
            return f"{self._given} has no *.cfg"
        if here not in names:
            return f"{', '.join(files)} does not name the socket {self._socket}"
        if loading.unsure:
            return f"{', '.join(files)} has conditions or variables"
        return loading


def _signature(path: str) -> tuple[str, int, int, int]:
    seen = os.stat(path)
    return path, seen.st_mtime_ns, seen.st_size, seen.st_ino


def _started_with(pid: int) -> tuple[list[str], frozenset[str]] | str:
    """The files of the configuration in their order, and the master's sockets; or why they are not known."""
    unknown = "the arguments of its process are not to be read here"
    try:
        if Path(f"/proc/{pid}/comm").read_bytes().strip() != PROGRAM or not pid:
            return unknown
        argv = [os.fsdecode(each) for each in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:-1]]
    except OSError:
        return unknown
    files, sockets, folder = list[str](), set[str](), ""
    words = iter(argv)
    for word in words:
        if word == "--":
            files += words
        elif word == "-f":
            files.append(next(words, ""))
        elif word == "-C":
            folder = next(words, "")
        elif word == "-S":
            sockets.add(next(words, "").partition(",")[0].removeprefix("unix@"))
    files = [os.path.join(folder, each) for each in files]
    if not files or not all(each.startswith("/") for each in files):
        return "its configuration is not given as an absolute path"
    return _listed(files, sockets)


def _listed(files: Sequence[str], sockets: Set[str]) -> tuple[list[str], frozenset[str]] | str:
    """The files themselves."""
    try:
        return [each for path in files for each in _each(path)], frozenset(sockets)
    except OSError as error:
        return f"its configuration {error.filename}: {error.strerror}"


def _each(path: str) -> list[str]:
    """A file, or the `*.cfg` of a folder in their order."""
    if not os.path.isdir(path):
        return [path]
    names = sorted(name for name in os.listdir(path) if name.endswith(".cfg") and not name.startswith("."))
    return [os.path.join(path, name) for name in names]


def reads_it(loading: StateLoading, backend: str, path: str) -> bool:
    """Whether the next process reads the servers of a backend from a file."""
    read = loading.loads.get(backend, "")
    return bool(read) and (read == path or os.path.realpath(read) == os.path.realpath(path))
