"""The engine's log: its own defects are in it, what callers do wrong is not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.api_server import ApiServer, Sockets
from console.engine.log import log_to
from tests.support.front_desk import Desk

HEAD = b"POST /v1/submit HTTP/1.1\r\nHost: e\r\nContent-Type: application/json\r\n"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    log_to(tmp_path / "log")
    yield tmp_path / "log"
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


async def sent(path: Path, data: bytes) -> None:
    _, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()


async def test_noise_of_callers_is_not_logged_and_a_defect_is(tmp_path: Path, log: Path) -> None:
    class Broken(Desk):
        def journal_rows(self, after: int, limit: int) -> list[object]:  # type: ignore[override]
            raise ZeroDivisionError("a defect")

    server = ApiServer(Broken(), Sockets(tmp_path))
    await server.start()
    noise = (
        b"\x00\xff\x16\x03",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST /v1/stop HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: e\r\n\r\n",
        HEAD + b'Content-Length: 500\r\n\r\n{"plan',
    )
    for data in noise:
        await sent(server.sockets.engine, data)
    assert log.read_text() == ""
    await sent(server.sockets.observe, b"GET /v1/journal HTTP/1.1\r\nHost: e\r\n\r\n")
    assert "ZeroDivisionError" in log.read_text()
    await server.stop()
