"""Regular files, opened without waiting: a named pipe in the place of one would wait for its writer for ever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def opened(path: Path, *, links: bool = True, otherwise: str = "not a regular file") -> BinaryIO:
    """A regular file for reading, through a link or not. Raises OSError, also for what is none: `otherwise` says so."""
    how = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    descriptor = os.open(path, how if links else how | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, otherwise, str(path))
    return open(descriptor, "rb")


def bounded(path: Path, most: int) -> bytes:
    """The whole of a regular file. Raises OSError, also for one with more bytes than `most`."""
    with opened(path) as file:
        content: bytes | None = file.read(most + 1)
    if content is None:  # a file of the kernel that would be waited for
        raise OSError(errno.EAGAIN, "nothing to read now", str(path))
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes", str(path))
    return content
