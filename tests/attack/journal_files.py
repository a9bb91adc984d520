"""What somebody does to the files of a journal, for the attacks on it."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from adapters.journals.sqlite import SqliteJournal
from state.engine.events import Heartbeat
from state.journal.events import Event
from state.journal.format import Sealer

Attack = Callable[[Path], None]


def filled(store: SqliteJournal, count: int) -> None:
    sealer, (seq, head) = Sealer("h", "b"), store.head()
    for at in range(seq + 1, seq + count + 1):
        entry = sealer.seal(Event(Heartbeat("x" * 600), "e"), seq=at, previous=head, at=1.0, mono=1.0)
        store.append([entry])
        head = entry.hash


def told(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for statement in statements:
            other.execute(statement)


def erased(journal: Path) -> None:
    told(
        journal,
        "DROP TRIGGER entries_stay",
        "UPDATE entries SET payload = x'', salt = x'' WHERE seq = 3",
        "CREATE TRIGGER entries_stay BEFORE UPDATE ON entries\n"
        "    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    )


def by_name(attack: Attack) -> str:
    return attack.__name__


def keeping_times(path: Path, work: Callable[[], None]) -> None:
    seen = path.stat()
    work()
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
