"""Fixtures of the contract suites: every component is started once a session and always ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.context import Context
from state.estate import Polling
from tests.contract.components import HAPROXY, Pair, RunningHAProxy, free_port, haproxies, kill_pair, make_pair


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(tmp_path, Polling())


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A short path: Unix sockets have at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="rc-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session", params=haproxies(), ids=lambda path: "wheel" if "ray" in str(path) else "path")
def haproxy(request: pytest.FixtureRequest, folder: Path) -> Iterator[RunningHAProxy]:
    place = Path(tempfile.mkdtemp(dir=folder))
    running = RunningHAProxy(request.param, place / "h.cfg", place / "a.sock", place / "u.sock", front=free_port())
    running.config.write_text(
        HAPROXY.format(socket=running.socket, user_socket=running.user_socket, port=free_port(), front=running.front)
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def pair(folder: Path) -> Iterator[Pair]:
    place = Path(tempfile.mkdtemp(dir=folder))
    running = make_pair(place)
    yield running
    kill_pair(running)
