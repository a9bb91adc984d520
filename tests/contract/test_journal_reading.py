"""Reading a journal without its engine: in whatever state its files are, none beside it is changed, made or removed."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from adapters.journals.reading import JournalFile
from adapters.journals.sqlite import SqliteJournal
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.errors import JournalUnavailable
from state.journal.format import verify
from tests.contract.test_journal_damage import a_journal, beside, filled

VERBS = (
    ("journal", "tail"),
    ("journal", "tail", "--json", "--kind", "engine"),
    ("journal", "show", "3"),
    ("journal", "verify"),
    ("journal", "export"),
    ("engine", "status"),
    ("status",),
)


def in_order(state: Path) -> None:
    a_journal(state).close()


def killed(state: Path) -> None:
    """File, log and index as a kill leaves them."""
    before = state / "before"
    before.mkdir()
    with closing(a_journal(before)) as store:
        store.look()
        for file in before.glob("journal.*"):
            shutil.copy(file, state)
    shutil.rmtree(before)


def without_index(state: Path) -> None:
    """As a backup of file and log has it."""
    killed(state)
    beside(state / "journal.db", "-shm").unlink()


def without_log(state: Path) -> None:
    killed(state)
    beside(state / "journal.db", "-wal").unlink()


def cut(state: Path) -> None:
    killed(state)
    with (state / "journal.db").open("r+b") as file:
        file.truncate(8192)


def emptied(state: Path) -> None:
    killed(state)
    (state / "journal.db").write_bytes(b"")


def gone(state: Path) -> None:
    killed(state)
    (state / "journal.db").unlink()


def listing(folder: Path) -> dict[str, str]:
    """Every file of a folder with the hash of its content."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of an estate without an engine."""
    (tmp_path / "LAB.json").write_text("{}")
    (tmp_path / "recovery.yaml").write_text("estate: shop\n")
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


WHOLE = (in_order, killed, without_index)
BROKEN: dict[Callable[[Path], None], str] = {
    without_log: "entry 45 was recorded",
    cut: "malformed",
    emptied: "save journal.db-wal first",
    gone: "save journal.db-wal first",
}


@pytest.mark.parametrize("left", [*WHOLE, *BROKEN], ids=lambda each: each.__name__)
def test_no_reading_verb_changes_a_file_beside_the_journal(
    state: Path, capsys: pytest.CaptureFixture[str], left: Callable[[Path], None]
) -> None:
    left(state)
    before = listing(state.parent)
    for argv in VERBS:
        code = run_to_code(recovery, [*argv, "--estate", str(state.parent)])
        told = capsys.readouterr()
        assert listing(state.parent) == before, argv
        if argv[:2] == ("journal", "verify"):
            assert (code, BROKEN.get(left, "45 entries") in told.out + told.err) == (int(left in BROKEN), True), told
        elif argv[0] == "journal" and left in WHOLE:
            assert code == 0, (argv, told)
    copy = ["journal", "verify", "--file", str(state / "journal.db")]
    if left is not gone:
        assert run_to_code(recovery, copy) == int(left in BROKEN)
    assert listing(state.parent) == before


@pytest.mark.parametrize("left", [emptied, gone], ids=lambda each: each.__name__)
def test_an_engine_does_not_open_an_empty_journal_beside_its_log(state: Path, left: Callable[[Path], None]) -> None:
    left(state)
    before = listing(state)
    with pytest.raises(JournalUnavailable, match=r"save journal\.db-wal first"):
        SqliteJournal(state / "journal.db")
    assert listing(state) == before


def test_a_log_that_has_everything_is_read_once_its_journal_is_not_empty(state: Path) -> None:
    """The way back that the documents give for a journal that was emptied while it was young."""
    young = state / "young"
    young.mkdir()
    with closing(SqliteJournal(young / "journal.db")) as store:
        filled(store, 20)
        shutil.copy(beside(store.path, "-wal"), state)
    (state / "journal.db").write_bytes(bytes(4096))
    with closing(JournalFile(state / "journal.db")) as file:
        assert verify(file.rows()).entries == 20


def test_an_export_replaces_nothing(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed(state)
    before = listing(state)
    export = ["journal", "export", "--estate", str(state.parent), "-o"]
    for name in ("journal.db", "journal.db-wal", "journal.db-shm", "journal.head", "../recovery.yaml"):
        assert run_to_code(recovery, [*export, str(state / name)]) == 2
        assert "is left as it is: name a new file" in capsys.readouterr().err
        assert listing(state) == before
    fresh = state.parent / "export"
    assert run_to_code(recovery, [*export, str(fresh)]) == 0
    assert run_to_code(recovery, ["journal", "verify", "--file", str(fresh)]) == 0
    assert "45 entries" in capsys.readouterr().out
    assert fresh.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in state.parent.iterdir()) == ["LAB.json", "export", "recovery.yaml", "state"]


def test_a_journal_without_an_entry_is_no_export(state: Path) -> None:
    SqliteJournal(state / "journal.db").close()
    output = state.parent / "export"
    assert run_to_code(recovery, ["journal", "export", "--estate", str(state.parent), "-o", str(output)]) == 2
    assert not output.exists()


WRITER = """
import sys
from pathlib import Path
from adapters.journals.sqlite import SqliteJournal
from tests.contract.test_journal_damage import filled
store = SqliteJournal(Path(sys.argv[1]))
for line in sys.stdin:
    filled(store, int(line))
    print(store.head()[0], flush=True)
store.close()
"""


def test_what_another_program_writes_is_read_also_after_it_ended_and_began_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    in_order(tmp_path)
    with closing(JournalFile(path)) as file:
        for last in (45, 51):
            assert file.head() == last
            program = [sys.executable, "-c", WRITER, str(path)]
            with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
                assert writer.stdin is not None
                assert writer.stdout is not None
                for more in (1, 2, 3):
                    writer.stdin.write(f"{more}\n")
                    writer.stdin.flush()
                    written = int(writer.stdout.readline())
                    assert file.head() == written
                    found = verify(file.rows())
                    assert (found.problem, found.entries) == ("", written)
                writer.stdin.close()
                assert writer.wait(60) == 0
