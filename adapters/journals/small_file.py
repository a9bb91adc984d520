"""Small files beside a journal, each replaced as a whole."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """Make a file have this text, durably and for its owner alone; before, it has its former one. Raises OSError."""
    fresh = path.with_name(f"{path.name}-new")
    fresh.unlink(missing_ok=True)  # what a killed engine left, or a pipe or a link that waits there
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def content_of(path: Path, most: int) -> bytes:
    """The beginning of a regular file. A named pipe in its place would wait for a writer for ever. Raises OSError, also
    for what is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is no regular file: look who put it there, and remove it", str(path))
        return file.read(most)


LARGEST = 64 * 1024 * 1024
"""Bytes that are read of one."""


def keep_text(path: Path, text: str) -> bool:
    """Make a file have this text; whether it has."""
    try:
        replace_file(path, text)
    except OSError:
        return False
    return True


def kept_text(path: Path) -> str:
    """The text of a file, empty when it cannot be read."""
    try:
        return content_of(path, LARGEST).decode("ascii", "replace")
    except OSError:
        return ""
