"""The reading of streams, slots, waiting commits and slow facts, on the oldest and the newest PostgreSQL at hand."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.databases.postgres import Access, PostgresNode
from adapters.secrets import Secret
from state.health import Health
from state.verdicts.ahead import ahead_of_primary
from state.verdicts.cluster import gather
from state.verdicts.replication import cluster_verdict
from state.verdicts.senders import sender_of
from state.world.observed import Observed
from state.world.readings import PostgresReading
from state.world.world import World
from tests.contract.components import (
    PASSWORD,
    Pair,
    as_user,
    kill_pair,
    make_primary,
    postgres_bin,
    postgres_with_tls,
)
from tests.support.ports import free_port
from tests.unit.verdict_world import ESTATE

ACCESS = Access("recovery", "postgres", Secret(PASSWORD))
ORDERS = ESTATE.databases["orders"]


@asynccontextmanager
async def node(port: int, name: str) -> AsyncIterator[PostgresNode]:
    reader = PostgresNode(name, "127.0.0.1", port, ACCESS)
    try:
        yield reader
    finally:
        await reader.close()


async def until(reader: PostgresNode, holds: Callable[[PostgresReading], Any]) -> PostgresReading:
    for _ in range(600):
        reading = await reader.read(deadline=5)
        if holds(reading):
            return reading
        await asyncio.sleep(0.1)
    raise AssertionError(f"never held: {reading}")


def backup(pair: Pair, name: str, source: int, *options: str) -> None:
    """A standby `name` of the server at a port, named so to its upstream."""
    as_user(
        pair.bin / "pg_basebackup", "-D", pair.place / name, "-R", "-X", "stream", "-c", "fast", "--no-sync", *options,
        "-d", f"host=127.0.0.1 port={source} user=postgres application_name={name}",
    )  # fmt: skip


@pytest.fixture(scope="module", params=["newest", "oldest"])
def chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, int]]:
    """a -> b -> c: a primary with a logical slot, a standby, and one that streams from the standby."""
    with tempfile.TemporaryDirectory(prefix="chain") as folder:
        place = Path(folder)
        place.chmod(0o777)
        pair = make_primary(place, postgres_bin() if request.param == "newest" else postgres_with_tls())
        pair.psql(pair.primary, "alter system set wal_level = logical")
        pair.control("a", "-m", "fast", "stop")
        pair.start("a", pair.primary)
        backup(pair, "b", pair.primary, "-C", "-S", "b")
        pair.start("b", pair.standby)
        third = free_port()
        backup(pair, "c", pair.standby, "-C", "-S", "c")
        pair.start("c", third)
        pair.psql(pair.primary, "select pg_create_logical_replication_slot('cdc', 'pgoutput')")
        yield pair, third
        pair.control("c", "-m", "immediate", "stop")
        kill_pair(pair)


async def test_one_query_serves_primary_standby_and_cascade(chain: tuple[Pair, int]) -> None:
    pair, third = chain
    async with node(pair.primary, "a") as a, node(pair.standby, "b") as b, node(third, "c") as c:
        first = await until(a, lambda r: r.senders and r.senders[0].flush_lsn)
        second = await until(b, lambda r: r.receiver_state == "streaming" and r.senders)
        last = await until(c, lambda r: r.receiver_state == "streaming")
    assert first.privileged
    assert [(s.name, s.slot_type, s.lost) for s in first.slots] == [("b", "physical", False), ("cdc", "logical", False)]
    logical = first.slots[1]
    assert (logical.plugin, logical.database, logical.temporary) == ("pgoutput", "postgres", False)
    assert first.slots[0].active_pid == first.senders[0].pid
    young = int(first.version.split(".")[0]) >= 17
    assert (logical.failover, logical.synced) == ((False, False) if young else (None, None)), "absent is unknown"
    assert (sender_of(first, "b", second), sender_of(second, "c", last)) == (first.senders[0], second.senders[0])
    assert (second.receiver, last.receiver) != (None, None)
    assert second.receiver is not None
    assert (second.receiver.name, second.receiver.slot, second.receiver.port) == ("b", "b", pair.primary)
    assert first.next_xid is not None
    assert second.next_xid is not None
    assert first.settings is not None
    assert first.settings.limits["max_connections"] == 100
    assert first.waits is not None
    assert first.waits.count == 0
    assert second.write_lsn is None
    assert last.write_lsn is None


async def test_replies_and_positions_are_seen_to_move_or_to_stand(chain: tuple[Pair, int]) -> None:
    pair, _ = chain
    async with node(pair.primary, "a") as a:
        before = await a.read(deadline=5)
        assert [s.quiet for s in before.senders] == [None], "one reading alone shows no progress"
        assert before.earlier == ()
        pair.psql(pair.primary, "create table if not exists moved as select 1")
        after = await until(a, lambda r: r.senders and r.senders[0].quiet is not None)
    assert after.earlier
    assert after.earlier[-1].ended_before > 0
    assert after.earlier[0].position <= (after.write_lsn or 0)


async def test_role_settings_and_a_waiting_commit_are_told(chain: tuple[Pair, int]) -> None:
    pair, _ = chain
    pair.psql(pair.primary, "alter role nobody_much set synchronous_commit = off")
    pair.psql(pair.primary, "alter system set synchronous_standby_names = 'nobody'")
    pair.psql(pair.primary, "select pg_reload_conf()")
    waiting = await asyncio.create_subprocess_exec(
        pair.bin / "psql", "-h", "127.0.0.1", "-p", str(pair.primary), "-U", "recovery", "-d", "postgres", "-qc",
        "create temp table waits (n int)", env={"PGPASSWORD": PASSWORD},
    )  # fmt: skip
    try:
        async with node(pair.primary, "a") as a:
            reading = await until(a, lambda r: r.waits and r.waits.count and r.waits.longest > 0.2)
    finally:
        pair.psql(pair.primary, "alter system reset synchronous_standby_names")
        pair.psql(pair.primary, "select pg_reload_conf()")
        await waiting.wait()
    assert reading.settings is not None
    assert reading.settings.weaker == ("role nobody_much: off",)
    assert reading.waits is not None
    assert reading.waits.count == 1


async def test_a_primary_put_back_to_an_older_backup_is_an_alarm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Same timeline, same system: only the positions tell, and the standby keeps what its primary has lost."""
    with tempfile.TemporaryDirectory(prefix="older") as folder:
        place = Path(folder)
        place.chmod(0o777)
        pair = make_primary(place, postgres_bin())
        as_user(
            pair.bin / "pg_basebackup", "-D", place / "old", "-X", "stream", "-c", "fast", "--no-sync",
            "-d", f"host=127.0.0.1 port={pair.primary} user=postgres",
        )  # fmt: skip
        backup(pair, "b", pair.primary)
        pair.start("b", pair.standby)
        try:
            pair.psql(pair.primary, "create table lost as select generate_series(1, 10000)")
            async with node(pair.standby, "n2") as standby:
                await until(standby, lambda r: r.receiver_state == "streaming" and r.replay_lsn == r.receive_lsn)
                pair.control("a", "-m", "immediate", "stop")
                (place / "a").rename(place / "gone")
                (place / "old").rename(place / "a")
                pair.start("a", pair.primary)
                async with node(pair.primary, "n1") as back:
                    now = await back.read(deadline=5)
                    held = await until(standby, lambda r: len(r.earlier) > 1)
            world = World()
            for at, reading in ((10.0, held), (10.5, now)):
                named = replace(reading, node="n1" if reading is now else "n2")
                key = f"postgres:orders/{named.node}"
                world.observed[key] = Observed(key, 3.0).succeeded(named, at, at)
            assert now.timeline == held.timeline
            ahead = ahead_of_primary(gather("orders", ORDERS, world, 11.0))
            verdict = cluster_verdict("orders", ORDERS, world, 11.0)
        finally:
            kill_pair(pair)
    assert ahead["n2"] == (held.held or 0) - (now.write_lsn or 0) > 100_000
    assert verdict.health is Health.FAIL
    assert verdict.risk.health is Health.UNKNOWN
    assert "of WAL that n1 lacks" in verdict.message
