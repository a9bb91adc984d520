"""What the service manager hears of an engine: sd_notify(3), and its watchdog only when it is this process's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.api_server import LoopLag
from console.engine.process import LOOK_EVERY, watch_loop
from console.engine.report import StartReport

OWN = str(os.getpid())


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    name = f"recovery-test-{OWN}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / name) if request.param == "path" else f"\0{name}")
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / name) if request.param == "path" else f"@{name}")
        yield listening


def heard(manager: socket.socket) -> set[str]:
    said: set[str] = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            said.add(manager.recv(999).decode())
    return said


@pytest.mark.parametrize(
    ("pid", "period", "signals"),
    [(OWN, "1000000", True), (None, "1000000", True), ("1", "1000000", False), (OWN, None, False), (OWN, "0", False)],
    ids=["own", "unnamed", "another", "no period", "period 0"],  # a process id is another one in each process of a run
)
async def test_29_whose_watchdog(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, pid: str | None, period: str | None, *, signals: bool
) -> None:
    for name, value in (("WATCHDOG_PID", pid), ("WATCHDOG_USEC", period)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    StartReport(None).ready("serves")
    assert heard(manager) == {"READY=1"}
    watching = asyncio.create_task(watch_loop(LoopLag()))
    await asyncio.sleep(3 * LOOK_EVERY)
    watching.cancel()
    assert heard(manager) == ({"WATCHDOG=1"} if signals else set())
