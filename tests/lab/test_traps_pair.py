"""The traps of replication, on a plain streaming pair without a manager, seen through the engine's socket."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from state.api.views.replication import ClusterRow
from tests.contract.components import PASSWORD, Pair, kill_pair, make_pair
from tests.support.real_engine import RealEngine, Tree, engine_home, folder, until

pytestmark = pytest.mark.lab

EVERY = 0.4  # seconds between polls


def estate(pair: Pair) -> Tree:
    """The pair as an estate. Nothing listens where its manager should be: the servers are the only witnesses."""
    secret = pair.place / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    ports = {"a": pair.primary, "b": pair.standby}
    return {
        "estate": "pair",
        "environment": "lab",
        "sites": {"east": {}},
        "people": {"you": {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["commander"]}},
        "databases": {
            "pair": {
                "kind": "patroni",
                "scope": "pair",
                "rpo": "1MB",
                "user": "recovery",
                "password": {"file": str(secret)},
                "tls": "loopback",
                "nodes": {
                    name: {"site": "east", "postgres": f"127.0.0.1:{port}", "api": "http://127.0.0.1:1"}
                    for name, port in ports.items()
                },
            }
        },
        "runbooks": [],
        "polling": {"every": f"{EVERY}s", "deadline": "400ms", "stale_after": "2s"},
    }


@pytest.fixture
def pair() -> Iterator[Pair]:
    with folder() as place:
        running = make_pair(place)
        running.psql(running.primary, "create table orders (n int); insert into orders values (1)")
        running.psql(running.primary, "grant select on orders to recovery")
        running.psql(
            running.primary, "grant execute on function pg_read_file(text, bigint, bigint, boolean) to recovery"
        )
        yield running
        kill_pair(running)


@pytest.fixture
def engine(pair: Pair) -> Iterator[RealEngine]:
    with engine_home(estate(pair)) as running:
        asyncio.run(running.start())
        yield running
        running.end()


async def node(engine: RealEngine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (await engine.client.view("replication")).nodes[f"pair/{name}"]
    return found


async def asked(port: int, sql: str) -> Any:
    """One value, past the engine."""
    connection = await asyncpg.connect(
        host="127.0.0.1", port=port, user="recovery", password=PASSWORD, database="postgres", ssl=False
    )
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def streams(engine: RealEngine) -> None:
    async def caught_up() -> bool:
        row = await node(engine, "b")
        return (row.state, row.lag_bytes) == ("streaming", 0)

    await until(caught_up, 10, "the standby does not stream")


async def test_trap_03_an_idle_primary_is_well(pair: Pair, engine: RealEngine) -> None:
    await streams(engine)

    async def idle() -> bool:
        sql = "select extract(epoch from now() - pg_last_xact_replay_timestamp()) > 4"
        return bool(await asked(pair.standby, sql))

    await until(idle, 10, "the primary is not idle")
    row = await node(engine, "b")
    assert (row.lag_bytes, row.lag_seconds, row.unapplied_bytes) == (0, 0.0, 0), "by time alone it is behind"
    assert all(message.startswith("Patroni") for message in row.message.split("; ")), row.message


async def test_trap_02_paused_replay_shows_what_is_not_applied(pair: Pair, engine: RealEngine) -> None:
    await streams(engine)
    pair.psql(pair.standby, "select pg_wal_replay_pause()")
    pair.psql(pair.primary, "insert into orders select generate_series(1, 40000)")

    async def paused() -> bool:
        row = await node(engine, "b")
        unapplied = row.unapplied_bytes or 0
        return bool(row.state == "replay paused" and row.lag_bytes >= unapplied > 1_000_000)

    await until(paused, 6, "unapplied bytes are not shown")
    assert await asked(pair.primary, "select state from pg_stat_replication") == "streaming"
    row = await node(engine, "b")
    assert row.health in ("warn", "fail")
    assert re.search(r"replay paused, \d+\.\d MB unapplied", row.message)


async def promoted(pair: Pair) -> float:
    """Promote the standby while the primary lives; the instant it took writes."""
    await asyncio.to_thread(pair.control, "b", "promote")
    assert await asked(pair.standby, "select pg_is_in_recovery()") is False
    return time.monotonic()


async def test_trap_04_two_writers_are_told_within_two_polls_with_fork_and_bytes(
    pair: Pair, engine: RealEngine
) -> None:
    await streams(engine)
    began = await promoted(pair)
    for port in (pair.primary, pair.standby):
        pair.psql(port, f"insert into orders values ({port})")
    written = time.monotonic()

    seen: list[ClusterRow] = []

    async def told() -> bool:
        cluster = (await engine.client.view("replication")).clusters["pair"]
        seen.append(cluster)
        return "SPLIT BRAIN" in cluster.split_brain and "written past it" in cluster.split_brain

    await until(told, 5, lambda: str(seen[-1:]))
    assert time.monotonic() - written < 2 * EVERY + 1.0, f"promoted {time.monotonic() - began:.1f} s ago"
    history = (pair.place / "b" / "pg_wal" / "00000002.history").read_text().split()
    cluster = (await engine.client.view("replication")).clusters["pair"]
    assert f"forked at {history[1]}" in cluster.split_brain
    assert cluster.health == "fail"
    counts = [await asked(port, "select count(*) from orders") for port in (pair.primary, pair.standby)]
    assert counts[0] == counts[1], "equal rows, different content"
    await asyncio.sleep(4 * EVERY)
    assert await told(), "equal row counts cleared it"
    assert any("SPLIT BRAIN" in alarm for alarm in (await engine.client.view("header")).alarms)
    assert engine.kinds().count("split-brain.detected") == 1
    assert "split-brain.cleared" not in engine.kinds()


async def test_trap_05_a_node_that_takes_writes_never_shows_the_old_timeline(pair: Pair, engine: RealEngine) -> None:
    await streams(engine)
    seen: list[tuple[str, int | None]] = []
    watching = asyncio.create_task(promoted(pair))

    async def writes() -> bool:
        row = await node(engine, "b")
        seen.append((row.state, row.timeline))
        return seen[-1][0] == "writable"

    await until(writes, 10, "the promotion was not seen")
    await watching
    assert {timeline for state, timeline in seen if state == "writable"} == {2}, seen
    assert await asked(pair.standby, "select timeline_id from pg_control_checkpoint()") in (1, 2)
