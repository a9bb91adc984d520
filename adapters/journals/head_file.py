"""The last entry that was recorded, in a small file apart from the journal: it shows that a journal lacks what it had.

A chain that was cut short, an older copy and an empty new file are all valid by themselves. The file is written after
an entry is durable, so it never names one that was not; it is written with every entry, in place, so that it is right
after a kill, and made durable once a second.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from adapters.journals.small_file import content_of, replace_file
from state.errors import JournalUnavailable

LINE = re.compile(r"([0-9]{1,18}) ([0-9a-f]{64})\n")
LONGEST = 128
"""Bytes that are read of it."""
NEVER = -1
"""No descriptor."""


class HeadFile:
    """Number and hash of the last entry of one journal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open, self._named = NEVER, ""

    def missing(self, hash_of: Callable[[int], bytes | None]) -> str:
        """Why a journal is not the one that was recorded, empty when it is. `hash_of` is the hash of an entry of it."""
        try:
            found = LINE.fullmatch(content_of(self.path, LONGEST).decode("ascii", "replace"))
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{self.path}: {error.strerror}"
        if found is None:
            return f"{self.path} does not name the last entry"
        seq, recorded = int(found[1]), bytes.fromhex(found[2])
        there = hash_of(seq) if seq else recorded
        if there == recorded:
            return ""
        what = "is not there any more" if there is None else "is another one now"
        return (
            f"entry {seq} was recorded and {what} ({self.path} names it): the journal was removed, cut short, or "
            "replaced by another copy"
        )

    def write(self, seq: int, digest: bytes) -> None:
        """Name the last entry. Its bytes are of one length, so that they are replaced in place; whatever fails here is
        told by `keep`."""
        self._named = f"{seq:018d} {digest.hex()}\n"
        if self._open != NEVER:
            with contextlib.suppress(OSError):
                os.pwrite(self._open, self._named.encode(), 0)

    def keep(self) -> None:
        """Make it durable, in the file that has its name now. Raises JournalUnavailable."""
        if not self._named:
            return
        try:
            if self._open != NEVER and self._is_there():
                os.fdatasync(self._open)
                return
            self.close()
            replace_file(self.path, self._named)
            self._open = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise JournalUnavailable(f"{self.path}: {error.strerror}") from error

    def _is_there(self) -> bool:
        mine = os.fstat(self._open)
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return False
        same = (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)
        return same and os.pread(self._open, LONGEST, 0) == self._named.encode()

    def close(self) -> None:
        """Close the file."""
        if self._open != NEVER:
            os.close(self._open)
            self._open = NEVER


def heads_of(path: Path, runtime: Path | None = None) -> tuple[HeadFile, ...]:
    """Where the last entry of a journal is named: beside it, and in the runtime folder, which no backup has."""
    beside_it = HeadFile(path.with_suffix(".head"))
    if runtime is None:
        return (beside_it,)
    name = sha256(str(path.absolute()).encode()).hexdigest()[:16]
    return (beside_it, HeadFile(runtime / f"journal-{name}.head"))
