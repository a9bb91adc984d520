"""The journal in SQLite: write-ahead log, `synchronous=FULL`, updates and deletes refused by trigger.

Before each append, and at each look in between, the files must still be those that were opened (same inode, linked,
not cut short, writable, written by no other program) and the disk must have space; otherwise JournalUnavailable, and
no effect starts. A checkpoint by a backup program changes no entry: then the chain is read again from the disk and
checked, and appending goes on.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_IWGRP, S_IWOTH, S_IWUSR

from adapters.journals.head_file import HeadFile
from adapters.journals.reading import BUSY, ROWS, JournalFile, beside, require_content
from adapters.journals.stops_file import StopsFile
from state.errors import JournalUnavailable
from state.journal.format import GENESIS, Sealed, verify

FREE_FLOOR = 16 * 1024 * 1024
"""Bytes that must be free before an append, so that ending and stopping can still be recorded."""

CHECKED = 200_000
"""Entries up to which the chain is checked before an append, in one to two seconds; a longer journal stays
unavailable until the engine starts again."""

WRITABLE = S_IWUSR | S_IWGRP | S_IWOTH

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY, header BLOB NOT NULL, hash BLOB NOT NULL, salt BLOB NOT NULL, payload BLOB NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS entries_keep BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""


Stamps = tuple[tuple[int, int], tuple[int, int]]
"""Size and time of change of the file and of its log: equal while nobody writes."""


class SqliteJournal:
    """A `state.journal.store.JournalStore` in one file. Raises JournalUnavailable when it cannot be opened.

    The engine's loop appends and its journal thread looks, one at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            require_content(path)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(SCHEMA)
            self._version = self._data_version()
            # The newest entries are in the log until a checkpoint; both are read through the index.
            self._inodes = {file: os.stat(file).st_ino for file in (path, beside(path, "-wal"), beside(path, "-shm"))}
            self._seen = self._stamps()
        except (OSError, sqlite3.Error) as error:
            raise JournalUnavailable(f"{path}: {error}") from error
        self._busy = threading.Lock()
        self._last = self.head()
        self._head_file, self._stops = HeadFile(path), StopsFile(path)
        self._told: tuple[int, bytes] | None = None
        self.missing = self._head_file.missing(self._hash_of)

    def append(self, entries: Sequence[Sealed]) -> None:
        """Commit all entries in one durable transaction."""
        with self._busy:
            self._append(entries)

    def look(self) -> None:
        """Whether what was recorded is there, and the next entry could be. Raises JournalUnavailable."""
        with self._busy:
            self._guard()
            self._tell_head()

    def _append(self, entries: Sequence[Sealed]) -> None:
        self._guard()
        rows = [(e.seq, e.header, e.hash, e.salt, e.payload) for e in entries]
        insert = "INSERT INTO entries VALUES (?, ?, ?, ?, ?)"
        try:
            if len(rows) == 1:  # one statement is a transaction of its own
                self._db.execute(insert, rows[0])
            else:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(insert, rows)
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise JournalUnavailable(f"{self.path}: {error}") from error
        self._last = (entries[-1].seq, entries[-1].hash)
        with contextlib.suppress(OSError):  # whatever took the file away is told at the next look
            self._seen = self._stamps()

    def rows(self, after: int = 0, limit: int = -1) -> Sequence[Sealed]:
        """Entries with seq > after, in order."""
        try:
            return list(self._rows(after, limit))
        except sqlite3.Error as error:
            raise JournalUnavailable(f"{self.path}: {error}") from error

    def head(self) -> tuple[int, bytes]:
        """The last entry's seq and hash."""
        try:
            row = self._db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise JournalUnavailable(f"{self.path}: {error}") from error
        return (int(row[0]), bytes(row[1])) if row else (0, GENESIS)

    def keep_stops(self, runs: Sequence[str]) -> bool:
        """Name runs whose stop is not recorded in `journal.stops`; whether that is durable."""
        return self._stops.keep(runs)

    def kept_stops(self) -> Sequence[str]:
        """The runs that `journal.stops` names."""
        return self._stops.kept()

    def close(self) -> None:
        """Close the file. Entries that are only in the open file, because it was taken away, are saved beside it."""
        with self._busy:
            try:
                self._guard()
                self._tell_head()
            except JournalUnavailable:
                self._save()
            self._db.close()

    def _save(self) -> None:
        """A copy of what is still readable, `journal.saved-NUMBER.db`, unless there is no way to make one."""
        saved = self.path.with_name(f"{self.path.stem}.saved-{self._last[0]}.db")
        if saved.exists():
            return
        try:
            self._db.execute("VACUUM INTO ?", (str(saved),))
        except sqlite3.Error:  # no room, or the disk has lost part of it: half a copy helps nobody
            saved.unlink(missing_ok=True)

    def _tell_head(self) -> None:
        if not self.missing and self._told != self._last:
            self._head_file.write(*self._last)
            self._told = self._last

    def _guard(self) -> None:
        try:
            for file, inode in self._inodes.items():
                if os.stat(file).st_ino != inode:
                    raise JournalUnavailable(f"{file}: another file has replaced the journal")
            seen, room = self._stamps(), os.statvfs(self.path)
            writable = os.stat(self.path).st_mode & WRITABLE and os.access(self.path, os.W_OK)
        except OSError as error:
            message = f"{error.filename}: {error.strerror}; the open file was removed"
            raise JournalUnavailable(message) from error
        if not writable:
            raise JournalUnavailable(f"{self.path}: the journal was made read-only")
        if seen[0][0] < self._seen[0][0]:
            raise JournalUnavailable(f"{self.path}: cut short, {seen[0][0]} bytes of {self._seen[0][0]}")
        if room.f_bavail * room.f_frsize < FREE_FLOOR:
            free = room.f_bavail * room.f_frsize // 1_000_000
            raise JournalUnavailable(f"{self.path}: disk full, {free} MB free of at least {FREE_FLOOR // 1_000_000}")
        try:
            version = self._data_version()
            if (version, seen) != (self._version, self._seen):
                self._check()
                self._version, self._seen = version, seen
        except sqlite3.Error as error:
            raise JournalUnavailable(f"{self.path}: {error}") from error

    def _check(self) -> None:
        """Another program changed a file: what was recorded must still be there, and nothing more. It is read through
        another connection: this one may still remember what the disk has no more."""
        count, head = self._last
        if count <= CHECKED:
            with contextlib.closing(JournalFile(self.path)) as stored:
                found = verify(stored.rows())
            if found.ok and (found.entries, found.head) == (count, head):
                return
        raise JournalUnavailable(f"{self.path}: another program wrote to the journal")

    def _rows(self, after: int, limit: int) -> Iterator[Sealed]:
        return (Sealed(*row) for row in self._db.execute(ROWS, (after, limit)))

    def _hash_of(self, seq: int) -> bytes | None:
        found = self.rows(seq - 1, 1)
        return found[0].hash if found and found[0].seq == seq else None

    def _stamps(self) -> Stamps:
        def stamp(path: Path) -> tuple[int, int]:
            seen = os.stat(path)
            return seen.st_size, seen.st_mtime_ns

        return stamp(self.path), stamp(beside(self.path, "-wal"))

    def _data_version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
