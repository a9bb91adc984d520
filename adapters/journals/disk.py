"""A journal's file and its log as the disk has them, read through descriptors of their own and not by SQLite, which
remembers what it has read.

Format: https://www.sqlite.org/fileformat2.html. The descriptors stay open as long as SQLite's: closing one of them
would take away the locks that the process has on the file.
"""

from __future__ import annotations

import os
import sys
from array import array
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from struct import unpack

HEADER, FRAME = 32, 24
"""Bytes of the log's header, and of the header of each frame."""
FIRST = 100
"""Bytes of the file's header."""
BIG, LITTLE = 0x377F0683, 0x377F0682
"""What a log begins with, by the order of bytes in which its sums are made."""


@dataclass(frozen=True, slots=True)
class LogState:
    """The log: its header, how many frames are committed, and the header of the last of these."""

    header: bytes = b""
    frames: int = 0
    last: bytes = b""

    @property
    def page(self) -> int:
        """Bytes of a page."""
        return int(unpack(">I", self.header[8:12])[0]) if self.header else 0

    @property
    def size(self) -> int:
        """Bytes that the log has at least."""
        return HEADER + self.frames * (FRAME + self.page) if self.header else 0


@dataclass(frozen=True, slots=True)
class DiskState:
    """Both files: number, size and time of each, the beginning of the file, and the log. `changed` are the times of
    change of their inodes: nobody can set them back, but an account like root also changes them when it reads."""

    file: tuple[int, ...]
    log: tuple[int, ...]
    first: bytes
    frames: LogState
    changed: tuple[int, int]

    def is_as(self, other: DiskState) -> bool:
        """Whether nothing was written in between, as far as reading both has shown."""
        return replace(self, changed=other.changed) == other


class Disk:
    """Reads both files."""

    def __init__(self, file: Path, log: Path) -> None:
        how = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(file, how)
        try:
            self._log = os.open(log, how)
        except OSError:
            os.close(self._file)
            raise
        self._known = LogState()

    def see(self) -> DiskState:
        """Both as they are now. Raises OSError."""
        file, log = os.fstat(self._file), os.fstat(self._log)
        self._known = self._committed(self._known)
        return DiskState(
            (file.st_ino, file.st_size, file.st_mtime_ns),
            (log.st_ino, log.st_size, log.st_mtime_ns),
            os.pread(self._file, FIRST, 0),
            self._known,
            (file.st_ctime_ns, log.st_ctime_ns),
        )

    def _committed(self, known: LogState) -> LogState:
        """What is committed in the log; of a log that is known, only what came since is looked at."""
        header = os.pread(self._log, HEADER, 0)
        if len(header) < HEADER:
            return LogState()
        if header != known.header:
            known = LogState(header)
        if known.frames and os.pread(self._log, FRAME, self._place(known, known.frames)) != known.last:
            known = LogState(header)
        number, frames, last = known.frames, known.frames, known.last
        while len(frame := os.pread(self._log, FRAME, self._place(known, number + 1))) == FRAME:
            if frame[8:16] != header[16:24]:
                break  # of a log before this one
            number += 1
            if frame[4:8] != bytes(4):
                frames, last = number, frame
        return LogState(header, frames, last)

    @staticmethod
    def _place(log: LogState, number: int) -> int:
        return HEADER + (number - 1) * (FRAME + log.page)

    def broken(self, known: LogState) -> str:
        """Which frame of the log, which is known to be so, is not as it was written, by its sum: after a crash SQLite
        would leave out everything from there on. Empty when none is. Raises OSError."""
        log = self._committed(LogState())
        if log.frames < known.frames:
            return f"frame {log.frames + 1} of the log is not as it was written"
        if not log.header:
            return ""
        content = os.pread(self._log, log.size, 0)
        order = "big" if unpack(">I", content[:4])[0] == BIG else "little"
        sums = _sums(content[:24], order, (0, 0))
        if sums != unpack(">II", content[24:32]):
            return "the log's header is not as it was written"
        for number in range(1, log.frames + 1):
            at = self._place(log, number)
            if len(content) < at + FRAME + log.page:
                return f"frame {number} of the log is cut short"
            sums = _sums(content[at : at + 8] + content[at + FRAME : at + FRAME + log.page], order, sums)
            if sums != unpack(">II", content[at + 16 : at + FRAME]):
                return f"frame {number} of the log is not as it was written"
        return ""

    def close(self) -> None:
        """Close both; after SQLite has."""
        os.close(self._file)
        os.close(self._log)


def _sums(content: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    words = array("I")
    words.frombytes(content)
    if order != sys.byteorder:
        words.byteswap()
    first, second = sums
    for one, other in zip(islice(words, 0, None, 2), islice(words, 1, None, 2), strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
