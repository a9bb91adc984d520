"""A file or folder of somebody else is believed nowhere, and nothing in it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.attack.strangers import ROOT, STRANGER, give_away
from tests.terminal.ptys import Terminal

RECOVERY = Path(sys.executable).with_name("recovery")
ESTATE = """
estate: bait
environment: lab
databases:
  orders:
    kind: patroni
    scope: orders
    user: recovery
    password: {{command: [sh, -c, "touch {mark}; echo secret"]}}
    nodes:
      a: {{site: here, postgres: "127.0.0.1:1", api: "http://127.0.0.1:1"}}
sites: {{here: {{}}}}
runbooks: []
"""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What the secret command of the bait would make."""
    return tmp_path / "it-ran"


@pytest.fixture
def bait(tmp_path: Path, mark: Path) -> Path:
    """A folder with an estate whose secret command leaves a mark."""
    folder = tmp_path / "bait"
    folder.mkdir()
    (folder / "recovery.yaml").write_text(ESTATE.format(mark=mark))
    return folder


def verb(folder: Path, home: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """A verb, run in a folder by an account without a terminal."""
    for name in ("run", "state"):
        (home / name).mkdir(mode=0o700, exist_ok=True)
    own = {"XDG_RUNTIME_DIR": str(home / "run"), "XDG_STATE_HOME": str(home / "state"), "HOME": str(home)}
    return subprocess.run(
        [RECOVERY, *argv],
        cwd=folder,
        env={**os.environ, **own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


RUNNERS = (("console",), ("engine", "start"), ("engine", "run"), ("check", "--connect", "--within", "1"))
"""The verbs that would load an estate and read its secrets."""


@pytest.mark.parametrize("argv", RUNNERS, ids=" ".join)
def test_a_foreign_estate_in_this_folder_runs_nothing(
    argv: tuple[str, ...], bait: Path, mark: Path, tmp_path: Path
) -> None:
    if not ROOT:
        return
    give_away(bait)
    done = verb(bait, tmp_path, *argv)
    verb(bait, tmp_path, "engine", "stop")
    assert not mark.exists(), done.stderr
    assert done.returncode == 2, done.stderr
    assert f"{bait}: found folder of account" in done.stderr


@pytest.mark.parametrize("argv", RUNNERS, ids=" ".join)
def test_an_estate_found_by_itself_runs_nothing_before_a_yes(
    argv: tuple[str, ...], bait: Path, mark: Path, tmp_path: Path
) -> None:
    done = verb(bait, tmp_path, *argv)
    verb(bait, tmp_path, "engine", "stop")
    assert not mark.exists(), done.stderr
    assert done.returncode == 4, done.stderr
    assert f"recovery trust {bait}/recovery.yaml" in done.stderr


def test_a_yes_is_for_one_file_of_one_owner(bait: Path, mark: Path, tmp_path: Path) -> None:
    other = bait.with_name("other")
    shutil.copytree(bait, other)
    said = verb(bait, tmp_path, "trust")
    assert said.returncode == 0, said.stderr
    kept = tmp_path / "state" / "recovery" / "known-estates.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert verb(other, tmp_path, "check", "--connect", "--within", "1").returncode == 4
    assert not mark.exists()
    assert verb(bait, tmp_path, "check", "--connect", "--within", "1").returncode in (1, 3)
    assert mark.exists()
    mark.unlink()
    entries = json.loads(kept.read_text())
    assert entries == [[str(bait / "recovery.yaml"), os.geteuid()]]
    kept.write_text(json.dumps([[entries[0][0], STRANGER]]))
    assert verb(bait, tmp_path, "check", "--connect", "--within", "1").returncode == 4
    assert not mark.exists()


def test_a_list_that_others_may_write_is_no_yes(bait: Path, mark: Path, tmp_path: Path) -> None:
    assert verb(bait, tmp_path, "trust").returncode == 0
    kept = tmp_path / "state" / "recovery" / "known-estates.json"
    kept.chmod(0o666)
    done = verb(bait, tmp_path, "check", "--connect", "--within", "1")
    assert (done.returncode, mark.exists()) == (2, False)
    assert f"chmod go-w {kept}" in done.stderr


def test_naming_a_file_is_a_yes_for_that_time(bait: Path, mark: Path, tmp_path: Path) -> None:
    named = ("check", str(bait / "recovery.yaml"), "--connect", "--within", "1")
    assert verb(bait, tmp_path, *named).returncode in (1, 3)
    assert mark.exists()
    assert verb(bait, tmp_path, "check", "--connect").returncode == 4


@pytest.mark.parametrize(("answer", "code"), [("n", 4), ("y", 1)])
def test_a_person_at_a_terminal_is_asked_once(answer: str, code: int, bait: Path, mark: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    environment = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    argv = ["sh", "-c", f"cd {bait} && exec {RECOVERY} check --connect --within 1"]
    with Terminal(argv, env=environment, size=(240, 24)) as terminal:
        terminal.wait("Use it?", 60)
        assert not mark.exists()
        terminal.press(f"{answer}\r")
        assert terminal.ended(60) == code
    assert mark.exists() == (answer == "y")


def test_an_estate_that_was_found_is_named_on_the_screen(tmp_path: Path) -> None:
    """The path stands in the last line when the console starts."""
    (tmp_path / "recovery.yaml").write_text(
        "estate: found\nenvironment: drill\nsites: {here: {}}\nrunbooks: []\n"
        "people: {me: {accounts: [root], roles: [commander]}}\n"
    )
    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp") as home:
        environment = {"XDG_STATE_HOME": home, "XDG_RUNTIME_DIR": home, "HOME": home}
        argv = ["sh", "-c", f"cd {tmp_path} && exec {RECOVERY} console"]
        with Terminal(argv, env=environment, size=(200, 40)) as terminal:
            terminal.wait("Use it?", 60)
            terminal.press("y\r")
            terminal.wait("1 Overview", 90)
            terminal.wait(f"estate found: {tmp_path}/recovery.yaml (in this folder)", 60)
        stopped = subprocess.run(
            [RECOVERY, "engine", "stop", "--estate", "found"],
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert stopped.returncode == 0, stopped.stderr
