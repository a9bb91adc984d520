"""A whole running lab: what it says of itself, each fault with its effect and its undo."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from adapters.lab.client import LabClient, start_lab
from adapters.lab.errors import LabError, NoSuchFaultError
from adapters.lab.process.processes import postmaster_of
from adapters.lab.progress import LabProgress

pytestmark = pytest.mark.lab


async def wait_for(condition: Callable[[], Awaitable[bool]], limit: float = 60) -> None:
    async with asyncio.timeout(limit):
        while not await condition():
            await asyncio.sleep(0.1)


async def runtime(lab: LabClient, site: str, command: str) -> str:
    path = lab.description()["balancer_sockets"][site]
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(command.encode() + b"\n")
    answer = (await reader.read()).decode().strip()
    writer.close()
    return answer


async def weights(lab: LabClient) -> list[int]:
    return [
        int((await runtime(lab, site, f"get weight checkout/{server}")).split()[0])
        for site in ("east", "west")
        for server in ("blue", "green")
    ]


async def writable(lab: LabClient) -> set[str]:
    nodes = (await lab.status())["nodes"]
    return {name for name, state in nodes.items() if state["replica"] is False}


async def alerts(lab: LabClient) -> set[str]:
    port = lab.description()["ports"]["prometheus"]
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/api/v1/alerts") as response,
    ):
        found = (await response.json())["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}


def needs_prometheus(lab: LabClient) -> bool:
    return "prometheus" in lab.description()["present"]


async def test_the_lab_describes_itself_and_carries_traffic(lab: LabClient) -> None:
    description = lab.description()
    assert description["state"] == "live"
    assert description["ready"]["lab"] < 60
    assert {"postgres", "haproxy", "patroni"} <= set(description["versions"])
    assert all(entry["version"] != "unknown" for entry in description["versions"].values())
    assert (lab.directory / "LAB.json").stat().st_mode & 0o777 == 0o600
    before, lost = (await lab.status())["load"]["orders_acknowledged"], await lab.lost_orders()
    await asyncio.sleep(2)
    status = await lab.status()
    assert status["load"]["orders_acknowledged"] - before > 20
    assert {state["state"] for state in status["processes"].values()} == {"running"}
    assert set(status["load"]["services"]) >= {"checkout-east", "checkout-west", "catalog-east", "catalog-west"}
    assert (await lab.lost_orders())["lost"] == lost["lost"]


async def test_a_second_start_finds_the_running_lab(lab: LabClient) -> None:
    steps: list[LabProgress] = []
    again = await start_lab(lab.directory, progress=steps.append)
    assert [step.state for step in steps] == ["running"]
    assert again.description()["keeper_pid"] == lab.description()["keeper_pid"]


async def test_the_login_of_the_estate_reads_and_does_not_write(lab: LabClient) -> None:
    password = Path(lab.description()["secrets"]["postgres"]).read_text().strip()
    (primary,) = await writable(lab)
    host, port = lab.description()["links"][f"engine-postgres-{primary}"].split(":")
    connection = await asyncpg.connect(
        host=host, port=int(port), user="recovery", password=password, database="postgres", ssl=False, timeout=3
    )
    try:
        assert await connection.fetchval("select pg_has_role('pg_monitor', 'member')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("insert into orders (number, site, release) values (-1, 'x', 'x')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("select pg_promote()")
    finally:
        await connection.close()


async def test_patroni_answers_reads_to_all_and_changes_to_none_without_password(lab: LabClient) -> None:
    base = f"http://{lab.description()['links']['engine-patroni-n1']}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/cluster") as response:
            assert response.status == 200
        async with session.post(f"{base}/restart", json={}) as response:
            assert response.status == 401


async def test_bad_release(lab: LabClient) -> None:
    await lab.inject("bad-release")
    assert await weights(lab) == [0, 100, 0, 100]
    with pytest.raises(LabError, match="lift it first"):
        await lab.inject("bad-release")
    if needs_prometheus(lab):

        async def fires() -> bool:
            return {"HighErrorRate", "HighLatency"} <= await alerts(lab)

        await wait_for(fires)
    undone = await lab.undo("bad-release")
    assert undone["state"] == "undone"
    assert await weights(lab) == [100, 0, 100, 0]


async def test_a_fault_ends_by_itself(lab: LabClient) -> None:
    await lab.inject("bad-release", seconds=0.5)

    async def over() -> bool:
        return [fault["state"] for fault in (await lab.status())["faults"] if fault["name"] == "bad-release"] == [
            "undone"
        ]

    await wait_for(over)
    assert await weights(lab) == [100, 0, 100, 0]


async def test_freeze_primary(lab: LabClient) -> None:
    (primary,) = await writable(lab)
    injected = await lab.inject("freeze-primary")
    assert injected["target"] == primary

    async def silent() -> bool:
        return (await lab.status())["nodes"][primary]["replica"] is None

    await wait_for(silent)
    assert (await lab.undo("freeze-primary"))["state"] == "undone"

    async def speaks() -> bool:
        return len(await writable(lab)) == 1

    await wait_for(speaks)


async def test_kill_node(lab: LabClient) -> None:
    target = (await lab.inject("kill-node"))["target"]
    assert (await lab.status())["processes"][target]["state"].startswith("exited")
    assert (await lab.undo("kill-node"))["state"] == "undone"
    assert (await lab.status())["processes"][target]["state"] == "running"


async def test_cut_replication_and_only_that(lab: LabClient) -> None:
    target = (await lab.inject("cut-replication"))["target"]

    async def deaf() -> bool:
        age = (await lab.status())["nodes"][target]["age"]
        return age is None or age > 2

    await wait_for(deaf)
    nodes = (await lab.status())["nodes"]
    others = [state for name, state in nodes.items() if name != target and state["replica"]]
    assert all(state["age"] is not None and state["age"] < 2 for state in others)
    if needs_prometheus(lab):

        async def fires() -> bool:
            return "ReplicationBroken" in await alerts(lab)

        await wait_for(fires)
    assert (await lab.undo("cut-replication"))["state"] == "undone"


async def fence(lab: LabClient, node: str) -> None:
    """As the console tells a person: end the agent, then PostgreSQL."""
    os.kill((await lab.status())["processes"][node]["pid"], signal.SIGKILL)
    postmaster = postmaster_of(Path(lab.description()["nodes"][node]["data"]))
    if postmaster is not None:
        os.kill(postmaster, signal.SIGINT)

    async def ended() -> bool:
        return "exited" in (await lab.status())["processes"][node]["state"]

    await wait_for(ended)


async def test_a_split_brain_is_lifted_also_after_it_was_fenced_by_hand(lab: LabClient) -> None:
    target = (await lab.inject("split-brain"))["target"]

    async def two() -> bool:
        found = await writable(lab)
        return len(found) == 2 and target in found

    await wait_for(two)
    if needs_prometheus(lab):

        async def fires() -> bool:
            return "TwoPrimaries" in await alerts(lab)

        await wait_for(fires)
    await fence(lab, target)
    assert (await lab.undo("split-brain"))["state"] == "undone"

    async def one() -> bool:
        found = await writable(lab)
        return len(found) == 1 and target not in found

    await wait_for(one)
    password = Path(lab.description()["secrets"]["superuser"]).read_text().strip()
    node = lab.description()["nodes"][target]
    connection = await asyncpg.connect(
        host=node["host"], port=node["postgres"], user="superuser", password=password, database="postgres", ssl=False
    )
    rogue = await connection.fetchval("select count(*) from orders where site = 'rogue'")
    await connection.close()
    assert rogue == 0, "rewound"


async def test_hang_source_and_links(lab: LabClient) -> None:
    await lab.inject("hang-source", "engine-patroni-n2")
    url = f"http://{lab.description()['links']['engine-patroni-n2']}/patroni"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as session:
        with pytest.raises(TimeoutError):
            await session.get(url)
        await lab.undo("hang-source")
        async with session.get(url) as response:
            assert response.status == 200
        assert (await lab.set_link("engine-patroni-n2", "refuse"))["mode"] == "refuse"
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)
        await lab.set_link("engine-patroni-n2", "pass")
        async with session.get(url) as response:
            assert response.status == 200


async def test_wrong_dns_moves_the_traffic_away_and_back(lab: LabClient) -> None:
    await lab.inject("wrong-dns")

    async def moved(addresses: list[str]) -> bool:
        return bool((await lab.status())["load"]["addresses"] == addresses)

    await wait_for(lambda: moved(["127.0.9.9"]))
    await lab.undo("wrong-dns")
    await wait_for(lambda: moved(["127.0.1.10", "127.0.2.10"]))


async def test_reload_balancer_forgets_what_was_set(lab: LabClient) -> None:
    assert await runtime(lab, "west", "set server checkout/blue weight 37") == ""
    before = lab.description()["processes"]["haproxy-west"]["pid"]
    await lab.inject("reload-balancer", "west")
    assert (await lab.status())["processes"]["haproxy-west"]["pid"] != before
    assert await weights(lab) == [100, 0, 100, 0]


async def test_what_does_not_exist_is_named(lab: LabClient) -> None:
    with pytest.raises(NoSuchFaultError, match="no fault flood; there are archiver-failing, bad-release"):
        await lab.inject("flood")
    with pytest.raises(NoSuchFaultError, match="no link x"):
        await lab.set_link("x", "pass")
    with pytest.raises(NoSuchFaultError, match="no mode lie"):
        await lab.set_link("engine-patroni-n2", "lie")
