"""What every test runs under: a clean environment and home, no colour surprises, no estate of the machine's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.virtual_time import VirtualLoop

ROOT = Path(__file__).parent
OF_LABS = "lab"
"""The folder of the tests of laboratories."""
SHARED, ACTING, OWN = "the laboratory", "the laboratory of effects", "own laboratories"
"""Groups of tests; the second has those of the shared laboratory outside that folder, on another such laboratory."""
BEHIND = 10
"""By how much the others give way to laboratories, whose servers have times to keep."""
SCRUBBED = ("NO_COLOR", "COLORTERM", "RECOVERY_ESTATE", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGSERVICE")


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests and their engines remember is not remembered for this account."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SCRUBBED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], object]]:
    """Tests with the mark `virtual_time` run on it, all others on the machine's: also one of such a file whose own mark
    says False, since a thread of it waits for the loop."""
    mark = item.get_closest_marker("virtual_time")
    virtual = mark is not None and mark.args != (False,)
    return {"loop": VirtualLoop if virtual else asyncio.new_event_loop}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under `-n`: what uses the shared laboratory stays in one process, what starts one of its own in another, and so
    does the rest of each file. They begin first, since they take longest. This hook is the first of all: the workers
    read the groups in it too."""
    groups = {item: _group(item) for item in items}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item]))
    items.sort(key=lambda item: groups[item] not in (SHARED, ACTING, OWN))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What needs no laboratory gives way to those of the other processes."""
    if "PYTEST_XDIST_WORKER" in os.environ and _group(item) not in (SHARED, ACTING, OWN):
        os.setpriority(os.PRIO_PROCESS, 0, BEHIND)


def _group(item: pytest.Item) -> str:
    place = item.path.relative_to(ROOT)
    own = hasattr(getattr(item, "module", None), "lab")
    if "lab" in getattr(item, "fixturenames", ()) and not own:
        return SHARED if place.parts[0] == OF_LABS else ACTING
    return OWN if own or place.parts[0] == OF_LABS else str(place)
