"""The directory of a lab: who owns it, and whether a lab runs in it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from adapters.lab.errors import LabError
from state.host.trust import offence

LOCK = "lab.lock"
PROGRESS = "progress.jsonl"
LOG = "lab.log"
LONGEST = 24
"""Bytes of a path below which all of a lab's sockets have short enough ones."""


def scratch() -> Path:
    """Where labs keep what lasts as long as they do: the folder for temporary files, unless paths of sockets below it
    could become too long, or somebody else could rename what is in it."""
    usual = Path(tempfile.gettempdir())
    fits = len(os.fsencode(usual)) <= LONGEST and offence(usual) is None
    return usual if fits else Path("/tmp")  # noqa: S108 - what is made there is 0700


def prepare_directory(directory: Path) -> None:
    """Create the directory for this user alone. Raises LabError when others own it or may write to it."""
    if (found := offence(directory, to_make=True)) is not None:
        raise LabError(str(found))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (found := offence(directory)) is not None:
        raise LabError(str(found))
    status = directory.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022 or directory.is_symlink():
        raise LabError(f"{directory} must be a directory, no symbolic link, that only this user owns and may write")


def lock(directory: Path) -> int | None:
    """Lock the directory for this process. None when another lab has locked it."""
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_locked(directory: Path) -> bool:
    """Whether a lab's keeper has locked the directory."""
    if not (directory / LOCK).exists():
        return False
    descriptor = lock(directory)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
