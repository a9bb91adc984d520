"""An append that the disk refuses half-way, also where it begins the log anew, is nobody else's writing: appending goes
on once there is room. A log that somebody else begins anew still stops it."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from adapters.journals.sqlite import SqliteJournal
from state.errors import JournalUnavailable
from state.journal.format import Sealed, verify
from tests.support.year import Year

FEW_BYTES = 4096
"""What a file may grow to: the log's header, and no frame behind it."""
ENTRIES: list[Sealed] = [*Year(1).entries(400)]


@contextmanager
def no_room(limit: int = FEW_BYTES) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes."""
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, was[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)


def checkpointed(path: Path, mode: str = "PASSIVE") -> None:
    """A backup program empties the log into the file: the next write begins the log anew."""
    with closing(sqlite3.connect(path)) as other:
        assert other.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0] == 0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteJournal]:
    made = SqliteJournal(tmp_path / "state" / "journal.db")
    yield made
    made.close()


@pytest.mark.parametrize("emptied", [False, True], ids=["log goes on", "log begins anew"])
def test_what_the_disk_refused_half_way_is_no_strangers_writing(store: SqliteJournal, emptied: bool) -> None:
    done = 0
    for size in (1, 7, 120, 1, 60):
        store.append(ENTRIES[done : done + size])
        done += size
        if emptied:
            checkpointed(store.path)
        for tries in (1, 3):
            with no_room(), pytest.raises(JournalUnavailable) as failure:
                store.append(ENTRIES[done : done + tries])
            assert "another program" not in str(failure.value)
            store.look()
    store.append(ENTRIES[done : done + 1])
    assert verify(store.rows()).ok
    assert len(store.rows()) == done + 1


@pytest.mark.parametrize("more", [1, 24, 30, 500, 4119, 4121, 9000])
def test_the_disk_may_be_full_at_any_byte(store: SqliteJournal, more: int) -> None:
    done = 0
    for size in (1, 7, 120, 60):
        store.append(ENTRIES[done : done + size])
        done += size
        room = store.path.with_name("journal.db-wal").stat().st_size + more
        with no_room(room), pytest.raises(JournalUnavailable):
            store.append(ENTRIES[done : done + 80])
        assert len(store.rows()) == done
        store.look()
    store.append(ENTRIES[done : done + 1])
    assert verify(store.rows()).ok


def test_a_log_that_somebody_else_begins_anew_stops_appending(store: SqliteJournal) -> None:
    store.append(ENTRIES[:50])
    checkpointed(store.path)
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("PRAGMA user_version = 7")
        other.execute("PRAGMA user_version = 0")
    with pytest.raises(JournalUnavailable, match="another program wrote to the journal"):
        store.append(ENTRIES[50:51])


def test_room_for_the_next_one_forgives_no_stranger(store: SqliteJournal) -> None:
    """Once an append has succeeded, an earlier one that failed excuses nothing any more."""
    store.append(ENTRIES[:50])
    checkpointed(store.path)
    with no_room(), pytest.raises(JournalUnavailable):
        store.append(ENTRIES[50:51])
    store.append(ENTRIES[50:52])
    checkpointed(store.path)
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("PRAGMA user_version = 7")
        other.execute("PRAGMA user_version = 0")
    with pytest.raises(JournalUnavailable, match="another program wrote to the journal"):
        store.append(ENTRIES[52:53])
