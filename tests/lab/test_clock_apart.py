"""A node whose clock is 12 s behind: nothing is said of it, also not when it leads; clocks of others prove nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import asyncpg
import pytest

from adapters.lab.client import LabClient
from state.health import Health
from tests.crash.targets import Truth
from tests.lab.test_night import newest, observed
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

pytestmark = pytest.mark.lab

SLOW = 150.0
HOLDS = 300.0
LOOKED = 15.0
"""Seconds in which nothing may be said: more than the clocks are apart, and many polls."""


@pytest.fixture(scope="module")
def engine(lab: LabClient) -> Iterator[RealEngine]:
    with engine_home(lab_estate(lab, "databases", "balancers")) as running:
        asyncio.run(running.start())
        yield running
        running.end()


async def apart(lab: LabClient, node: str) -> float:
    """Seconds by which the clock of a server is behind this one's, past the engine."""
    there = lab.description()["nodes"][node]
    password = (lab.directory / "secrets" / "superuser").read_text().strip()
    connection = await asyncpg.connect(
        host=there["host"], port=there["postgres"], user="superuser", password=password, database="postgres", ssl=False
    )
    try:
        told = await connection.fetchval("select extract(epoch from clock_timestamp())::float8")
    finally:
        await connection.close()
    return time.time() - float(told)


async def well(engine: RealEngine) -> None:
    async def there() -> bool:
        overview, header = await engine.client.view("overview"), await engine.client.view("header")
        return overview.health is Health.PASS and not header.causes

    await until(there, SLOW, "it does not become well")


async def over(engine: RealEngine) -> None:
    """The node was started anew: what is recorded of that comes before."""

    async def still() -> bool:
        before = newest(engine)
        await asyncio.sleep(4)
        return newest(engine) == before

    await until(still, SLOW, "entries do not cease")


async def quiet(engine: RealEngine) -> None:
    """Looked at for some time: all is well, each standby is near, and nothing is recorded."""
    await over(engine)
    since, end = newest(engine), time.monotonic() + LOOKED
    while time.monotonic() < end:
        header, view = await engine.client.view("header"), await engine.client.view("replication")
        assert not header.causes, header.causes
        assert view.clusters["orders"].health is Health.PASS, view.clusters["orders"].message
        for node in view.nodes.values():
            assert node.health is Health.PASS, (node.node, node.message)
            assert node.lag_seconds is None or 0.0 <= node.lag_seconds < 5.0, (node.node, node.lag_seconds)
        await asyncio.sleep(0.5)
    assert [b.line for b in observed(engine, since)] == []


@pytest.mark.usefixtures("faketime")
@pytest.mark.parametrize("leads", [False, pytest.param(True, marks=pytest.mark.torture)])
async def test_a_clock_that_is_apart_raises_nothing(lab: LabClient, engine: RealEngine, *, leads: bool) -> None:
    truth = Truth(lab)
    await well(engine)
    node = str((await lab.inject("clock-apart", seconds=HOLDS, within=SLOW))["target"])
    try:
        assert await apart(lab, node) > 10
        await well(engine)
        await quiet(engine)
        if leads:
            run = await engine.act("database.switchover", database="orders", to=node)
            assert (await engine.settled(run, SLOW)).state == "done"
            assert (await truth.writer())[0] == node
            assert await apart(lab, node) > 10
            await well(engine)
            await quiet(engine)
    finally:
        await lab.undo("clock-apart", within=2 * SLOW)
    assert abs(await apart(lab, node)) < 2
    await well(engine)
    assert engine.chain() == ""
