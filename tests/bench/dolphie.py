"""dolphie, a peer of goals 1, 4 and 5, watching a MariaDB server of its own with 30 sessions that come and go."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.pty_driver import Driven
from tests.bench.servers import child, wait_until
from tests.bench.setting import Setting
from tests.contract.components import listens
from tests.support.ports import free_port

READY = r"Uptime +\d+:\d\d:\d\d"
"""The server's figures are there; its sessions are by the next refresh."""
TOGGLE = "2"
"""Hides and shows the list of sessions: no cursor moves in it."""
SESSIONS = 30
USER = "bench"
NOWHERE = "http://127.0.0.1:9/"
"""Where dolphie asks for its newest version; the benchmark stays on this machine."""


@dataclass(frozen=True, slots=True)
class Dolphie:
    """An installed dolphie and a server to watch."""

    program: str
    home: Path
    port: int
    password: str

    def shown(self) -> Driven:
        """It runs, refreshing once a second."""
        argv = [self.program, "-h", "127.0.0.1", "-P", str(self.port), "-u", USER, "-r", "1", "--pypi-repo", NOWHERE]
        return Driven(argv, {**os.environ, "HOME": str(self.home), "DOLPHIE_PASSWORD": self.password})

    def start_ms(self) -> float:
        """Milliseconds from the command until it shows data."""
        with self.shown() as shown:
            return shown.wait(READY)


def why(setting: Setting) -> str:
    """What to say when there is none."""
    return setting.peers.why("dolphie with a MariaDB server")


@contextlib.contextmanager
def dolphie(setting: Setting, name: str) -> Iterator[Dolphie | None]:
    """A server for dolphie to watch; None when either is not installed. `name` is that of its scratch folder."""
    find = setting.peers.program
    program, server, maker = find("dolphie"), find("mariadbd"), find("mariadb-install-db")
    if program is None or server is None or maker is None:
        yield None
        return
    place = setting.folder(name)
    port, password = free_port(), secrets.token_hex(16)
    with mariadb(place, server, maker, port, password):
        yield Dolphie(program, place, port, password)


@contextlib.contextmanager
def mariadb(place: Path, server: str, maker: str, port: int, password: str) -> Iterator[None]:
    """A server on a loopback port. What it may read and write is what `nobody` may, when root runs the benchmark."""
    data, init = place / "data", place / "init.sql"
    data.mkdir(mode=0o700)
    init.touch(0o600)
    init.write_text("".join(f"{line};\n" for line in statements(password)))
    root = os.geteuid() == 0
    for path in (data, init):
        if root:
            os.chown(path, 65534, 65534)
    other: list[str | Path] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if root else []
    make: list[str | Path] = [maker, "--no-defaults", f"--datadir={data}", "--skip-test-db", "--force"]
    subprocess.run([*other, *make], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    options = [
        f"--datadir={data}",
        f"--socket={data}/s",
        f"--port={port}",
        f"--init-file={init}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--event-scheduler=ON",
        "--innodb-buffer-pool-size=16M",
    ]
    with child([*other, server, "--no-defaults", *options]) as process:
        wait_until(lambda: listens(port) or process.poll() is not None)
        if process.poll() is not None:
            raise RuntimeError("MariaDB ended at its start")
        yield


def statements(password: str) -> Iterator[str]:
    """A user who may see everything, and sessions: one starts each second for every name and sleeps up to 2.2 s."""
    user = f"'{USER}'@'127.0.0.1'"
    yield f"create user {user} identified by '{password}'"
    yield f"grant select, process, slave monitor, binlog monitor on *.* to {user}"
    yield "create database bench"
    yield f"grant event on bench.* to {user}"
    for number in range(SESSIONS):
        work = f"do sleep(0.2 + 2 * rand()) /* session {number} */"
        yield f"create definer={user} event bench.session{number} on schedule every 1 second do {work}"
