"""The session's one lab, and an engine with a journal of its own for each test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from adapters.lab.client import LabClient
from tests.support.real_engine import RealEngine, engine_home, lab_estate, older_server, shared_lab
from tests.support.served_desk import Running, served_desk


@pytest.fixture(scope="session")
def lab() -> Iterator[LabClient]:
    """The session's full lab."""
    with shared_lab(older_server()) as client:
        yield client


@pytest.fixture
def running() -> Iterator[Running]:
    """A desk behind real sockets."""
    with served_desk() as desk:
        yield desk


@pytest.fixture
def engine(lab: LabClient) -> Iterator[RealEngine]:
    """The real engine on the whole lab."""
    with engine_home(lab_estate(lab)) as running:
        asyncio.run(running.start())
        yield running
        running.end()
