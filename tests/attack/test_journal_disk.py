"""Attacks on the journal's files, by somebody who may write to them but does not rewrite everything: each is named,
no effect starts after it, and what was recorded can still be read."""

import asyncio
import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.reading import JournalFile
from adapters.journals.sqlite import SqliteJournal
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.errors import JournalUnavailable
from tests.attack.journal_files import Attack, by_name, erased, filled, keeping_times, told
from tests.support.small_estate import COMMANDER, flip, small

FRAME = 24


def swallowing(journal: Path) -> None:
    told(journal, "CREATE TRIGGER swallow BEFORE INSERT ON entries BEGIN SELECT RAISE(IGNORE); END")


def forgetting(journal: Path) -> None:
    """Takes each entry away again after it was inserted."""
    told(
        journal,
        "DROP TRIGGER entries_keep",
        "CREATE TRIGGER forget AFTER INSERT ON entries BEGIN DELETE FROM entries WHERE seq = NEW.seq; END",
    )


def unguarded(journal: Path) -> None:
    told(journal, "DROP TRIGGER entries_stay")


def tabled(journal: Path) -> None:
    told(journal, "CREATE TABLE other (x)")


def viewed(journal: Path) -> None:
    told(journal, "CREATE VIEW shown AS SELECT * FROM entries")


def versioned(journal: Path) -> None:
    told(journal, "PRAGMA user_version = 7")


def labelled(journal: Path) -> None:
    told(journal, "PRAGMA application_id = 7")


FOREIGN: dict[Attack, str] = {
    swallowing: "trigger swallow",
    forgetting: "trigger forget",
    unguarded: "trigger entries_stay",
    tabled: "table other",
    viewed: "view shown",
    versioned: "user_version",
    labelled: "application_id",
    erased: "entry 3",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteJournal]:
    made = SqliteJournal(tmp_path / "journal.db")
    filled(made, 10)
    made.look()
    yield made
    made.close()


@pytest.mark.parametrize("attack", FOREIGN, ids=by_name)
def test_what_another_program_made_of_the_file_is_named_before_the_next_entry(
    store: SqliteJournal, attack: Attack
) -> None:
    attack(store.path)
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match=FOREIGN[attack]):
            filled(store, 1)
    with pytest.raises(JournalUnavailable, match=FOREIGN[attack]):
        store.look()
    assert len(store.rows()) == 10


@pytest.mark.parametrize("attack", FOREIGN, ids=by_name)
async def test_what_another_program_made_of_the_file_while_no_engine_ran_stops_effects(
    tmp_path: Path, attack: Attack
) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as store:
        filled(store, 10)
    attack(store.path)
    balancer = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})
    async with small(store=SqliteJournal(store.path), balancer=balancer) as lab:
        async with asyncio.timeout(60):
            while not lab.engine.view("header").effects:
                await asyncio.sleep(0.05)
        assert FOREIGN[attack] in lab.engine.view("header").effects
        assert FOREIGN[attack] in (await lab.engine.journal_verify()).problem
        card = await lab.preview(flip("green"))
        assert any(FOREIGN[attack] in each.fact for each in card.refusals)
        assert await lab.weights() == {"blue": 100, "green": 0}
        assert lab.engine.journal_rows(0, 1000)
        assert (await lab.engine.stop_all(COMMANDER)).message


