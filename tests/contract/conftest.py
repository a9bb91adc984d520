"""Fixtures of the contract suites: every component is started once a session and always ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from adapters.context import AdapterContext
from state.estate.model import Polling
from tests.contract.compared import make_majors
from tests.contract.components import HAPROXY, Pair, RunningHAProxy, haproxies, kill_pair, make_pair
from tests.contract.haproxy_sections import sections
from tests.contract.live_patroni import Live, live_patroni
from tests.contract.state_files import Reloadable, reloadables
from tests.support.ports import free_port
from tests.support.sshd import Sshd, running_sshd


@pytest.fixture
def context(tmp_path: Path) -> AdapterContext:
    return AdapterContext(tmp_path, Polling())


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """A server of ssh of its own for each file: its tests count sessions."""
    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp") as folder, running_sshd(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A short path: Unix sockets have at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="rc-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def live_cluster(folder: Path) -> Iterator[Live]:
    """One real Patroni cluster for all tests that ask one."""
    with live_patroni(folder) as running:
        yield running


@pytest.fixture(params=haproxies())
def run(request: pytest.FixtureRequest, folder: Path) -> Iterator[Callable[..., HAProxy]]:
    """Starts HAProxy processes, of each version, with the sections that a test gives."""
    with sections(haproxies()[request.param], folder) as start:
        yield start


@pytest.fixture(params=haproxies())
def reloadable(request: pytest.FixtureRequest, folder: Path) -> Iterator[Callable[..., Reloadable]]:
    """Starts HAProxy processes, of each version, that have a state file and can be reloaded."""
    with reloadables(haproxies()[request.param], folder) as start:
        yield start


@pytest.fixture(scope="session")
def running_haproxies(folder: Path) -> Iterator[dict[str, RunningHAProxy]]:
    running = {}
    for name, program in haproxies().items():
        place = Path(tempfile.mkdtemp(dir=folder))
        each = RunningHAProxy(program, place / "h.cfg", place / "a.sock", place / "u.sock", front=free_port())
        each.config.write_text(
            HAPROXY.format(socket=each.socket, user_socket=each.user_socket, port=free_port(), front=each.front)
        )
        each.start()
        running[name] = each
    yield running
    for each in running.values():
        each.stop()


@pytest.fixture(params=haproxies())
def haproxy(request: pytest.FixtureRequest, running_haproxies: dict[str, RunningHAProxy]) -> RunningHAProxy:
    return running_haproxies[request.param]


@pytest.fixture(scope="session")
def majors(folder: Path) -> Iterator[dict[str, Pair]]:
    """PostgreSQL 15 and 18, each a primary and a standby."""
    running = make_majors(folder)
    yield running
    for each in running.values():
        kill_pair(each)


@pytest.fixture(scope="session")
def pair(folder: Path) -> Iterator[Pair]:
    place = Path(tempfile.mkdtemp(dir=folder))
    running = make_pair(place)
    yield running
    kill_pair(running)
