"""Every journal store keeps the same promises; the durable one also survives a full disk, theft and kill -9."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.journals.memory import MemoryJournal
from adapters.journals.sqlite import SqliteJournal
from state.errors import JournalUnavailable
from state.journal.events import Body, Event
from state.journal.events import event as registered
from state.journal.format import GENESIS, Sealer, verify
from state.journal.writer import Journal
from tests.support.small_estate import LoopClock


@pytest.fixture(params=["sqlite", "memory"])
def store(request, tmp_path):
    made = SqliteJournal(tmp_path / "journal.db") if request.param == "sqlite" else MemoryJournal()
    yield made
    made.close()


def writer(store) -> Journal:
    return Journal(store, Sealer("host", "boot"), LoopClock())


@registered("test.noted")
@dataclass(frozen=True)
class Noted(Body):
    """A number, for tests."""

    n: float


def event(n: int) -> Event:
    return Event(Noted(n), "ada")


async def test_entries_come_back_in_order_and_the_chain_holds(store):
    assert store.head() == (0, GENESIS)
    journal = writer(store)
    for n in range(5):
        await journal.append(event(n))
    assert [e.seq for e in store.rows()] == [1, 2, 3, 4, 5]
    assert [e.seq for e in store.rows(2, 2)] == [3, 4]
    assert store.head() == (5, journal.head)
    assert verify(store.rows(), head=journal.head).ok


async def test_many_at_once_keep_one_order(store):
    journal = writer(store)
    recorded = await asyncio.gather(*(journal.append(event(n)) for n in range(50)))
    assert sorted(r.seq for r in recorded) == list(range(1, 51))
    assert verify(store.rows(), head=journal.head).ok


async def test_a_journal_opened_again_goes_on_where_it_ended(tmp_path):
    first = SqliteJournal(tmp_path / "j.db")
    await writer(first).append(event(1))
    first.close()
    again = SqliteJournal(tmp_path / "j.db")
    await writer(again).append(event(2))
    assert verify(again.rows()).ok
    again.close()


@pytest.mark.parametrize("statement", ["DELETE FROM entries", "UPDATE entries SET payload = x'00'"])
async def test_the_database_itself_refuses_to_change_entries(tmp_path, statement):
    store = SqliteJournal(tmp_path / "j.db")
    await writer(store).append(event(1))
    other = sqlite3.connect(tmp_path / "j.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(statement)
    other.close()
    store.close()


async def _refused(journal: Journal, message: str) -> None:
    with pytest.raises(JournalUnavailable, match=message):
        await journal.append(event(2))
    assert message in journal.unavailable


async def test_a_journal_that_was_moved_away_or_replaced_is_refused(tmp_path):
    store = SqliteJournal(tmp_path / "j.db")
    journal = writer(store)
    await journal.append(event(1))
    (tmp_path / "j.db").rename(tmp_path / "gone.db")
    await _refused(journal, "was removed")
    (tmp_path / "j.db").write_bytes(b"another file")
    await _refused(journal, "has replaced the journal")
    (tmp_path / "j.db").unlink()
    (tmp_path / "gone.db").rename(tmp_path / "j.db")
    await journal.append(event(3))
    assert journal.unavailable == ""
    assert verify(store.rows()).ok
    store.close()


async def test_a_log_taken_away_is_noticed_before_an_entry_is_lost_with_it(tmp_path):
    store = SqliteJournal(tmp_path / "j.db")
    journal = writer(store)
    await journal.append(event(1))
    (tmp_path / "j.db-wal").unlink()
    await _refused(journal, "was removed")
    store.close()


async def test_an_entry_that_is_no_json_is_refused_alone_and_holds_nobody_up():
    journal = writer(MemoryJournal())
    bad = Event(Noted(float("nan")), "ada")
    answers = await asyncio.wait_for(
        asyncio.gather(journal.append(event(1)), journal.append(bad), journal.append(event(2)), return_exceptions=True),
        2,
    )
    assert [type(a).__name__ for a in answers] == ["Recorded", "ValueError", "Recorded"]


async def test_another_writer_is_noticed(tmp_path):
    store = SqliteJournal(tmp_path / "j.db")
    journal = writer(store)
    await journal.append(event(1))
    other = sqlite3.connect(tmp_path / "j.db")
    other.execute("INSERT INTO entries VALUES (99, x'00', x'00', x'00', x'00')")
    other.commit()
    other.close()
    await _refused(journal, "another program wrote")
    store.close()


@pytest.mark.parametrize("mode", ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
async def test_a_checkpoint_by_a_backup_program_is_not_taken_for_a_write(tmp_path, mode):
    store = SqliteJournal(tmp_path / "j.db")
    journal = writer(store)
    await journal.append(event(1))
    other = sqlite3.connect(tmp_path / "j.db", isolation_level=None)
    other.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
    await journal.append(event(2))
    other.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
    other.close()
    await journal.append_all([event(3), event(4)])
    assert journal.unavailable == ""
    assert verify(store.rows(), head=journal.head).entries == 4
    store.close()


async def test_an_entry_changed_by_a_program_that_removed_the_triggers_is_noticed(tmp_path):
    store = SqliteJournal(tmp_path / "j.db")
    journal = writer(store)
    await journal.append_all([event(1), event(2)])
    other = sqlite3.connect(tmp_path / "j.db")
    other.execute("DROP TRIGGER entries_stay")
    other.execute("UPDATE entries SET payload = x'00' WHERE seq = 1")
    other.commit()
    other.close()
    await _refused(journal, "another program wrote")
    await _refused(journal, "another program wrote")
    store.close()


class SlowDisk(MemoryJournal):
    """Each append takes so long that it is given to a thread."""

    def append(self, entries):
        time.sleep(0.08)
        super().append(entries)


async def test_the_journal_is_written_while_every_thread_of_the_loop_waits_for_a_name_look_up():
    journal = writer(SlowDisk())
    await journal.append(event(1))
    loop, answered = asyncio.get_running_loop(), threading.Event()
    look_ups = [loop.run_in_executor(None, answered.wait, 5) for _ in range(40)]
    try:
        async with asyncio.timeout(2):
            assert (await journal.append(event(2))).seq == 2
    finally:
        answered.set()
        await asyncio.gather(*look_ups)


def test_a_journal_that_cannot_be_opened_says_so(tmp_path):
    (tmp_path / "j.db").mkdir()
    with pytest.raises(JournalUnavailable, match=r"j\.db"):
        SqliteJournal(tmp_path / "j.db")


FULL_DISK = """
    import asyncio, sys
    from pathlib import Path
    from adapters.journals.sqlite import SqliteJournal
    from state.errors import JournalUnavailable
    from state.journal.format import Sealer, verify
    from state.engine.events import Heartbeat
    from state.journal.events import Event
    from state.journal.writer import Journal
    from tests.support.small_estate import LoopClock

    async def main(folder):
        store = SqliteJournal(folder / "j.db")
        journal = Journal(store, Sealer("h", "b"), LoopClock())
        await journal.append(Event(Heartbeat("running"), "ada"))
        with (folder / "filler").open("wb") as filler:
            filler.write(b"x" * 20_000_000)
        try:
            await journal.append(Event(Heartbeat("running"), "ada"))
        except JournalUnavailable as error:
            print(error)
        (folder / "filler").unlink()
        await journal.append(Event(Heartbeat("running"), "ada"))
        print("verified", verify(store.rows(), head=journal.head).entries)

    asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_full_disk_refuses_entries_and_loses_none(tmp_path):
    script = tmp_path / "full.py"
    script.write_text(textwrap.dedent(FULL_DISK))
    inside = f"mount -t tmpfs -o size=32m none {tmp_path}/small && exec {sys.executable} {script} {tmp_path}/small"
    (tmp_path / "small").mkdir()
    root = Path(__file__).parents[2]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=30,
    )
    assert "disk full" in done.stdout, done.stderr
    assert "verified 2" in done.stdout


KILLED = """
    import asyncio, os, sys
    from pathlib import Path
    from adapters.journals.sqlite import SqliteJournal
    from state.journal.format import Sealer
    from state.engine.events import Heartbeat
    from state.journal.events import Event
    from state.journal.writer import Journal
    from tests.support.small_estate import LoopClock

    async def main():
        journal = Journal(SqliteJournal(Path(sys.argv[1])), Sealer("h", "b"), LoopClock())
        while True:
            recorded = await journal.append(Event(Heartbeat("running"), "ada"))
            os.write(1, b"%d\\n" % recorded.seq)

    asyncio.run(main())
"""


def test_no_acknowledged_entry_is_lost_by_kill_9(tmp_path):
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "j.db")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(200)]
    process.kill()
    seen += process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    acknowledged = max(int(line) for line in seen if line.strip())
    store = SqliteJournal(tmp_path / "j.db")
    assert store.head()[0] >= acknowledged
    assert verify(store.rows()).ok
    store.close()
