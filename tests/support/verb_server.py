"""Verbs as processes of their own without the time of a start each: a server that has imported all of them forks.

Each child has its own streams, folder and environment, runs the program as a shell would, and ends with its code.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT = 60.0
"""Seconds a verb may take here, far above what it is designed for: many run at once on a slow machine."""
ALSO = ("adapters.lab.client", "adapters.journals.sqlite", "console.client.far", "state.api.card", "state.api.requests")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a verb ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return f"{self.code}\n{self.err}{self.out}"


class VerbServer:
    """Runs verbs."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process, self._folder, self._count = process, folder, 0

    async def run(self, *argv: str, env: Mapping[str, str | None] | None = None, homeless: bool = False) -> Ended:
        """Run a verb to its end. A variable that is None is left out; `homeless` = in a folder that was removed."""
        self._count += 1
        place = self._folder / str(self._count)
        place.mkdir()
        merged = {**os.environ, **(env or {})}
        order = {
            "argv": argv,
            "place": str(place),
            "env": {name: value for name, value in merged.items() if value is not None},
            "homeless": homeless,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        async with asyncio.timeout(LIMIT):
            while not (place / "code").exists():
                await asyncio.sleep(0.02)
        out, err = ((place / name).read_text(errors="replace") for name in ("out", "err"))
        return Ended(int((place / "code").read_text()), out, err)


@contextmanager
def verb_server() -> Iterator[VerbServer]:
    """A server, ended with all that it began."""
    with tempfile.TemporaryDirectory(prefix="rv-", dir="/tmp") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.verb_server"], stdin=subprocess.PIPE, cwd=ROOT, start_new_session=True
        )
        try:
            yield VerbServer(process, Path(folder))
        finally:
            os.killpg(process.pid, 9)
            process.wait()
            assert process.stdin is not None
            process.stdin.close()


def _serve() -> None:
    import importlib

    import click

    from console.cli.verbs import VERBS, recovery

    for name in VERBS:
        recovery.get_command(click.Context(recovery), name)
    for module in ALSO:
        importlib.import_module(module)
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if os.fork() == 0:
            _carry_out(order)
        while _reaped():
            pass


def _reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _carry_out(order: Mapping[str, Any]) -> None:
    """In a child: run the verb in a child of its own, write its code where it is waited for, end."""
    place = Path(order["place"])
    if (verb := os.fork()) == 0:
        _become(order, place)
    _, status = os.waitpid(verb, 0)
    (place / "code.new").write_text(str(os.waitstatus_to_exitcode(status)))
    (place / "code.new").rename(place / "code")
    os._exit(0)


def _become(order: Mapping[str, Any], place: Path) -> None:
    from console.cli import main

    for descriptor, path, flags in (
        (0, "/dev/null", os.O_RDONLY),
        (1, str(place / "out"), os.O_WRONLY | os.O_CREAT),
        (2, str(place / "err"), os.O_WRONLY | os.O_CREAT),
    ):
        os.dup2(os.open(path, flags, 0o600), descriptor)
    if order["homeless"]:
        os.chdir(gone := tempfile.mkdtemp(prefix="gone-", dir="/tmp"))
        os.rmdir(gone)
    os.environ.clear()
    os.environ.update(order["env"])
    try:
        main(order["argv"])
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(ended.code or 0))
    os._exit(99)


if __name__ == "__main__":
    _serve()
