"""The session's lab, shared with the tests of the lab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.lab.client import LabClient
from tests.crash.targets import Truth
from tests.support.real_engine import older_server, shared_lab


@pytest.fixture(scope="session")
def lab() -> Iterator[LabClient]:
    with shared_lab(older_server()) as client:
        yield client


@pytest.fixture
def truth(lab: LabClient) -> Truth:
    return Truth(lab)
