"""Rows before the first entry, put into the journal's file while no engine runs (kind 5)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from adapters.journals.reading import JournalFile
from adapters.journals.sqlite import SqliteJournal
from state.engine.events import Heartbeat
from state.errors import JournalUnavailable
from state.journal.events import Event
from state.journal.format import GENESIS, Sealer

FORGED = "INSERT INTO entries SELECT ?, header, hash, salt, payload FROM entries WHERE seq = 2"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A closed journal of three entries."""
    path, sealer, head = tmp_path / "journal.db", Sealer("h", "b"), GENESIS
    with closing(SqliteJournal(path)) as store:
        for seq in (1, 2, 3):
            entry = sealer.seal(Event(Heartbeat(f"b{seq}"), "engine"), seq=seq, previous=head, at=1.0, mono=1.0)
            store.append([entry])
            head = entry.hash
    return path


@pytest.mark.parametrize("seq", [0, -1, -(2**63)])
def test_a_row_before_the_first_entry_is_named_and_read_by_nobody(journal: Path, seq: int) -> None:
    """Before: valid by every check, and the runs of long ago were read from it too."""
    with closing(sqlite3.connect(journal)) as other:
        other.execute(FORGED, (seq,))
        other.commit()
    with closing(JournalFile(journal)) as stored:
        assert f"it has an entry {seq}" in stored.foreign
        assert f"it has an entry {seq}" in stored.missing()
        assert [each.seq for each in stored.having(b"", b"")] == [1, 2, 3]
    with closing(SqliteJournal(journal)) as store, pytest.raises(JournalUnavailable, match="it has an entry"):
        store.look()
