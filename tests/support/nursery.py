"""Engines that start at once: forked from a process that has imported the programme, and is no engine itself.

Each is a process of its own that runs `console.engine.process` from its first line on and is killed as any other. What
is saved is the time of the imports, the most of a start. This file is also the program of that process.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

LEFT_OUT = ("adapters.lab",)
"""Packages that no engine imports at its start."""
READY = b"ready\n"


class Forked:
    """One engine; fulfils EngineProcess. Its number is held, so that no other process is signalled."""

    def __init__(self, pid: int, held: int) -> None:
        self.pid = pid
        self._held = held

    def poll(self) -> int | None:
        """0 once it has ended, however it did."""
        return self._over(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises TimeoutError."""
        if self._over(timeout) is None:
            raise TimeoutError(f"process {self.pid} goes on")
        return 0

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Nothing happens when it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._held, number)

    def _over(self, seconds: float | None) -> int | None:
        if self._held < 0:
            return 0
        if not select.select([self._held], [], [], seconds)[0]:
            return None
        os.close(self._held)
        self._held = -1
        return 0


class Nursery:
    """The process that engines are forked from."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def start(self, argv: Sequence[str], environment: Mapping[str, str], said: Path) -> Forked:
        """An engine with these arguments; what it says goes to a file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wanted = {"argv": list(argv), "environment": dict(environment), "said": str(said)}
        self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        held = os.pidfd_open(pid)  # it was started an instant ago, and an ended one is not reaped before the answer
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return Forked(pid, held)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Ready for its first engine. It ends with the context; engines end by themselves or are killed."""
    argv = [sys.executable, "-P", __file__]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == READY, "the nursery did not start"
            yield Nursery(process)
        finally:
            process.kill()


def _import_all() -> None:
    for top in ("state", "adapters", "console.engine", "console.client"):
        package = importlib.import_module(top)
        for found in pkgutil.walk_packages(package.__path__, f"{top}."):
            if not found.name.startswith(LEFT_OUT) and not found.name.endswith("__main__"):
                importlib.import_module(found.name)


def _become_engine(argv: Sequence[str], environment: Mapping[str, str], said: str) -> int:
    """In the child: environment and streams as a new process has them, then the engine until its end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    saying = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for into, of in ((0, nothing), (1, nothing), (2, saying)):
        os.dup2(of, into)
    os.environ.clear()
    os.environ.update(environment)
    from console.engine.process import main

    return main(argv)


def _serve() -> None:
    """Fork for each line; the next line says that the number of the child is held, and it may be reaped."""
    _import_all()
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    for line in sys.stdin.buffer:
        wanted = json.loads(line)
        pid = os.fork()
        if pid == 0:
            sys.exit(_become_engine(**wanted))
        print(pid, flush=True)
        sys.stdin.buffer.readline()
        while True:  # those that have ended since
            try:
                ended, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not ended:
                break


if __name__ == "__main__":
    _serve()
