"""What the engine sets up on its host before it serves: lock, folders, hardening, index file."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

from adapters.journals.small_file import replace_file
from console.places import EnginePlace, of_file
from state.api.messages import API_VERSION
from state.errors import ConfigError, Problem, RecoveryError, Refused
from state.host.processes import HeldLock, parsed_lock
from state.host.regular import bounded
from state.host.trust import require_ours, require_private_folder

PR_SET_DUMPABLE = 4  # prctl(2)
OWNER = "estate.path"
"""The file in the state folder that names the estate file whose journal is there."""
LOOK, LOOKS = 0.02, 10
"""Seconds between two attempts to lock a file, and how many there are."""
FILES = 8192
"""Files and connections this process may have open, if the host allows so many: sources and consoles use them."""


def harden() -> None:
    """No core dumps, no access to this process's memory by others of its account, new files for this account only,
    room for as many connections as the host allows."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if 0 <= soft < most else soft, hard))
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def make_private(folder: Path) -> None:
    """Make a folder for this account alone, with those above it that are missing; one that is there is judged.

    What is made is looked at again afterwards: below /tmp another account may have been faster. Nobody can change what
    has passed. Raises ConfigError when it is not ours, somebody else may write into it, or it cannot be made.
    """
    require_ours(folder, to_make=True)
    try:
        for each in (*reversed(folder.parents), folder):
            with contextlib.suppress(FileExistsError):
                each.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(
            (Problem(str(folder), 0, 0, error.strerror or "", "a folder that this account can create"),)
        ) from error
    require_private_folder(folder)


def require_own_files(folder: Path) -> None:
    """Raise ConfigError unless every file in a private folder is ours: journal, its companions, log and lock."""
    for each in sorted(folder.iterdir()):
        require_ours(each)


def lock_alone(descriptor: int) -> None:
    """Lock a file. Somebody who looks who has it holds it for an instant too. Raises OSError."""
    for _ in range(LOOKS):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class EngineLock:
    """One engine per estate and host: an flock(2) on a file that also names its process and its runtime directory."""

    def __init__(self, path: Path, runtime: Path) -> None:
        self._path = path
        self._runtime = runtime
        self._descriptor: int | None = None

    def take(self, estate: str) -> None:
        """Lock it. Raises Refused naming the process that has it, OSError when the file cannot be opened."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file", str(self._path))
        try:
            lock_alone(descriptor)
        except OSError as error:
            held = parsed_lock(os.read(descriptor, 8192), os.fstat(descriptor).st_uid)
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise Refused(
                "one engine per estate",
                f"an engine for {estate} already runs on this host, process "
                + ("unknown" if held is None else f"{held.pid}, in {held.runtime}" if held.runtime else str(held.pid)),
                "Attach with `recovery console`, or end it with `recovery engine stop`",
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, HeldLock.text(self._runtime).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def claim_state(place: EnginePlace) -> None:
    """The state folder belongs to this estate file from now on. Raises Refused while another file of the same name has
    it: a journal is of one estate, and runs of another one would be continued here. OSError from the kernel."""
    former = _owner(place.state / OWNER)
    if former is not None and _is_another(former, place):
        raise Refused(
            "one estate per journal",
            f"{place.journal} belongs to {former}, which also says `estate: {place.estate}`",
            f"Give this one another name in {place.file}; or rename that file, when this one takes its place",
        )
    if former != place.file:
        replace_file(place.state / OWNER, f"{json.dumps(str(place.file))}\n")


def _owner(known: Path) -> Path | None:
    try:
        named = json.loads(bounded(known, 8192))
    except (OSError, ValueError, RecursionError):
        return None
    return Path(named) if isinstance(named, str) else None


def _is_another(former: Path, place: EnginePlace) -> bool:
    """Whether an estate file is there, is not the one of this place, and still has its name."""
    assert place.file is not None
    try:
        return not former.samefile(place.file) and of_file(former, "").estate == place.estate
    except (OSError, RecoveryError):
        return False


def write_index(place: EnginePlace, environment: str) -> None:
    """Write the index file that consoles read: readable by everybody, written atomically."""
    content = {
        "version": API_VERSION,
        "estate": place.estate,
        "environment": environment,
        "file": str(place.file),
        "state": str(place.state),
        "pid": os.getpid(),
        "started": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
    }
    fresh = place.index.with_suffix(".new")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(place.index)
