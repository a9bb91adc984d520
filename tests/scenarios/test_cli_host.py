"""`--host`: every verb through a real sshd on loopback, and what is said when ssh does not get there."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.served_desk import Running, run_verb

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host
AuthorizedKeysFile {root}/authorized
PidFile {root}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv PATH={root}/bin:/usr/bin:/bin
"""


class Sshd:
    """An ssh server with keys of its own; the client's configuration is read through a wrapper on PATH."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        for name in ("host", "client", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)], check=True)
        (root / "authorized").write_text((root / "client.pub").read_text())
        (root / "config").write_text(CONFIG.format(port=self.port, root=root))
        (root / "known").write_text(f"[127.0.0.1]:{self.port} {(root / 'host.pub').read_text()}")
        (root / "bin").mkdir()
        self.install_recovery()
        self.use("client", "known")
        os.makedirs("/run/sshd", exist_ok=True)
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        self._process = subprocess.Popen([sshd, "-D", "-e", "-f", str(root / "config")], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("sshd does not listen")

    def install_recovery(self) -> None:
        there = self.root / "bin" / "recovery"
        there.write_text(f'#!/bin/sh\necho "a message of the day"\nexec {sys.executable} -m console.cli "$@"\n')
        there.chmod(0o755)
        self.recovery = there

    def use(self, key: str, known: str) -> None:
        """Which key and which known hosts the client has."""
        client = self.root / "client-bin"
        client.mkdir(exist_ok=True)
        options = f"-F none -o IdentitiesOnly=yes -i {self.root / key} -o UserKnownHostsFile={self.root / known}"
        (client / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {options} "$@"\n')
        (client / "ssh").chmod(0o755)
        self.path = f"{client}:{os.environ['PATH']}"

    @property
    def address(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    root = Path(tempfile.mkdtemp(prefix="rssh-", dir="/tmp"))
    server = Sshd(root)
    yield server
    server.end()
    shutil.rmtree(root)


def far(sshd: Sshd, running: Running, *argv: str) -> subprocess.CompletedProcess[bytes]:
    return run_verb(*argv, "--estate", str(running.estate), "--host", sshd.address, PATH=sshd.path)


def test_reading_verbs_work_through_ssh(sshd: Sshd, running: Running) -> None:
    for argv in (("status",), ("traffic", "show"), ("db", "show"), ("run", "list"), ("runbook", "list")):
        near = run_verb(*argv, "--json", "--estate", str(running.estate))
        there = far(sshd, running, *argv, "--json")
        assert (there.returncode, there.stderr) == (near.returncode, b"")
        assert type(json.loads(there.stdout)) is type(json.loads(near.stdout))
    tail = far(sshd, running, "journal", "tail", "-n", "2")
    assert (tail.returncode, len(tail.stdout.splitlines())) == (0, 2)
    assert far(sshd, running, "journal", "verify").returncode == 0
    assert far(sshd, running, "journal", "export").stdout == b'{"seq":1}\n{"seq":2}\n'


def test_acting_verbs_work_through_ssh(sshd: Sshd, running: Running) -> None:
    started = far(sshd, running, "traffic", "drain", "m", "web", "b", "--yes-nonce", "--no-wait", "--json")
    assert started.returncode == 0, started.stderr
    assert json.loads(started.stdout)["run"] == "R-1"
    assert far(sshd, running, "stop").returncode == 0
    assert [name for name, _ in running.desk.calls] == ["preview", "submit", "stop"]


def test_what_is_no_request_runs_there(sshd: Sshd, running: Running) -> None:
    status = far(sshd, running, "engine", "status")
    assert status.returncode == 0, status.stderr
    assert str(running.estate).encode() in status.stdout


def test_nothing_listens_there(sshd: Sshd, running: Running, tmp_path: Path) -> None:
    estate = tmp_path / "recovery.yaml"
    estate.write_text("estate: nothing-runs-here\n")
    done = run_verb("status", "--estate", str(estate), "--host", sshd.address, PATH=sshd.path)
    assert done.returncode == 6
    assert b"no engine of nothing-runs-here listens" in done.stderr
    assert b"recovery engine start --host" in done.stderr
    gone = run_verb("status", "--estate", "no-such-estate", "--host", sshd.address, PATH=sshd.path)
    assert gone.returncode == 2
    assert b"no engine of that name" in gone.stderr


def test_the_error_of_ssh_is_shown(sshd: Sshd, running: Running) -> None:
    for spoil, said in (
        (lambda: sshd.use("stranger", "known"), b"Permission denied"),
        (lambda: sshd.use("client", "nowhere"), b"Host key verification failed"),
        (sshd.recovery.unlink, b"not found"),
    ):
        sshd.use("client", "known")
        spoil()
        for argv in (("status",), ("stop",), ("engine", "status"), ("journal", "verify")):
            began = time.monotonic()
            done = far(sshd, running, *argv)
            assert (done.returncode, said in done.stderr) == (6, True), done.stderr
            assert b"By hand" in done.stderr or b"by hand" in done.stderr
            assert time.monotonic() - began < 20
    assert running.desk.calls == []


def test_a_host_that_is_not_there(sshd: Sshd, running: Running) -> None:
    sshd.end()
    done = far(sshd, running, "stop", "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["kind"], error["exit"]) == (6, "unreachable", 6)
    assert "Connection refused" in error["message"]
    assert "ssh" in error["next"]
    wrong = run_verb("status", "--host", "nonsense")
    assert (wrong.returncode, b"Write ssh://" in wrong.stderr) == (2, True)
