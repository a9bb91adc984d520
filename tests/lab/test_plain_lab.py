"""A lab of another shape: a primary and a standby without a manager, and what faults do to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from adapters.lab.client import LabClient
from adapters.lab.errors import LabError
from adapters.lab.options import LabOptions
from state.health import Health
from tests.lab.test_replication_faults import Shown, told_everywhere
from tests.lab_fixture import running_lab
from tests.support.real_engine import RealEngine, engine_home, folder, lab_estate, until

pytestmark = pytest.mark.lab

FAULTS = (
    Shown("archiver-failing", "/archiver", "the archiver of n1"),
    Shown("replay-paused", "n2/paused", "replay on n2 is paused", Health.WARN),
    Shown("restore-older-backup", "n2/ahead", "of WAL that n1 lacks"),
    Shown("split-brain", "/split-brain", "n1 and n2 both accept writes", Health.FAIL,
          "split-brain.detected", "split-brain.cleared"),
    Shown("kill-node", "n2/silent", "n2 does not answer", Health.WARN, "node.lost", "node.back"),
)  # fmt: skip


@pytest.fixture(scope="module")
def pair() -> Iterator[LabClient]:
    """A lab of its own, without monitors."""
    options = LabOptions(shape="plain-pair", without=frozenset({"prometheus", "alertmanager", "dns"}))
    with folder() as place, running_lab(place / "lab", options) as client:
        yield client


@pytest.fixture(scope="module")
def engine(pair: LabClient) -> Iterator[RealEngine]:
    with engine_home(lab_estate(pair, "databases", "balancers")) as running:
        asyncio.run(running.start())
        yield running
        running.end()


async def test_a_plain_pair_is_well_and_carries_traffic(pair: LabClient, engine: RealEngine) -> None:
    async def placed() -> bool:
        row = (await engine.client.view("replication")).clusters["orders"]
        return bool(row.health is Health.PASS and row.leader == "n1")

    await until(placed, 60, "it is not well")
    status, missing = await pair.status(), {row["name"]: row["missing"] for row in (await pair.faults())["catalogue"]}
    assert set(status["nodes"]) == {"n1", "n2"}
    assert "patroni" not in status["present"]
    assert status["load"]["orders_acknowledged"] > 0
    assert {name for name, lacking in missing.items() if "patroni" in lacking} == {
        "clock-apart",
        "nofailover",
        "fork-same-timeline",
        "dcs-down",
    }
    with pytest.raises(LabError, match="needs three nodes"):
        await pair.inject("sync-lost")


@pytest.mark.parametrize("shown", FAULTS, ids=lambda shown: shown.fault)
async def test_a_fault_of_the_pair_is_told_everywhere(pair: LabClient, engine: RealEngine, shown: Shown) -> None:
    await told_everywhere(pair, engine, shown)


def test_a_shape_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="no shape plain-trio; did you mean plain-pair"):
        LabOptions(shape="plain-trio")
