"""A standby cluster of another Patroni: healthy is healthy, silence is unknown and then an alarm, and it goes along."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from adapters.lab.client import LabClient
from adapters.lab.options import LabOptions
from state.api.views.replication import ClusterRow
from state.detection.observations import CauseBegan
from state.health import Health
from tests.crash.manager_targets import Manager
from tests.crash.targets import Truth
from tests.lab.test_night import newest, observed
from tests.lab.test_replication_faults import verb
from tests.lab_fixture import running_lab
from tests.support.real_engine import RealEngine, engine_home, folder, lab_estate, until

pytestmark = pytest.mark.lab

SLOW = 150.0
WEST = "orders-west"


@pytest.fixture(scope="module")
def site() -> Iterator[LabClient]:
    """A lab of its own, without monitors and load."""
    options = LabOptions(shape="standby-cluster", without=frozenset({"prometheus", "alertmanager", "dns"}))
    with folder() as place, running_lab(place / "lab", options) as client:
        yield client


@pytest.fixture(scope="module")
def engine(site: LabClient) -> Iterator[RealEngine]:
    with engine_home(lab_estate(site, "databases", "balancers")) as running:
        asyncio.run(running.start())
        yield running
        running.end()


async def row(engine: RealEngine) -> ClusterRow:
    found: ClusterRow = (await engine.client.view("replication")).clusters[WEST]
    return found


async def well(engine: RealEngine) -> None:
    async def there() -> bool:
        header = await engine.client.view("header")
        return (await row(engine)).health is Health.PASS and not header.causes

    await until(there, SLOW, "the standby cluster does not become well")


async def test_a_healthy_standby_cluster_is_healthy_everywhere(site: LabClient, engine: RealEngine) -> None:
    await well(engine)
    cluster = await row(engine)
    assert "standby cluster, led by" in cluster.message
    assert cluster.timeline == str((await Truth(site).writer())[1])
    assert cluster.risk.lost_bytes == 0
    nodes = (await engine.client.view("replication")).nodes
    standby = next(node for name, node in nodes.items() if name in (f"{WEST}/s1", f"{WEST}/s2") and node.sync)
    assert (standby.sync, standby.health) == ("async", Health.PASS)
    status, show = await verb(engine, "status"), await verb(engine, "db", "show")
    assert status["overview"]["recover"][f"database/{WEST}"]["health"] == "pass"
    assert "leads a standby cluster, 1 follows" in status["overview"]["recover"][f"database/{WEST}"]["message"]
    assert show["replication"]["clusters"][WEST]["health"] == "pass"
    verified = await verb(engine, "db", "verify", WEST, "--skip", "amcheck")
    assert not [each for each in verified["findings"] if each["health"] == "fail"], verified["findings"]
    assert not [e for e in engine.entries() if e.kind in ("cause.began", "writer.lost", "split-brain.detected")]


async def test_it_goes_along_when_its_upstream_switches(site: LabClient, engine: RealEngine) -> None:
    await well(engine)
    old, timeline = await Truth(site).writer()
    to = next(name for name in sorted(site.description()["nodes"]) if name != old)
    run = await engine.act("database.switchover", database="orders", to=to)
    assert (await engine.settled(run, SLOW)).state == "done"

    async def along() -> bool:
        return (await row(engine)).timeline == str(timeline + 1)

    await until(along, SLOW, "it stays on the old timeline")
    await well(engine)


async def test_a_silent_upstream_is_unknown_and_then_an_alarm(site: LabClient, engine: RealEngine) -> None:
    await well(engine)
    since = newest(engine)
    await site.set_link("standby-upstream", "blackhole")
    try:
        seen: list[Health] = []

        async def alarmed() -> bool:
            cluster = await row(engine)
            if not seen or seen[-1] is not cluster.health:
                seen.append(cluster.health)
            return cluster.health is Health.FAIL

        await until(alarmed, SLOW, lambda: str(seen))
        assert Health.UNKNOWN in seen, "silence is not known to be a fault at first"
        cluster = await row(engine)
        assert "its upstream" in cluster.message
        header = await engine.client.view("header")
        assert header.causes[0].key.startswith(f"database/{WEST}/")
        assert (await engine.client.view("overview")).recover[f"database/{WEST}"].health is Health.FAIL

        async def recorded() -> bool:
            bodies = [b for b in observed(engine, since) if isinstance(b, CauseBegan)]
            return any(each.database == WEST for body in bodies for each in body.causes)

        await until(recorded, SLOW, lambda: str([b.line for b in observed(engine, since)]))
    finally:
        await site.set_link("standby-upstream", "pass")
    await well(engine)


async def test_replication_trap_33_one_that_opens_beside_its_upstream_is_an_alarm_in_its_first_seconds(
    site: LabClient, engine: RealEngine
) -> None:
    """The last test: both histories go on afterwards. Each of the two clusters is healthy by itself."""
    await well(engine)
    west = Manager(site, Truth(site), of="standby_cluster")
    assert (await west.send("GET", "/config"))[1]["standby_cluster"], "the real Patroni has it in its store"
    await west.send("PATCH", "/config", {"standby_cluster": None})

    async def both() -> bool:
        header = await engine.client.view("header")
        return f"database/orders/both-write/{WEST}" in {each.key for each in header.causes}

    await until(both, SLOW, "nobody says that both accept writes")
    header = await engine.client.view("header")
    cause = next(each for each in header.causes if "both-write" in each.key)
    assert cause.health is Health.FAIL
    assert "are one system, and both accept writes: forked at" in cause.what
