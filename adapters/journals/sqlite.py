"""The journal in SQLite: write-ahead log, `synchronous=FULL`, updates and deletes refused by trigger.

Before each append, and at each look in between, the files must still be those that were opened (same inode, linked,
not cut short, writable, as they were left by the last append) and the disk must have space; otherwise
JournalUnavailable, and no effect starts. A checkpoint by a backup program changes no entry: then everything is read
again from the disk and checked, and appending goes on.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from stat import S_IWGRP, S_IWOTH, S_IWUSR

from adapters.journals.disk import Disk, DiskState
from adapters.journals.head_file import heads_of
from adapters.journals.layout import AFTER, as_nothing, entries_of, erase, foreign, make, prepare, require_entries
from adapters.journals.layout import made as statements_of
from adapters.journals.reading import BUSY, JournalFile, beside, require_content
from adapters.journals.small_file import keep_text, kept_text
from adapters.journals.stops_file import StopsFile
from state.errors import ConfigError, JournalUnavailable
from state.host.trust import require_private_folder
from state.journal.format import GENESIS, Sealed, Verifier

FREE_FLOOR = 16 * 1024 * 1024
"""Bytes that must be free before an append, so that ending and stopping can still be recorded."""
AT_ONCE = 20_000
"""Entries that are checked before an append when another program touched the files; a longer journal is checked by the
next look, and until then nothing is appended."""
PAGE = 2000
"""Entries read at a time."""
CACHE = 512
"""KiB of pages that SQLite may keep: entries are appended, and are read past this connection."""
WRITABLE = S_IWUSR | S_IWGRP | S_IWOTH
INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?)"
SOME = "SELECT seq, header, hash, salt, payload FROM entries WHERE seq IN ({}) ORDER BY seq"
WROTE = "another program wrote to the journal"


class SqliteJournal:
    """A `state.journal.store.JournalStore` in one file. Raises JournalUnavailable when it cannot be opened.

    `runtime` is a folder apart from the journal's: the last entry is named there too, so that an older copy of the
    journal's whole folder is known. The engine's loop appends and its journal thread looks, one at a time.
    """

    def __init__(self, path: Path, runtime: Path | None = None) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            require_content(path)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise JournalUnavailable(f"{path}: {error}") from error
        self._busy = threading.Lock()
        self._suspect = False
        self._refused: tuple[tuple[int, DiskState] | None, str] = (None, "")
        self._last = self.head()
        self._heads, self._stops = heads_of(path, runtime), StopsFile(path)
        self.missing = next(filter(None, (each.missing(self._hash_of) for each in self._heads)), "")
        self._name()
        self._tell_head()

    def _open(self) -> None:
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=BUSY)
        try:
            prepare(self._db)
            if not statements_of(self._db):
                self._db.execute("PRAGMA journal_mode=WAL")
                make(self._db)
            require_entries(self._db, self.path)
            self._foreign = foreign(self._db, self.path)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.execute(f"PRAGMA cache_size=-{CACHE}")
            self._db.text_factory = as_nothing
            self._version = self._data_version()
            # The newest entries are in the log until a checkpoint; both are read through the index.
            log, index = beside(self.path, "-wal"), beside(self.path, "-shm")
            self._inodes = {file: os.stat(file).st_ino for file in (self.path, log, index)}
            self._disk = Disk(self.path, log)
            self._seen = self._disk.see()
        except BaseException:
            self._db.close()
            raise

    def append(self, entries: Sequence[Sealed]) -> None:
        """Commit all entries in one durable transaction."""
        with self._busy:
            self._guard()
            self._insert([(e.seq, e.header, e.hash, e.salt, e.payload) for e in entries])
            self._last = (entries[-1].seq, entries[-1].hash)
            self._require_last()
            self._name()

    def look(self) -> None:
        """Whether what was recorded is there, and the next entry could be. Raises JournalUnavailable."""
        try:
            require_private_folder(self.path.parent)
        except ConfigError as error:
            raise JournalUnavailable(str(error)) from error
        with self._busy:
            self._require_files()
            touched, suspect = self._touched(), self._suspect
            if self._last[0] <= AT_ONCE or not (touched or suspect) or (touched and self._is_refused(touched)):
                self._guard()
                self._tell_head()
                return
            last, broken = self._last, "" if touched else self._disk.broken(self._seen.frames)
        if touched:
            self._read_again(touched)  # nothing is appended meanwhile, and nobody waits
        else:
            self._prove(last, broken)  # entries are appended meanwhile

    def _read_again(self, touched: tuple[int, DiskState]) -> None:
        try:
            self._check(touched[1])
        except JournalUnavailable as error:
            self._refused = (touched, str(error))
            raise
        with self._busy:
            self._accept(touched)

    def _prove(self, last: tuple[int, bytes], broken: str) -> None:
        """The entries up to this one are those that were recorded. If not, none is appended any more."""
        try:
            problem = broken or self._stored(last, growing=True)
        except JournalUnavailable as error:
            problem = str(error)
        with self._busy:
            self._suspect = False
            if problem:
                self._foreign = f"{self.path}: {WROTE}: {problem}"
                raise JournalUnavailable(self._foreign)
            self._guard()
            self._suspect = False  # reading it changes times too, for root

    def rows(self, after: int = 0, limit: int = -1) -> Sequence[Sealed]:
        """Entries with seq > after, in order."""
        try:
            return list(entries_of(self._db.execute(AFTER, (after, limit))))
        except sqlite3.Error as error:
            raise JournalUnavailable(f"{self.path}: {error}") from error

    def some(self, seqs: Sequence[int]) -> Sequence[Sealed]:
        """Those entries, in order."""
        marks = ", ".join("?" * len(seqs))
        try:
            return list(entries_of(self._db.execute(SOME.format(marks), seqs)))
        except sqlite3.Error as error:
            raise JournalUnavailable(f"{self.path}: {error}") from error

    def having(self, header: bytes, payload: bytes = b"") -> Sequence[Sealed]:
        """Entries with these bytes, read by another connection: this one is not held up meanwhile."""
        with contextlib.closing(JournalFile(self.path)) as stored:
            return stored.having(header, payload)

    def erase(self, seqs: Sequence[int]) -> None:
        """Erase payloads and salts: the trigger against it is away within the transaction only, and the freed bytes are
        overwritten. Of no entries: empty the log, which still has them."""
        with self._busy:
            self._guard()
            try:
                if seqs:
                    erase(self._db, seqs)
                else:
                    self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise JournalUnavailable(f"{self.path}: {error}") from error
            self._require_last()

    def keep_checkpoint(self, text: str) -> bool:
        """Keep it in `journal.checkpoint`."""
        return keep_text(self.path.with_suffix(".checkpoint"), text)

    def kept_checkpoint(self) -> str:
        """What `journal.checkpoint` has."""
        return kept_text(self.path.with_suffix(".checkpoint"))

    def forget(self) -> None:
        """Forget what was read: what is read from now on comes from the disk."""
        with self._busy, contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA shrink_memory")

    def head(self) -> tuple[int, bytes]:
        """The last entry's seq and hash."""
        try:
            row = self._db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise JournalUnavailable(f"{self.path}: {error}") from error
        return (int(row[0]), row[1] if type(row[1]) is bytes else b"") if row else (0, GENESIS)

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
            self._disk.close()
            for head in self._heads:
                head.close()

    def _insert(self, rows: Sequence[tuple[int, bytes, bytes, bytes, bytes]]) -> None:
        try:
            if len(rows) == 1:  # one statement is a transaction of its own
                kept = self._db.execute(INSERT, rows[0]).rowcount
            else:
                self._db.execute("BEGIN IMMEDIATE")
                kept = sum(self._db.execute(INSERT, row).rowcount for row in rows)
                self._db.execute("COMMIT" if kept == len(rows) else "ROLLBACK")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise JournalUnavailable(f"{self.path}: {error}") from error
        if kept != len(rows):
            raise JournalUnavailable(f"{self.path}: {WROTE}: of {len(rows)} new entries it kept {kept}")

    def _require_last(self) -> None:
        """What was just written must be the last entry. Afterwards the files are known as this append has left them."""
        if self.head() != self._last:
            raise JournalUnavailable(f"{self.path}: {WROTE}: entry {self._last[0]} is not there after it was written")
        with contextlib.suppress(OSError):  # whatever took a file away is told at the next look
            self._seen = self._disk.see()

    def _save(self) -> None:
        """A copy of what is still readable, `journal.saved-NUMBER.db`, unless there is no way to make one."""
        saved = self.path.with_name(f"{self.path.stem}.saved-{self._last[0]}.db")
        if saved.exists():
            return
        try:
            self._db.execute("VACUUM INTO ?", (str(saved),))
        except sqlite3.Error:  # no room, or the disk has lost part of it: half a copy helps nobody
            saved.unlink(missing_ok=True)

    def _name(self) -> None:
        """Name the last entry outside of the journal."""
        if not self.missing:
            for head in self._heads:
                head.write(*self._last)

    def _tell_head(self) -> None:
        if not self.missing:
            for head in self._heads:
                head.keep()

    def _guard(self) -> None:
        self._require_files()
        touched = self._touched()
        if touched is None:
            return
        if self._is_refused(touched):
            raise JournalUnavailable(self._refused[1])
        if self._last[0] > AT_ONCE and touched[0] == self._version and touched[1].is_as(self._seen):
            self._seen, self._suspect = touched[1], True  # only looked at, as it seems: the next look reads it
            return
        if self._last[0] > AT_ONCE:
            raise JournalUnavailable(f"{self.path}: {WROTE}, or touched it: it is being read again from the disk")
        self._check(touched[1])
        if not self._accept(touched):
            raise JournalUnavailable(f"{self.path}: {WROTE} while it was read")

    def _is_refused(self, touched: tuple[int, DiskState]) -> bool:
        """Whether these files were read and are not those that were recorded."""
        before = self._refused[0]
        return before is not None and before[0] == touched[0] and before[1].is_as(touched[1])

    def _accept(self, checked: tuple[int, DiskState]) -> bool:
        """The files were checked: they count as they are now, unless something was written meanwhile."""
        now = self._touched()
        if now is None:
            return True
        if now[0] != checked[0] or not now[1].is_as(checked[1]):
            return False
        self._version, self._seen = now
        return True

    def _require_files(self) -> None:
        if self._foreign:
            raise JournalUnavailable(self._foreign)
        try:
            for file, inode in self._inodes.items():
                if os.stat(file).st_ino != inode:
                    raise JournalUnavailable(f"{file}: another file has replaced the journal")
            room = os.statvfs(self.path)
            writable = os.stat(self.path).st_mode & WRITABLE and os.access(self.path, os.W_OK)
        except OSError as error:
            message = f"{error.filename}: {error.strerror}; the open file was removed"
            raise JournalUnavailable(message) from error
        if not writable:
            raise JournalUnavailable(f"{self.path}: the journal was made read-only")
        if room.f_bavail * room.f_frsize < FREE_FLOOR:
            free = room.f_bavail * room.f_frsize // 1_000_000
            raise JournalUnavailable(f"{self.path}: disk full, {free} MB free of at least {FREE_FLOOR // 1_000_000}")

    def _touched(self) -> tuple[int, DiskState] | None:
        """The files as they are, when they are not as the last append has left them."""
        try:
            version, seen = self._data_version(), self._disk.see()
        except (sqlite3.Error, OSError) as error:
            raise JournalUnavailable(f"{self.path}: {error}") from error
        return None if (version, seen) == (self._version, self._seen) else (version, seen)

    def _check(self, seen: DiskState) -> None:
        """Another program changed a file: what was recorded must still be there, and nothing more. It is read by other
        means than this connection: that may still remember what the disk has no more."""
        then = self._seen
        if seen.file[1] < then.file[1]:
            raise JournalUnavailable(f"{self.path}: cut short, {seen.file[1]} bytes of {then.file[1]}")
        same = seen.frames.header == then.frames.header
        if same and (seen.frames.frames < then.frames.frames or seen.log[1] < then.frames.size):
            raise JournalUnavailable(f"{self.path}: its log is cut short, {seen.log[1]} bytes of {then.frames.size}")
        problem = ""
        try:
            problem = self._disk.broken(seen.frames) or self._stored(self._last)
        except OSError as error:
            problem = str(error)
        if not (problem or same) and seen.frames.header:
            problem = "its log was begun anew"
        if problem or (same and seen.frames != then.frames):
            raise JournalUnavailable(f"{self.path}: {WROTE}: {problem or 'its log has more than was written'}")

    def _stored(self, last: tuple[int, bytes], *, growing: bool = False) -> str:
        """What is wrong with the entries that the disk has up to the last one, and with more than these unless they are
        `growing`; empty when they are those that were recorded."""
        (count, head), verifier = last, Verifier()
        with contextlib.closing(JournalFile(self.path)) as stored:
            if stored.foreign:
                raise JournalUnavailable(stored.foreign)
            while verifier.feed(page := stored.rows(verifier.entries, min(PAGE, count - verifier.entries))) and page:
                time.sleep(0)  # this may be a thread beside the loop
            there = count if growing else stored.head()
        found = verifier.finish(head)
        return found.problem or ("" if there == count else f"its last entry is {there}, not {count}")

    def _hash_of(self, seq: int) -> bytes | None:
        found = self.rows(seq - 1, 1)
        return found[0].hash if found and found[0].seq == seq else None

    def _data_version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])
