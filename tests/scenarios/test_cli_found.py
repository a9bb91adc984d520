"""An engine is found from sessions that lack what a login session has: cron, su, sudo, another HOME."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.engine.control import terminate
from console.places import EnginePlace, lock_holder
from tests.scenarios.test_cli_engine_life import ESTATE


class Session:
    """A login session with folders of its own, and verbs run in it or in one that lacks something."""

    def __init__(self, root: Path, estate: str) -> None:
        self.file = root / "recovery.yaml"
        account = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        self.file.write_text(ESTATE.format(account=account).replace("estate: small-life", f"estate: {estate}"))
        self.runtime, self.home = root / "run", root / "home"
        self.runtime.mkdir(mode=0o700)
        self.home.mkdir(mode=0o700)
        state = self.home / ".local" / "state" / "recovery" / estate
        self.place = EnginePlace(estate, self.file, self.runtime / "recovery" / estate, state, "test")

    def verb(self, *argv: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
        """A verb; None leaves a variable out."""
        base = {"XDG_RUNTIME_DIR": str(self.runtime), "HOME": str(self.home), "XDG_STATE_HOME": None}
        merged = {**os.environ, **base, **environment}
        return subprocess.run(
            [sys.executable, "-m", "console.cli", *argv],
            env={name: value for name, value in merged.items() if value is not None},
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def session() -> Iterator[Session]:
    root = Path(tempfile.mkdtemp(prefix="rses-", dir="/tmp"))
    login = Session(root, f"found-{os.getpid()}")
    yield login
    terminate(login.place)
    shutil.rmtree(root)
    shutil.rmtree(Path(f"/tmp/recovery-{os.getuid()}") / login.place.estate, ignore_errors=True)


def test_24_no_xdg_runtime_dir(session: Session) -> None:
    where = ("--estate", str(session.file))
    assert session.verb("engine", "start", *where).returncode == 0
    pid = int(session.place.lock.read_text().split()[0])
    status = session.verb("engine", "status", "--json", *where, XDG_RUNTIME_DIR=None)
    assert status.returncode == 0, status.stdout + status.stderr
    seen = json.loads(status.stdout)
    assert (seen["pid"], seen["socket"]) == (pid, str(session.place.engine))
    assert session.verb("status", *where, XDG_RUNTIME_DIR=None).returncode == 3  # no service: nothing is proven
    again = session.verb("engine", "start", *where, XDG_RUNTIME_DIR=None)
    assert again.returncode == 4
    assert f"process {pid}, in {session.place.runtime}" in again.stderr
    by_name = session.verb("engine", "status", "--estate", session.place.estate, XDG_RUNTIME_DIR=None)
    assert by_name.returncode == 0
    assert session.verb("engine", "stop", *where, XDG_RUNTIME_DIR=None).returncode == 0
    assert session.verb("engine", "status", *where, XDG_RUNTIME_DIR=None).returncode == 6


def test_with_another_home_the_kernels_list_of_sockets_leads_there(session: Session, tmp_path: Path) -> None:
    where = ("--estate", str(session.file))
    assert session.verb("engine", "start", *where).returncode == 0
    other = session.verb("engine", "status", "--json", *where, XDG_RUNTIME_DIR=None, HOME=str(tmp_path))
    assert other.returncode == 0, other.stdout + other.stderr
    assert json.loads(other.stdout)["socket"] == str(session.place.engine)


def test_the_runtime_folder_of_another_session_is_not_entered(session: Session) -> None:
    """After su the variable may name a folder that this account cannot enter, or that is gone."""
    where = ("--estate", str(session.file))
    assert session.verb("engine", "start", *where).returncode == 0
    seen = session.verb("engine", "status", *where, XDG_RUNTIME_DIR="/run/user/gone")
    assert (seen.returncode, str(session.place.runtime) in seen.stdout) == (0, True)


def test_a_killed_engine_is_not_taken_for_a_running_one(session: Session) -> None:
    where = ("--estate", str(session.file))
    assert session.verb("engine", "start", *where).returncode == 0
    os.kill(int(session.place.lock.read_text().split()[0]), signal.SIGKILL)
    end = time.monotonic() + 5
    while lock_holder(session.place) is not None and time.monotonic() < end:
        time.sleep(0.02)
    for runtime in (str(session.runtime), None):
        assert session.verb("engine", "status", *where, XDG_RUNTIME_DIR=runtime).returncode == 6
        assert session.verb("status", *where, XDG_RUNTIME_DIR=runtime).returncode == 6
    assert session.verb("engine", "start", *where, XDG_RUNTIME_DIR=None).returncode == 0
    assert session.verb("engine", "stop", *where, XDG_RUNTIME_DIR=None).returncode == 0


def test_an_engine_of_another_account_is_named_and_not_used(session: Session, tmp_path: Path) -> None:
    if os.getuid() != 0:
        return  # only root can make a folder that another account owns
    theirs = Path(tempfile.mkdtemp(prefix="theirs-", dir="/tmp")) / "recovery" / session.place.estate
    theirs.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(theirs / "engine.sock"))
        listener.listen()
        os.chown(theirs, 65534, 65534)
        done = session.verb("status", "--estate", str(session.file), XDG_RUNTIME_DIR=None)
    shutil.rmtree(theirs.parents[1])
    assert done.returncode == 6
    assert f"listens in {theirs} under nobody: run the verb as that account" in done.stderr
