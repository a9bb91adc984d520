"""The real console as a process on a pty, beside an engine front with made-up views in a thread of this one."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.screens.fake_engine import FakeFront, serving
from tests.terminal.ptys import Terminal

CONSOLE = "import sys; from console import tui; sys.exit(tui.run(sys.argv[1], ascii_only='--ascii' in sys.argv))"


class Served:
    """A front that serves while the context lasts."""

    def __init__(self, front: FakeFront, folder: Path) -> None:
        self.front = front
        self.socket = str(folder / "engine.sock")
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    async def _serve(self) -> None:
        async with serving(self.front, self._folder):
            self._ready.set()
            await self._over.wait()

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)
        self._loop.close()

    def show(self, views: Mapping[str, Any]) -> None:
        """Other views of every topic; the console hears of them at once."""

        def change() -> None:
            for topic, view in views.items():
                self.front.show(topic, view)

        self._loop.call_soon_threadsafe(change)


@contextlib.contextmanager
def console_on(views: dict[str, Any], *wishes: str, **options: Any) -> Iterator[tuple[Terminal, Served]]:
    """A console that shows these views; `options` are those of the terminal."""
    with (
        tempfile.TemporaryDirectory(prefix="pt-") as folder,
        Served(FakeFront(views), Path(folder)) as served,
        Terminal([sys.executable, "-c", CONSOLE, served.socket, *wishes], **options) as terminal,
    ):
        terminal.wait("live")
        yield terminal, served
