"""A named pipe in the place of a file: nothing waits for its writer, whoever put it there."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.balancers.haproxy_address import RuntimeApi
from adapters.journals.head_file import HeadFile
from adapters.journals.stops_file import StopsFile
from console.places import of_file
from state.errors import ConfigError
from state.host.processes import held_lock, is_held
from state.host.regular import bounded

ROOT = Path(__file__).resolve().parents[2]
WAITS = re.compile(r"\.read_bytes\(|\.read_text\(|\.open\(\"r")
OURS = {
    "adapters/lab": "the laboratory's own folder",
    "console/demo": "the same",
    "console/cli/installation.py": "the metadata of the installed package",
}
"""Where files are read that nobody else could replace."""


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    return path


def test_no_reader_waits(pipe: Path) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        bounded(pipe, 10)
    assert held_lock(pipe) is None
    assert is_held(pipe) is False
    assert HeadFile(pipe).missing(lambda _seq: None), "a head that cannot be read is a reason for doubt"
    assert StopsFile(pipe).kept() == ()
    with pytest.raises(ConfigError, match="not a regular file"):
        of_file(pipe, "named")


@pytest.mark.parametrize("name", ["journal.head", "journal.stops", "engine.lock", "journal.checkpoint"])
def test_a_verb_ends_with_a_pipe_in_the_state_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "state" / "recovery" / "shop"
    folder.mkdir(parents=True, mode=0o700)
    os.mkfifo(folder / name, 0o600)
    estate = tmp_path / "recovery.yaml"
    estate.write_text("estate: shop\nenvironment: lab\nsites: {east: {}}\n")
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(tmp_path)}
    for verb in (["journal", "verify"], ["engine", "status"], ["engine", "stop"]):
        argv = [sys.executable, "-P", "-m", "console.cli", *verb, "--estate", str(estate)]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in done.stderr
        assert done.returncode != 0


def test_files_are_opened_without_waiting_everywhere() -> None:
    """Of what is below /proc the kernel is the writer; all else goes through `state/host/regular.py`."""
    found = []
    for package in ("console", "adapters", "state"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if any(name.startswith(each) for each in OURS):
                continue
            text = path.read_text()
            lines = [line for line in text.splitlines() if WAITS.search(line) and "/proc" not in line]
            found += [f"{name}: {line.strip()}" for line in lines]
    assert [each.split(": ", 1)[0] for each in found] == PACKAGED, found


PACKAGED = ["console/cli/runbook_new.py", "adapters/files/runbook_copies.py"]
"""They read files of the package itself."""


@pytest.mark.parametrize(
    "way", ["0.0.0.0:9", "[::]:9", "[::ffff:127.0.0.1]:9", "localhost.:9", "LOCALHOST:9", "[::1]:9"]
)
def test_this_host_by_any_name_is_one_place(way: str) -> None:
    assert RuntimeApi.of(way).seen_by_all() == RuntimeApi.of("127.0.0.1:9").seen_by_all()


def test_one_socket_by_two_names_is_one_place(tmp_path: Path) -> None:
    first, second = tmp_path / "a.sock", tmp_path / "b.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(first))
        os.link(first, second)
        (tmp_path / "c.sock").symlink_to(first)
        told = [set(RuntimeApi.of(str(path)).seen_by_all()) for path in (first, second, tmp_path / "c.sock")]
    assert told[0] & told[1]
    assert told[0] == told[2]
