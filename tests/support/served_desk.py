"""A desk behind real sockets, for verbs that are run as a person or a script runs them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.api_server import ApiServer, Sockets
from state.api.views.header import SourceRow
from tests.support.front_desk import Desk


class Running:
    """A desk behind a served front door, in a thread of its own; `estate` leads verbs to it."""

    def __init__(self, folder: Path) -> None:
        self.estate = folder / "estate.yaml"
        self.estate.write_text("estate: lab\n")
        (folder / "LAB.json").write_text("{}")
        (folder / "run").mkdir()
        self.sockets = Sockets(folder / "run")
        self.desk: Desk
        self._loop = asyncio.new_event_loop()
        self._ready, self._ending = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    async def _serve(self) -> None:
        self.desk = Desk()
        server = ApiServer(self.desk, self.sockets)
        await server.start()
        self._ready.set()
        await self._ending.wait()
        await server.stop()

    def __enter__(self) -> Running:
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
        self._loop.close()

    def touch(self, topic: str, **changes: Any) -> None:
        """Change a view from this thread."""
        self._loop.call_soon_threadsafe(lambda: self.desk.touch(topic, **changes))

    def read_now(self) -> None:
        """The desk's only source was read just now; without this it was read long ago."""
        self.touch("header", sources={"pg:n1": SourceRow("pg:n1", self.desk.mono(), 3600.0, "", "")})


@contextmanager
def served_desk() -> Iterator[Running]:
    """A served desk in a short folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="rcli-", dir="/tmp"))
    try:
        with Running(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder)


def run_verb(*argv: str, limit: float = 60, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A verb as a process of its own; an empty variable is left out of its environment."""
    merged = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-m", "console.cli", *argv],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=limit,
        env={name: value for name, value in merged.items() if value},
    )
