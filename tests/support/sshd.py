"""A real sshd on loopback, as the account of the tests, with keys of its own; ended with everything it started."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from state.estate.hosts import SshHost
from tests.support.ports import free_port

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
AcceptEnv RECOVERY_*
MaxSessions 50
AllowStreamLocalForwarding yes
"""


@dataclass(frozen=True, slots=True)
class Sshd:
    """A running sshd: its port, its folder with `client_key` and `known_hosts`, and its process."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def host(self) -> SshHost:
        """How the product reaches it."""
        return SshHost(
            address="127.0.0.1",
            port=self.port,
            user=getpass.getuser(),
            identity=str(self.folder / "client_key"),
            known_hosts=str(self.folder / "known_hosts"),
        )

    def sessions(self) -> set[int]:
        """The processes that serve its connections."""
        listed = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return {int(pid) for pid in listed.stdout.split()}

    def force(self, command: str) -> None:
        """From now on the key runs this command, whatever is asked for."""
        public = (self.folder / "client_key.pub").read_text()
        (self.folder / "authorized_keys").write_text(f'command="{command}" {public}')

    def allow(self) -> None:
        """From now on the key runs what is asked for."""
        shutil.copy(self.folder / "client_key.pub", self.folder / "authorized_keys")

    def freeze(self) -> None:
        """No connection of it does anything."""
        for pid in (*self.sessions(), self.process.pid):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        for pid in (*self.sessions(), self.process.pid):
            with suppress(ProcessLookupError):  # a session that has just ended
                os.kill(pid, signal.SIGCONT)


def _key(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def running_sshd(folder: Path) -> Iterator[Sshd]:
    """sshd while the context lasts, in an empty folder."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    _key(folder / "host_key")
    _key(folder / "client_key")
    shutil.copy(folder / "client_key.pub", folder / "authorized_keys")
    kind, key = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
    program = shutil.which("sshd") or "/usr/sbin/sshd"  # sshd asks for its whole path
    with (folder / "log").open("wb") as log:
        command = [program, "-D", "-e", "-f", str(folder / "config")]
        process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
    server = Sshd(folder, port, process)
    try:
        _until_it_listens(server)
        yield server
    finally:
        server.thaw()
        for pid in (*server.sessions(), process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _until_it_listens(server: Sshd) -> None:
    end = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        if server.process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"sshd does not listen: {(server.folder / 'log').read_text()}")
        time.sleep(0.05)
