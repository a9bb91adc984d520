"""A journal that is too long to be read before each entry: what touches it is looked at beside the loop, a change is
found all the same."""

import asyncio
from pathlib import Path

import pytest

from adapters.journals.sqlite import AT_ONCE, SqliteJournal
from state.engine.events import Heartbeat
from state.errors import JournalUnavailable, RecoveryError
from state.journal.events import Event
from state.journal.format import GENESIS, Sealed, Sealer
from tests.attack.journal_files import erased, filled, keeping_times, told
from tests.support.small_estate import flip, small


def a_long_one(folder: Path) -> SqliteJournal:
    """A journal that takes too long to be read before an append."""
    store, sealer, head = SqliteJournal(folder / "journal.db"), Sealer("h", "b"), GENESIS
    made: list[Sealed] = []
    for seq in range(1, AT_ONCE + 10):
        made.append(sealer.seal(Event(Heartbeat("x"), "e"), seq=seq, previous=head, at=1.0, mono=1.0))
        head = made[-1].hash
    store.append(made)
    return store


def test_a_long_journal_that_was_touched_is_read_again_beside_the_loop_and_goes_on(tmp_path: Path) -> None:
    store = a_long_one(tmp_path)
    told(store.path, "PRAGMA wal_checkpoint(TRUNCATE)")
    with pytest.raises(JournalUnavailable, match="it is being read again"):
        filled(store, 1)
    store.look()
    filled(store, 1)
    store.close()


def test_a_long_journal_that_was_changed_stays_refused_and_says_why(tmp_path: Path) -> None:
    store = a_long_one(tmp_path)
    erased(store.path)
    with pytest.raises(JournalUnavailable, match="it is being read again"):
        filled(store, 1)
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="the payload of entry 3 was erased"):
            store.look()
        with pytest.raises(JournalUnavailable, match="the payload of entry 3 was erased"):
            filled(store, 1)
    store.close()


def test_a_long_journal_that_was_only_looked_at_goes_on_and_is_read_again_all_the_same(tmp_path: Path) -> None:
    store = a_long_one(tmp_path)
    store.path.chmod(0o640)
    store.path.chmod(0o600)
    filled(store, 1)
    store.look()
    filled(store, 1)
    store.close()


def test_bytes_of_a_long_journal_that_were_changed_with_their_times_set_back_are_found_by_the_next_look(
    tmp_path: Path,
) -> None:
    store = a_long_one(tmp_path)
    told(store.path, "PRAGMA wal_checkpoint(FULL)")
    store.look()
    payload = store.rows(99, 1)[0].hash

    def one_bit() -> None:
        content = store.path.read_bytes()
        at = content.index(payload)
        with store.path.open("r+b") as file:
            file.seek(at)
            file.write(bytes([content[at] ^ 1]))

    keeping_times(store.path, one_bit)
    filled(store, 1)  # nothing but the times of the inode shows it
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="entry 100"):
            store.look()
        with pytest.raises(JournalUnavailable, match="entry 100"):
            filled(store, 1)
    store.close()


async def test_an_engine_on_a_long_journal_goes_on_after_a_backup_has_touched_it(tmp_path: Path) -> None:
    a_long_one(tmp_path).close()
    store = SqliteJournal(tmp_path / "journal.db")
    async with small(store=store) as lab:
        told(store.path, "PRAGMA wal_checkpoint(TRUNCATE)")
        async with asyncio.timeout(60):
            card = await lab.preview(flip("green"))
            while True:
                try:
                    run = (await lab.submit(card)).run
                    break
                except RecoveryError:  # until the next look
                    await asyncio.sleep(0.2)
                    card = await lab.preview(flip("green"))
            assert await lab.ended(run, 50) == "done"
