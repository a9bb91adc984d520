"""A journal read from its files: nothing beside it is changed, made or removed, whatever its state.

SQLite alone does not promise that. Opened read-only it still removes the log of a file that is empty, rebuilds the
index of a log, and makes a log and an index where there are none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from adapters.journals.head_file import heads_of
from adapters.journals.layout import AFTER, HAVING, as_nothing, entries_of, foreign, prepare, require_entries
from state.errors import JournalUnavailable
from state.journal.format import Sealed

BUSY = 1.0
"""Seconds to wait for another program that has locked the file; none should."""
TRIES = 5
"""So often a read is begun again when the files change under it."""
AS_IT_STANDS = "mode=ro&immutable=1"
"""No log is looked for and no lock taken: right while there is no log, and nothing is written meanwhile."""
WITH_LOG = "mode=ro&readonly_shm=1"
"""With the log. Of the index only what another program keeps up to date is used, and it is never written to."""

Stamp = tuple[int, int, int]
"""Number, size and time of change of a file."""


def beside(path: Path, suffix: str) -> Path:
    """A file that SQLite keeps beside another: its log `-wal`, its index `-shm`."""
    return path.with_name(path.name + suffix)


def require_content(path: Path) -> None:
    """Raises JournalUnavailable for a log with content whose journal is empty or gone: SQLite removes such a log as it
    opens the journal."""
    log = beside(path, "-wal")
    bytes_of_log = _size(log)
    if bytes_of_log and not _size(path):
        state = "is empty" if path.exists() else "is not there"
        raise JournalUnavailable(
            f"{path} {state}, but its log has {bytes_of_log} bytes. Opening it would remove the log, the only copy of "
            f"what is in it: save {log.name} first, then move it away or put the right {path.name} back"
        )


class JournalFile:
    """A journal read straight from its file, without its engine and while one writes. It changes nothing.

    `foreign` is what of it is not of this program, empty when nothing. Raises JournalUnavailable when the file cannot
    be read or is no journal.
    """

    def __init__(self, path: Path, runtime: Path | None = None) -> None:
        self.path, self.foreign = path, ""
        self._heads = heads_of(path, runtime)
        self._left = contextlib.ExitStack()
        self._open()
        try:
            self._read("SELECT seq FROM entries LIMIT 1")
        except JournalUnavailable:
            self.close()
            raise

    def rows(self, after: int = 0, limit: int = -1) -> Sequence[Sealed]:
        """Entries with seq > after, in order."""
        return list(entries_of(self._read(AFTER, after, limit)))

    def having(self, header: bytes, payload: bytes) -> Sequence[Sealed]:
        """Entries with these bytes in their header, and in their payload."""
        return list(entries_of(self._read(HAVING, header, payload)))

    def head(self) -> int:
        """The seq of the last entry; 0 when there is none."""
        return int(self._read("SELECT max(seq) FROM entries")[0][0] or 0)

    def missing(self) -> str:
        """What was recorded once and is not in this file, or what is in it that is no part of a journal; empty when
        nothing is known of either."""

        def hash_of(seq: int) -> bytes | None:
            rows = self.rows(seq - 1, 1)
            return rows[0].hash if rows and rows[0].seq == seq else None

        return self.foreign or next(filter(None, (head.missing(hash_of) for head in self._heads)), "")

    def close(self) -> None:
        """Close the file."""
        self._left.close()

    def _open(self) -> None:
        require_content(self.path)
        self._seen = self._stamps()
        file, how, self._settled = self.path, AS_IT_STANDS, True
        try:
            if _size(beside(self.path, "-wal")):
                if beside(self.path, "-shm").exists():
                    how, self._settled = WITH_LOG, False
                else:
                    file, how = self._copied(), "mode=rw"
            uri = f"file:{quote(str(file.absolute()))}?{how}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY)
            self._left.callback(self._db.close)
            self._db.execute("PRAGMA query_only=ON")
            prepare(self._db)
            require_entries(self._db, self.path)
            self.foreign = foreign(self._db, self.path)
            self._db.text_factory = as_nothing
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise JournalUnavailable(f"{self.path}: {error}") from error

    def _copied(self) -> Path:
        """A copy of the file and of its log, for a log that lost its index: reading it makes a new one."""
        folder = Path(self._left.enter_context(TemporaryDirectory(prefix="recovery-journal-")))
        copy = folder / self.path.name
        shutil.copyfile(self.path, copy)
        shutil.copyfile(beside(self.path, "-wal"), beside(copy, "-wal"))
        return copy

    def _read(self, query: str, *values: int | bytes) -> list[tuple[Any, ...]]:
        """What the files have at one moment: they are opened anew when they changed since."""
        trouble: sqlite3.Error | None = None
        for _ in range(TRIES):
            if self._stamps() != self._seen:
                self.close()
                self._open()
            trouble, found = None, []
            try:
                found = self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                trouble = error
            if self._stamps() == self._seen or not (self._settled or trouble):
                break
        else:
            trouble = trouble or sqlite3.Error("it changes while it is read")
        if trouble is not None:
            raise JournalUnavailable(f"{self.path}: {trouble}") from trouble
        return found

    def _stamps(self) -> tuple[Stamp | None, Stamp | None]:
        return _stamp(self.path), _stamp(beside(self.path, "-wal"))


def _stamp(path: Path) -> Stamp | None:
    try:
        seen = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalUnavailable(f"{path}: {error.strerror}") from error
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


def _size(path: Path) -> int:
    return (_stamp(path) or (0, 0, 0))[1]
