"""Signals to processes that this one did not start: only to one that is proven to be the one that is meant.

A number names a process only until it ends; a file that has the number may be old, or another account's. So the process
is held by a descriptor first, then compared with what was recorded of it (account, start, command), and the signal goes
to the descriptor: from there on the number may mean whatever it likes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from state.errors import NotFound
from state.host.regular import opened

AGAIN = 0.02
"""Seconds between two looks at a process that cannot be held."""


@dataclass(frozen=True, slots=True)
class ProcessProof:
    """What tells one process from every other: account, start in clock ticks since boot, digest of its command."""

    uid: int
    started: int
    command: str

    @classmethod
    def of(cls, pid: int) -> ProcessProof | None:
        """Of a process as the kernel shows it; None when it is gone."""
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return None
        uid = next(int(line.split()[2]) for line in status.splitlines() if line.startswith("Uid:"))
        return cls(uid, int(stat.rpartition(")")[2].split()[19]), hashlib.sha256(command).hexdigest()[:32])


class HeldProcess:
    """A process, held so that its number cannot come to mean another one. Close it, or use it with `with`.

    A kernel may have no descriptors of processes (before Linux 5.3, in some containers), or none left: then it is
    looked at again right before each use. Raises ProcessLookupError when there is none.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor: int | None = None
        self._seen: ProcessProof | None = None
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            raise
        except OSError as error:
            self._seen = ProcessProof.of(pid)
            if self._seen is None:
                raise ProcessLookupError(error.errno, f"no process {pid}") from error

    def __enter__(self) -> HeldProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def is_the(self, recorded: ProcessProof) -> bool:
        """Whether it is the process that was recorded."""
        return ProcessProof.of(self.pid) == recorded

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end."""
        if self._descriptor is not None:
            return bool(select.select([self._descriptor], [], [], seconds)[0])
        until = time.monotonic() + seconds
        while self._lives():
            if time.monotonic() >= until:
                return False
            time.sleep(AGAIN)
        return True

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it lives."""
        with contextlib.suppress(ProcessLookupError):
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, number)
            elif self._lives():
                os.kill(self.pid, number)

    def _lives(self) -> bool:
        """Without a descriptor: whether the number still means this process, and that has not ended."""
        now = ProcessProof.of(self.pid)
        return (
            now is not None
            and self._seen is not None
            and (now.uid, now.started) == (self._seen.uid, self._seen.started)
            and not ended(self.pid)
        )


def ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for whoever started it to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


@dataclass(frozen=True, slots=True)
class HeldLock:
    """What the process that holds a lock has written into its file; `recorded` is None where it wrote no proof."""

    pid: int
    runtime: str
    recorded: ProcessProof | None

    @staticmethod
    def text(runtime: Path) -> str:
        """What this process writes about itself."""
        me = ProcessProof.of(os.getpid())
        if me is None:
            raise NotFound(
                "/proc does not show this process: it must be mounted, and show an account its own processes"
            )
        return f"{os.getpid()}\n{runtime}\n{me.started} {me.command}\n"


def held_lock(path: Path) -> HeldLock | None:
    """Who holds the lock on a file; None when nobody does, it has not said so yet, or this account may not look.

    The kernel releases the lock with the process, so a process that is written there and has no lock is not meant. The
    account of the process is the file's owner: no other one could have locked what only its owner may open.
    """
    try:
        with opened(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return parsed_lock(file.read(8192), os.fstat(file.fileno()).st_uid)
    except OSError:
        return None
    return None


def is_held(path: Path) -> bool:
    """Whether a process holds the lock on a file, also before it has written which."""
    try:
        with opened(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def parsed_lock(content: bytes, owner: int) -> HeldLock | None:
    """The content of a lock's file that `owner` has; None where it names no process."""
    pid, runtime, proof, *_ = [*content.decode("utf-8", "replace").split("\n"), "", ""]
    if not pid.isascii() or not pid.isdecimal() or len(pid) > 10:
        return None
    started, _, command = proof.partition(" ")
    known = started.isascii() and started.isdecimal() and len(started) < 20
    return HeldLock(int(pid), runtime, ProcessProof(owner, int(started), command) if known else None)


def end_holder(path: Path, number: signal.Signals, seconds: float) -> bool | None:
    """Signal the process that holds the lock on a file and wait for its end; whether it ended in time.

    None when the process that the file names is not proven to be the one that wrote it: it gets no signal.
    """
    held = held_lock(path)
    if held is None:
        return True
    try:
        process = HeldProcess(held.pid)
    except ProcessLookupError:
        return True
    with process:
        if held.recorded is None or not process.is_the(held.recorded):
            return None
        if held_lock(path) != held:  # it ended before it was held
            return True
        process.send(number)
        return process.ends_within(seconds)
