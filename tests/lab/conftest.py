"""One lab for the whole session, one engine on it for each file; files with labs of their own shadow these."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from adapters.lab.client import LabClient
from adapters.lab.options import LabOptions
from adapters.lab.process.binaries import discover, find_faketime, missing
from tests.support.real_engine import SHARED_ENGINES, RealEngine, engine_home, lab_estate, shared_lab

MONITORS = ("prometheus", "alertmanager")
IN_CI = os.environ.get("CI") == "true"


def absent() -> list[str]:
    """Monitors that this machine does not have."""
    options = LabOptions()
    return [name for name in missing(options, discover(options)) if name in MONITORS]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Outside CI, tests that use `monitors` or `faketime` are deselected where there are none; in CI they run, and
    fail."""
    lacking = {"monitors"} if absent() else set[str]()
    lacking |= {"faketime"} if find_faketime(LabOptions()) is None else set()
    if IN_CI or not lacking:
        return
    without = [item for item in items if lacking & set(getattr(item, "fixturenames", ()))]
    items[:] = [item for item in items if item not in without]
    config.hook.pytest_deselected(items=without)


@pytest.fixture(scope="session")
def lab() -> Iterator[LabClient]:
    """The session's full lab."""
    with shared_lab() as client:
        yield client


@pytest.fixture
def monitors(lab: LabClient) -> None:
    """The real Prometheus and Alertmanager take part in the lab."""
    lacking = [name for name in MONITORS if name not in lab.description()["present"]]
    assert not lacking, f"this lab lacks {' and '.join(lacking)}: install them, CI tests the whole lab"


@pytest.fixture
def faketime(lab: LabClient) -> None:
    """The lab can give a node another clock."""
    assert "faketime" in lab.description()["present"], "this lab lacks faketime: install it, CI tests the whole lab"


@pytest.fixture(scope="module")
def shared_engine(lab: LabClient) -> Iterator[RealEngine]:
    """A module's engine on the whole lab, with a journal of its own."""
    with engine_home(lab_estate(lab)) as engine:
        SHARED_ENGINES.append(engine)
        yield engine
        SHARED_ENGINES.remove(engine)
        engine.end()


@pytest.fixture
def engine(shared_engine: RealEngine) -> RealEngine:
    """The module's engine, running: a test with an engine of its own may have ended it."""
    if not shared_engine.alive:
        asyncio.run(shared_engine.start())
    return shared_engine
