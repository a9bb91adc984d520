"""The engine's log: its own defects are in it, what callers do wrong is not."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.api_server import ApiServer, Sockets
from console.engine.log import BYTES, log_to
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


def say(text: str) -> None:
    logging.getLogger("test").warning(text)
    written()


def written() -> None:
    """What was said stands in the file from here on."""
    for handler in logging.getLogger().handlers:
        handler.flush()


async def sent(path: Path, data: bytes) -> None:
    _, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
    written()


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


def test_54_the_log_of_an_outage_goes_on_in_a_new_file_when_it_is_renamed_or_removed(log: Path) -> None:
    say("one")
    log.rename(log.with_name("log.old"))
    say("two")
    assert "two" in log.read_text()
    assert "two" not in log.with_name("log.old").read_text()
    log.unlink()
    say("three\n\x1b[31m")
    [line] = log.read_text().splitlines()
    assert json.loads(line)["message"] == "three\n\x1b[31m"
    assert log.stat().st_mode & 0o777 == 0o600


def test_54_the_log_of_an_outage_without_its_folder_loses_lines_only(log: Path) -> None:
    away = log.parent.with_name(log.parent.name + "-away")
    log.parent.rename(away)
    say("lost")
    away.rename(log.parent)
    say("kept")
    assert [json.loads(line)["message"] for line in log.read_text().splitlines()] == ["kept"]


def test_a_log_rotated_by_size_stays_closed_to_others(log: Path) -> None:
    for _ in range(6):
        say("x" * (BYTES // 4))
    assert log.with_name("log.1").exists()
    assert log.stat().st_mode & 0o777 == 0o600
