"""Files beside the journal and those that a person names: what is no regular file is not waited for or written to."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from adapters.journals.small_file import keep_text, kept_text
from adapters.journals.sqlite import SqliteJournal
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.engine.events import Heartbeat
from state.journal.events import Event
from state.journal.format import GENESIS, Sealed, Sealer

ROOT = Path(__file__).parents[2]


def _entries(count: int) -> list[Sealed]:
    sealer, head, made = Sealer("h", "b"), GENESIS, []
    for seq in range(1, count + 1):
        made.append(sealer.seal(Event(Heartbeat("x"), "e"), seq=seq, previous=head, at=1.0, mono=1.0))
        head = made[-1].hash
    return made


def test_an_export_is_a_new_file_of_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "LAB.json").write_text("{}")
    (tmp_path / "recovery.yaml").write_text("estate: shop\n")
    with closing(SqliteJournal(state / "journal.db")) as store:
        store.append(_entries(5))
    export = ["journal", "export", "--estate", str(tmp_path), "-o"]
    victim = tmp_path / "victim"
    (tmp_path / "link").symlink_to(victim)
    before = os.umask(0)
    try:
        assert run_to_code(recovery, [*export, str(tmp_path / "link")]) != 0
        assert not victim.exists()
        assert run_to_code(recovery, [*export, str(tmp_path / "fresh")]) == 0
        assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o600
        content = (tmp_path / "fresh").read_bytes()
        assert run_to_code(recovery, [*export, str(tmp_path / "fresh")]) != 0
        assert "name a new file" in capsys.readouterr().err
        assert (tmp_path / "fresh").read_bytes() == content
    finally:
        os.umask(before)


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


@pytest.mark.parametrize(
    "file",
    [lambda _: Path("/dev/zero"), lambda _: Path("/dev/null"), lambda folder: folder, fifo],
    ids=["zero", "null", "folder", "fifo"],
)
def test_what_is_no_file_ends_with_an_error(
    file: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_to_code(recovery, ["journal", "verify", "--file", str(file(tmp_path))]) in (1, 2)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "is no file" in said


NOT_REGULAR: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "link to zeros": lambda path: path.symlink_to("/dev/zero"),
}


def alone(code: str, path: Path) -> "subprocess.CompletedProcess[str]":
    """Run in a process of its own, which can be ended when it waits."""
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=ROOT)


def put(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    NOT_REGULAR[kind](path)


@pytest.mark.parametrize("kind", NOT_REGULAR)
@pytest.mark.parametrize("name", ["journal.head", "journal.stops", "journal.checkpoint"])
def test_what_is_no_regular_file_beside_the_journal_holds_nobody_up(name: str, kind: str, tmp_path: Path) -> None:
    """Run where the test may end it: a pipe that is opened to be read waits for its writer for ever."""
    store = SqliteJournal(tmp_path / "journal.db")
    store.append([Sealer("h", "b").seal(Event(Heartbeat("x"), "e"), seq=1, previous=GENESIS, at=1.0, mono=1.0)])
    store.close()
    put(tmp_path / name, kind)
    code = (
        "import sys; from pathlib import Path; from adapters.journals.sqlite import SqliteJournal;"
        "s = SqliteJournal(Path(sys.argv[1])); print(s.missing, s.kept_stops(), s.kept_checkpoint())"
    )
    done = alone(code, tmp_path / "journal.db")
    assert done.returncode == 0, done.stderr
    assert (str(tmp_path / name) in done.stdout) == (name == "journal.head")


def test_a_log_that_is_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "engine.log")
    code = "import sys; from pathlib import Path; from console.engine.log import log_to; log_to(Path(sys.argv[1]))"
    done = alone(code, tmp_path / "engine.log")
    assert "No such device or address" in done.stderr


@pytest.mark.parametrize("kind", NOT_REGULAR)
def test_what_lies_where_a_file_beside_the_journal_is_made_is_not_written_to(kind: str, tmp_path: Path) -> None:
    put(tmp_path / "journal.checkpoint-new", kind)
    assert keep_text(tmp_path / "journal.checkpoint", "new") == (kind != "folder")
    assert kept_text(tmp_path / "journal.checkpoint") == ("" if kind == "folder" else "new")
