"""Two estate files with one name: nobody is attached to the engine of the other one without knowing it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

RECOVERY = Path(sys.executable).with_name("recovery")
ESTATE = "estate: shop\nenvironment: drill\nsites: {here: {}}\nrunbooks: []\n"
VERBS = (
    ("status",), ("engine", "status"), ("engine", "start"), ("engine", "stop"), ("bridge", "--observe"),
    ("console",), ("console", "--observe"),
)  # fmt: skip
"""One for each way in; all others ask as `status` does."""


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: Unix sockets have at most 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="rw-", dir="/tmp"))
    for name in ("a", "b", "run", "state"):
        (folder / name).mkdir(mode=0o700)
    yield folder
    verb(folder, "engine", "stop", "--estate", "shop")
    shutil.rmtree(folder)


def verb(home: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    own = {"XDG_RUNTIME_DIR": str(home / "run"), "XDG_STATE_HOME": str(home / "state"), "HOME": str(home)}
    return subprocess.run(
        [RECOVERY, *argv], cwd=home, env={**os.environ, **own}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_engine_of_another_file_with_the_same_name_is_refused_by_its_path(home: Path) -> None:
    mine, other = home / "a" / "recovery.yaml", home / "b" / "recovery.yaml"
    mine.write_text(ESTATE)
    other.write_text(ESTATE)  # equal content does not make it the same estate: its files are looked up beside it
    (home / "current").symlink_to(home / "a")
    started = verb(home, "engine", "start", "--estate", str(mine))
    assert started.returncode == 0, started.stderr
    for argv in VERBS:
        done = verb(home, *argv, "--estate", str(other))
        assert done.returncode == 4, (argv, done.stdout, done.stderr)
        for said in ("same estate file", f"is that of {mine}, not of {other}", "--estate shop"):
            assert said in done.stderr, (argv, done.stderr)
        assert done.stdout == "", argv
    for same in (mine, home / "current" / "recovery.yaml", "shop"):
        seen = verb(home, "engine", "status", "--estate", str(same))
        assert seen.returncode == 0, (same, seen.stderr)
    stopped = verb(home, "engine", "stop", "--estate", "shop")
    assert stopped.returncode == 0, stopped.stderr
    assert verb(home, "status", "--estate", str(other)).returncode == 6
