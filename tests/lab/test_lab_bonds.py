"""What a demonstration and a start of a lab leave when they are killed, hung up, interrupted or not read: nothing."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.lab.process.processes import descendants, state_of

pytestmark = pytest.mark.lab

LIMIT = 40.0  # seconds until everything is gone
SCREENS = b"\x1b[?1049h"
"""The screens have taken the terminal."""


class Stage:
    """A verb in a home of its own; whatever it starts carries that home's name in its environment."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.short = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))  # paths of sockets must be short
        runtime, self.temporary = self.short / "run", self.short / "tmp"
        for folder in (runtime, self.temporary):
            folder.mkdir(mode=0o700)
        places = {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(home), "TMPDIR": str(self.temporary)}
        self.environment = {**os.environ, **places}
        self.lab = runtime / "recovery-lab"
        self.mark = f"HOME={home}".encode()
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """A verb in a session of its own, its progress in a pipe."""
        process = subprocess.Popen(
            [sys.executable, "-m", "console.cli", *argv],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Close the pipes, and kill whatever a failed test has left."""
        for process in self.started:
            if process.stderr is not None:
                process.stderr.close()
        for pid in self.processes():
            for each in [*descendants(pid), pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        for process in self.started:
            process.wait(10)
        shutil.rmtree(self.short, ignore_errors=True)

    def processes(self) -> dict[int, str]:
        """Every process that was started from here, however it was detached, with its command."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                marked = self.mark in (entry / "environ").read_bytes().split(b"\0")
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if marked and state_of(int(entry.name)) not in ("gone", "zombie"):
                found[int(entry.name)] = command
        return found

    def folders(self) -> set[Path]:
        left = {*self.temporary.glob("recovery-demo-*"), *self.temporary.glob("rlab-*")}
        return left | ({self.lab} if self.lab.exists() else set())

    def nothing_left(self) -> None:
        """Nothing, ten times in a row: a process that is just being started shows no environment for an instant."""
        end = time.monotonic() + LIMIT
        quiet = 0
        while quiet < 10 and time.monotonic() < end:
            quiet = 0 if self.processes() or self.folders() else quiet + 1
            time.sleep(0.1)
        assert (self.processes(), self.folders()) == ({}, set())


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.end()


def read_until(process: subprocess.Popen[bytes], what: bytes) -> None:
    assert process.stderr is not None
    while what not in (line := process.stderr.readline()):
        assert line, f"it ended with {process.wait()} before it said {what!r}"


MOMENTS: dict[str, Callable[[subprocess.Popen[bytes]], None]] = {
    "while-python-starts": lambda process: time.sleep(0.5),
    "while-the-lab-starts": lambda process: read_until(process, b"found"),
    "while-databases-start": lambda process: read_until(process, b"ready"),
    "while-the-engine-starts": lambda process: read_until(process, b"start the engine"),
    "while-the-tour-runs": lambda process: read_until(process, b"healthy baseline"),
}
OFTEN = ("while-the-lab-starts", "while-the-tour-runs")
"""The moments of the short programme."""


@pytest.mark.parametrize(
    "moment", [*OFTEN, *(pytest.param(moment, marks=pytest.mark.torture) for moment in MOMENTS if moment not in OFTEN)]
)
def test_a_killed_demonstration_leaves_nothing(stage: Stage, moment: str) -> None:
    process = stage.start("demo", "--headless", "--embedded")
    MOMENTS[moment](process)
    process.kill()
    process.wait()
    stage.nothing_left()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGHUP, -signal.SIGHUP, marks=pytest.mark.torture),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.torture),
    ],
)
def test_a_signalled_demonstration_leaves_nothing(stage: Stage, number: signal.Signals, code: int) -> None:
    process = stage.start("demo", "--headless", "--embedded")
    read_until(process, b"ready")
    process.send_signal(number)
    assert process.wait(60) == code
    stage.nothing_left()


def test_a_demonstration_that_nobody_reads_ends(stage: Stage) -> None:
    process = stage.start("demo", "--headless", "--embedded")
    read_until(process, b"ready")
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(60) == 141
    stage.nothing_left()


def test_without_a_terminal_nothing_is_started(stage: Stage) -> None:
    process = stage.start("demo", "--embedded")
    read_until(process, b"--headless")
    assert process.wait(30) == 2
    assert stage.folders() == set()


def test_a_closed_terminal_leaves_nothing(stage: Stage) -> None:
    """The screens on a terminal that vanishes while they are shown, as when ssh is cut."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "console.cli", "demo", "--embedded"], stage.environment)
    end = time.monotonic() + 90
    seen = b""
    while SCREENS not in seen and time.monotonic() < end:
        try:
            seen = (seen + os.read(terminal, 65536))[-4096:]
        except OSError:
            pytest.fail(f"the demonstration ended before its screens: {seen.decode(errors='replace')}")
    assert len(stage.processes()) > 10
    os.close(terminal)
    os.waitpid(pid, 0)
    stage.nothing_left()


SELDOM = ((b"start the lab", 1), (b"found", 3), (b"replication", 1), (b"start the engine", 3))


@pytest.mark.parametrize(
    ("moment", "presses"),
    [
        (b"start the lab", 3),
        (b"found", 1),
        (b"replication", 3),
        (b"start the engine", 1),
        *(pytest.param(moment, n, marks=pytest.mark.torture) for moment, n in SELDOM),
    ],
)
def test_ctrl_c_while_everything_starts_leaves_nothing(stage: Stage, moment: bytes, presses: int) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "console.cli", "demo", "--embedded"], stage.environment)
    end = time.monotonic() + 60
    seen = b""
    while moment not in seen and time.monotonic() < end:
        seen += os.read(terminal, 65536)
    for _ in range(presses):
        os.write(terminal, b"\x03")
        time.sleep(0.3)
    late = read_to_end(terminal, seen)
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert late or code == 130
    stage.nothing_left()


def read_to_end(terminal: int, seen: bytes) -> bool:
    """Read until the process has ended; whether its screens were there first: then the keys were theirs, and the end
    of the terminal is what ends it."""
    end = time.monotonic() + 90
    with contextlib.suppress(OSError):  # the terminal ends with the process
        while SCREENS not in seen:
            assert time.monotonic() < end, f"it goes on: {seen[-300:].decode(errors='replace')}"
            if select.select([terminal], [], [], 1.0)[0]:
                seen = (seen + os.read(terminal, 65536))[-4096:]
        return True
    return False


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, *(pytest.param(each, marks=pytest.mark.torture) for each in (signal.SIGINT, signal.SIGHUP))],
)
def test_an_interrupted_start_of_a_lab_leaves_nothing(stage: Stage, number: signal.Signals) -> None:
    process = stage.start("lab", "up", "--embedded")
    read_until(process, b"ready")
    process.send_signal(number)
    process.wait(60)
    stage.nothing_left()


def test_a_lab_that_is_up_stays_when_its_terminal_closes(stage: Stage) -> None:
    up = stage.start("lab", "up", "--embedded", "--without", "postgres", "--without", "load")
    assert up.wait(90) == 0
    time.sleep(1.0)
    status = stage.start("lab", "status", "--json")
    assert status.wait(30) == 0
    assert stage.start("lab", "down").wait(30) == 0
    end = time.monotonic() + 10
    while stage.processes() and time.monotonic() < end:
        time.sleep(0.1)
    assert stage.processes() == {}