@pytest.mark.parametrize("attack", FOREIGN, ids=by_name)
def test_verify_without_an_engine_names_it(tmp_path: Path, attack: Attack, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as store:
        filled(store, 10)
    attack(store.path)
    assert run_to_code(recovery, ["journal", "verify", "--file", str(store.path)]) == 1
    assert FOREIGN[attack] in capsys.readouterr().err


def test_another_programs_database_is_not_turned_into_a_journal(tmp_path: Path) -> None:
    told(tmp_path / "journal.db", "CREATE TABLE theirs (x)", "INSERT INTO theirs VALUES (1)")
    before = (tmp_path / "journal.db").read_bytes()
    with pytest.raises(JournalUnavailable, match="no journal"):
        SqliteJournal(tmp_path / "journal.db")
    assert (tmp_path / "journal.db").read_bytes() == before


def test_a_view_in_the_place_of_the_entries_is_no_journal(tmp_path: Path) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as store:
        filled(store, 3)
    told(
        store.path,
        "ALTER TABLE entries RENAME TO kept",
        "CREATE VIEW entries AS SELECT * FROM kept",
    )
    for opened in (SqliteJournal, JournalFile):
        with pytest.raises(JournalUnavailable, match="no journal"):
            opened(store.path)


@pytest.mark.parametrize("column", ["header", "hash", "salt", "payload"])
@pytest.mark.parametrize("value", ["NULL", "5", "1.5", "'text'", "CAST(x'ff' AS TEXT)"])
def test_a_value_of_another_type_is_a_bad_entry(tmp_path: Path, column: str, value: str) -> None:
    """A bit of the record's header makes a text of bytes; SQLite does not look when it reads."""
    with closing(SqliteJournal(tmp_path / "journal.db")) as store:
        filled(store, 5)
    told(
        store.path,
        "DROP TRIGGER entries_stay",
        "CREATE TABLE fake (seq INTEGER PRIMARY KEY, header, hash, salt, payload)",
        "INSERT INTO fake SELECT * FROM entries",
        f"UPDATE fake SET {column} = {value} WHERE seq = 3",
        "PRAGMA writable_schema = ON",
    )
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("PRAGMA writable_schema = ON")
        root = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'fake'").fetchone()[0]
        other.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = 'entries'", (root,))
    code = run_to_code(recovery, ["journal", "verify", "--file", str(store.path)])
    assert code == 1


def last_frames_cut(journal: Path) -> None:
    log = journal.with_name(journal.name + "-wal")
    page = struct.unpack(">I", log.read_bytes()[8:12])[0]
    os.truncate(log, log.stat().st_size - 2 * (page + FRAME))


def last_frames_zeroed(journal: Path) -> None:
    log = journal.with_name(journal.name + "-wal")
    page = struct.unpack(">I", log.read_bytes()[8:12])[0]
    size = log.stat().st_size
    with log.open("r+b") as file:
        file.seek(size - 2 * (page + FRAME))
        file.write(bytes(2 * (page + FRAME)))


def a_frame_changed(journal: Path) -> None:
    """Of a page that a later frame replaces: no entry differs, but a recovery of the log would end here."""
    log = journal.with_name(journal.name + "-wal")
    with log.open("r+b") as file:
        file.seek(32 + FRAME + 2000)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def log_header_changed(journal: Path) -> None:
    log = journal.with_name(journal.name + "-wal")
    with log.open("r+b") as file:
        file.seek(16)
        file.write(b"\x00\x11\x22\x33")


IN_THE_LOG = [last_frames_cut, last_frames_zeroed, a_frame_changed, log_header_changed]


@pytest.mark.parametrize("attack", IN_THE_LOG, ids=by_name)
def test_a_log_that_was_cut_or_changed_is_named_before_the_next_entry(store: SqliteJournal, attack: Attack) -> None:
    log = store.path.with_name("journal.db-wal")
    keeping_times(log, lambda: attack(store.path))
    with pytest.raises(JournalUnavailable, match=r"journal\.db"):
        filled(store, 1)
    with pytest.raises(JournalUnavailable, match=r"journal\.db"):
        store.look()


@pytest.mark.parametrize("attack", [last_frames_cut, last_frames_zeroed, log_header_changed], ids=by_name)
def test_the_newest_entry_cut_off_the_log_of_a_killed_engine_is_known(
    store: SqliteJournal, attack: Attack, tmp_path: Path
) -> None:
    """Also when it was recorded an instant before: nothing has looked since."""
    filled(store, 1)
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("journal.db", "journal.db-wal", "journal.head"):
        shutil.copy(tmp_path / name, killed / name)
    attack(killed / "journal.db")
    with closing(SqliteJournal(killed / "journal.db")) as after:
        assert "entry 11 was recorded" in after.missing


async def test_an_erased_intent_is_not_nothing_sent(tmp_path: Path) -> None:
    """The engine is killed with an effect in doubt, and the intent's payload erased: nothing is sent a second time."""

    class Silent(MemoryBalancer):
        """Does as it is told, and the answer is lost with the engine."""

        sent = 0

        async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float):  # type: ignore[no-untyped-def]
            Silent.sent += 1
            await asyncio.sleep(30)
            return await super().set_weight(backend, server, weight, deadline=deadline)

    balancer = Silent("edge", {"shop": {"blue": 100, "green": 0}})
    store = SqliteJournal(tmp_path / "journal.db")
    async with small(store=store, balancer=balancer) as lab:
        await lab.submit(await lab.preview(flip("green")))
        async with asyncio.timeout(60):
            while not Silent.sent:
                await asyncio.sleep(0.01)
        seq = next(row.seq for row in lab.engine.journal_rows(0, 100) if row.kind == "effect.intended")
    told(
        store.path,
        "DROP TRIGGER entries_stay",
        f"UPDATE entries SET payload = x'', salt = x'' WHERE seq = {seq}",
        "CREATE TRIGGER entries_stay BEFORE UPDATE ON entries\n"
        "    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    )
    async with small(store=SqliteJournal(store.path), balancer=balancer) as lab:
        await asyncio.sleep(1.0)
        assert Silent.sent == 1
        assert lab.engine.view("header").effects
        step = lab.engine.history.runs["R-1"].all_steps()[0]
        assert step.state.value == "unknown", step


def older_with_its_head(journal: Path) -> None:
    for name in ("journal.db", "journal.head"):
        shutil.copy(journal.with_name(f"older-{name}"), journal.with_name(name))


def test_an_older_copy_of_the_whole_folder_is_known_by_the_runtime_folder(tmp_path: Path) -> None:
    state, runtime = tmp_path / "state", tmp_path / "runtime"
    for folder in (state, runtime):
        folder.mkdir()
    with closing(SqliteJournal(state / "journal.db", runtime)) as store:
        filled(store, 5)
    for name in ("journal.db", "journal.head"):
        shutil.copy(state / name, state / f"older-{name}")
    with closing(SqliteJournal(state / "journal.db", runtime)) as store:
        filled(store, 5)
    older_with_its_head(state / "journal.db")
    with closing(SqliteJournal(state / "journal.db", runtime)) as store:
        assert "entry 10 was recorded" in store.missing
        assert str(runtime) in store.missing
    for head in (state / "journal.head", *runtime.iterdir()):
        head.unlink()
    with closing(SqliteJournal(state / "journal.db", runtime)) as store:
        assert store.missing == ""
