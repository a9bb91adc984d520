"""What happens to the journal's files while an engine has them open, and while none has: it is noticed, effects are
refused, and what was written is not lost."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.reading import JournalFile
from adapters.journals.sqlite import SqliteJournal
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.engine.events import Heartbeat
from state.errors import JournalUnavailable
from state.journal.events import Event
from state.journal.format import GENESIS, Sealer, verify
from state.units import counted
from tests.support.small_estate import COMMANDER, Small, flip, small

Damage = Callable[[Path], None]


def checkpointed(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as other:
        other.execute("PRAGMA wal_checkpoint(FULL)").fetchall()


def beside(journal: Path, suffix: str) -> Path:
    return journal.with_name(journal.name + suffix)


def overwrite(journal: Path, content: bytes) -> None:
    """As `cp OLDER journal.db` does: the same file with other bytes."""
    with journal.open("r+b") as file:
        file.truncate(0)
        file.write(content)


def emptied(journal: Path) -> None:
    os.truncate(journal, 0)


def halved(journal: Path) -> None:
    os.truncate(journal, journal.stat().st_size // 2)


def removed(journal: Path) -> None:
    journal.unlink()


def replaced(journal: Path) -> None:
    other = journal.with_name("other.db")
    shutil.copy(journal, other)
    other.replace(journal)


def read_only(journal: Path) -> None:
    journal.chmod(0o400)


def rolled_back(journal: Path) -> None:
    overwrite(journal, journal.with_name("older.db").read_bytes())


def scribbled(journal: Path) -> None:
    content = bytearray(journal.read_bytes())
    content[len(content) // 2 :] = os.urandom(len(content) - len(content) // 2)
    with journal.open("r+b") as file:
        file.write(content)


def log_removed(journal: Path) -> None:
    beside(journal, "-wal").unlink()


def log_emptied(journal: Path) -> None:
    os.truncate(beside(journal, "-wal"), 0)


def index_removed(journal: Path) -> None:
    beside(journal, "-shm").unlink()


def filled(store: SqliteJournal, count: int) -> None:
    """Entries of some size: the file gets more than its first pages."""
    sealer, (seq, head) = Sealer("h", "b"), store.head()
    for at in range(seq + 1, seq + count + 1):
        entry = sealer.seal(Event(Heartbeat("x" * 600), "e"), seq=at, previous=head, at=1.0, mono=1.0)
        store.append([entry])
        head = entry.hash


def copied(journal: Path) -> None:
    subprocess.run(["cp", journal, journal.with_name("copy.db")], check=True)


def a_journal(folder: Path) -> SqliteJournal:
    """A journal with an older copy beside it; part of it is in the file, part in the log."""
    store = SqliteJournal(folder / "journal.db")
    filled(store, 20)
    checkpointed(store.path)
    shutil.copy(store.path, folder / "older.db")
    filled(store, 20)
    checkpointed(store.path)
    filled(store, 5)
    return store


WHILE_OPEN: dict[Damage, str] = {
    emptied: "cut short",
    halved: "cut short",
    removed: "was removed",
    replaced: "another file has replaced",
    read_only: "read-only",
    rolled_back: "cut short",
    scribbled: "journal.db",
    log_removed: "was removed",
    log_emptied: "journal.db",
    index_removed: "was removed",
}


@pytest.mark.parametrize("damage", WHILE_OPEN, ids=lambda each: each.__name__)
def test_a_look_notices_what_happens_to_an_open_journal_without_writing(tmp_path: Path, damage: Damage) -> None:
    store = a_journal(tmp_path)
    store.look()
    damage(store.path)
    with pytest.raises(JournalUnavailable, match=WHILE_OPEN[damage]):
        store.look()
    with pytest.raises(JournalUnavailable, match=WHILE_OPEN[damage]):
        filled(store, 1)
    with pytest.raises(JournalUnavailable):
        store.look()
    store.close()


@pytest.mark.parametrize("touch", [lambda path: None, checkpointed, os.utime, copied])
def test_a_look_at_a_journal_that_others_only_read_finds_nothing(tmp_path: Path, touch: Damage) -> None:
    store = a_journal(tmp_path)
    for _ in range(3):
        touch(store.path)
        store.look()
        filled(store, 1)
    assert verify(store.rows()).entries == 48
    store.close()


@pytest.mark.parametrize("damage", [removed, replaced, log_removed], ids=lambda each: each.__name__)
def test_what_only_the_open_file_has_is_saved_when_it_is_closed(tmp_path: Path, damage: Damage) -> None:
    store = a_journal(tmp_path)
    damage(store.path)
    assert verify(store.rows()).entries == 45
    store.close()
    with closing(JournalFile(tmp_path / "journal.saved-45.db")) as saved:
        assert verify(saved.rows()).entries == 45


def test_a_journal_that_was_not_touched_leaves_no_copy(tmp_path: Path) -> None:
    a_journal(tmp_path).close()
    assert list(tmp_path.glob("*saved*")) == []


def older_copy(journal: Path) -> None:
    shutil.copy(journal.with_name("older.db"), journal)


def another_journal(journal: Path) -> None:
    other = journal.with_name("other.db")
    with closing(SqliteJournal(other)) as store:
        filled(store, 60)
    other.replace(journal)


WHILE_CLOSED = [removed, emptied, older_copy, another_journal]


@pytest.mark.parametrize("damage", WHILE_CLOSED, ids=lambda each: each.__name__)
def test_a_journal_that_lost_entries_while_no_engine_ran_is_known_by_its_head(tmp_path: Path, damage: Damage) -> None:
    a_journal(tmp_path).close()
    damage(tmp_path / "journal.db")
    for _ in range(2):  # what was recorded is not forgotten by a start
        store = SqliteJournal(tmp_path / "journal.db")
        assert "entry 45 was recorded" in store.missing
        store.look()
        filled(store, 1)  # ends and stops are recorded
        store.close()
    (tmp_path / "journal.head").unlink()  # a person accepts what is there
    with closing(SqliteJournal(tmp_path / "journal.db")) as store:
        assert store.missing == ""
        filled(store, 1)


def test_a_log_that_was_lost_with_a_crash_is_known(tmp_path: Path) -> None:
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    store = a_journal(tmp_path)
    store.look()
    for name in ("journal.db", "journal.head"):  # what a kill leaves, but for the log
        shutil.copy(tmp_path / name, crashed / name)
    store.close()
    with closing(SqliteJournal(crashed / "journal.db")) as after:
        assert "entry 45 was recorded and is not there any more" in after.missing


@pytest.mark.parametrize("content", ["", "x", "12 00\n", "45 " + "0" * 64 + "\n"])
def test_a_head_that_does_not_fit_is_no_pass(tmp_path: Path, content: str) -> None:
    a_journal(tmp_path).close()
    (tmp_path / "journal.head").write_text(content)
    with closing(SqliteJournal(tmp_path / "journal.db")) as store:
        assert store.missing


def balancer() -> MemoryBalancer:
    return MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})


async def refused(lab: Small, why: str) -> None:
    """Within seconds and without an entry being written: on every screen, on the card, and by `journal verify`."""
    async with asyncio.timeout(60):
        while not lab.engine.view("header").effects:
            await asyncio.sleep(0.05)
    assert why in lab.engine.view("header").effects
    card = await lab.preview(flip("green"))
    assert any(why in each.fact for each in card.refusals)
    assert why in (await lab.engine.journal_verify()).problem
    assert await lab.weights() == {"blue": 100, "green": 0}
    assert lab.engine.journal_rows(0, 1000)
    assert (await lab.engine.stop_all(COMMANDER)).message


@pytest.mark.parametrize("damage", [removed, emptied, replaced, read_only], ids=lambda each: each.__name__)
async def test_a_running_engine_refuses_effects_soon_after(tmp_path: Path, damage: Damage) -> None:
    store = SqliteJournal(tmp_path / "journal.db")
    async with small(store=store, balancer=balancer()) as lab:
        damage(store.path)
        await refused(lab, WHILE_OPEN[damage])


async def test_a_running_engine_says_what_it_still_has_and_goes_on_when_the_file_is_back(tmp_path: Path) -> None:
    store = SqliteJournal(tmp_path / "journal.db")
    async with small(store=store, balancer=balancer()) as lab:
        entries = lab.engine.journal.seq
        store.path.rename(tmp_path / "away.db")
        await refused(lab, "was removed")
        assert (
            f"still has {counted(entries, 'valid entry', 'valid entries')}: "
            in (await lab.engine.journal_verify()).problem
        )
        assert len([line async for line in lab.engine.journal_export()]) == entries
        (tmp_path / "away.db").rename(store.path)
        async with asyncio.timeout(60):
            while lab.engine.view("header").effects:
                await asyncio.sleep(0.05)
        assert (await lab.engine.journal_verify()).problem == ""


@pytest.mark.parametrize("damage", WHILE_CLOSED, ids=lambda each: each.__name__)
async def test_an_engine_that_starts_without_what_was_recorded_refuses_effects(tmp_path: Path, damage: Damage) -> None:
    a_journal(tmp_path).close()
    damage(tmp_path / "journal.db")
    async with small(store=SqliteJournal(tmp_path / "journal.db"), balancer=balancer()) as lab:
        await refused(lab, "entry 45 was recorded")
        assert any("entry 45 was recorded" in alarm for alarm in lab.engine.view("header").alarms)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (removed, "entry 45 was recorded"),
        (older_copy, "entry 45 was recorded"),
        (emptied, "is no journal"),
        (halved, "malformed"),
        (lambda _: None, ""),
    ],
)
def test_verify_without_an_engine_is_1_for_a_journal_that_is_not_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Damage, said: str
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    a_journal(state).close()
    damage(state / "journal.db")
    (tmp_path / "LAB.json").write_text("{}")
    (tmp_path / "recovery.yaml").write_text("estate: shop\n")
    code = run_to_code(recovery, ["journal", "verify", "--estate", str(tmp_path)])
    told = capsys.readouterr()
    assert (code, said in told.err) == (1 if said else 0, True), told


def test_a_new_journal_begins_with_nothing_missing(tmp_path: Path) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as store:
        assert (store.missing, store.head()) == ("", (0, GENESIS))
    with closing(SqliteJournal(tmp_path / "journal.db")) as store:
        assert store.missing == ""


def test_a_folder_that_was_opened_to_others_is_named_while_the_journal_is_open(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    with closing(a_journal(tmp_path / "state")) as store:
        store.look()
        (tmp_path / "state").chmod(0o777)
        with pytest.raises(JournalUnavailable, match="chmod"):
            store.look()
        (tmp_path / "state").chmod(0o700)
        store.look()
