"""The session log as files of one day each, beside the journal: bounded in size and age, never the disk's last room."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from adapters.journals.small_file import content_of

DAYS = 90
LARGEST = 8 << 20
"""Bytes of one file; a day with more goes on in another one."""
MOST = 64 << 20
"""Bytes of all files."""
ROOM = 64 << 20
"""Bytes that stay free for the journal."""
DAY = 86_400.0


class SessionFiles:
    """Fulfils KeepsSessions in a folder of its own, which only this account can read."""

    def __init__(self, folder: Path, *, most: int = MOST, largest: int = LARGEST, room: int = ROOM) -> None:
        self._folder, self._most, self._largest, self._room = folder, most, largest, room

    def append(self, lines: Sequence[bytes], now: float) -> None:
        """Append to the file of this day. Not synced: these lines prove nothing, and may be lost with the power."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        free = os.statvfs(self._folder)
        if free.f_bavail * free.f_frsize < self._room:
            raise OSError(errno.ENOSPC, "too little room is left: it is kept for the journal")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(self._place(now), flags, 0o600), "ab", buffering=0) as file:
            file.write(b"".join(lines))
        self._forget(now)

    def read(self) -> bytes:
        """All files, the oldest first."""
        return b"".join(content_of(path, 2 * self._largest) for path in self._files())

    def _place(self, now: float) -> Path:
        """The file for this time: the last of its day while it is small enough."""
        day = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
        numbers = [
            int(path.stem[11:]) for path in self._files() if path.name.startswith(day) and path.stem[11:].isdigit()
        ]
        number = max(numbers, default=1)
        last = self._folder / f"{day}-{number:03}.ndjson"
        if numbers and last.stat().st_size >= self._largest:
            return self._folder / f"{day}-{number + 1:03}.ndjson"
        return last

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("????-??-??-???.ndjson")) if self._folder.is_dir() else []

    def _forget(self, now: float) -> None:
        """Remove what is too old, then the oldest of what is too much; the newest file stays."""
        files = self._files()
        oldest = datetime.fromtimestamp(now - DAYS * DAY, UTC).strftime("%Y-%m-%d")
        sizes = {path: path.stat().st_size for path in files}
        left = sum(sizes.values())
        for path in files[:-1]:
            if path.name[:10] < oldest or left > self._most:
                left -= sizes[path]
                path.unlink(missing_ok=True)
