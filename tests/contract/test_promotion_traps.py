"""What a promotion takes away, told before it on real servers: unlogged tables, failover slots that are not ready."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster
from adapters.secrets import Secret
from state.api.card import WarningKind
from state.changes.leader import means
from state.changes.sight import look
from state.verdicts.slots import slot_words
from tests.contract.compared import psql
from tests.contract.components import PASSWORD, Pair, kill_pair, make_pair, wait_for
from tests.contract.test_logical import facts
from tests.contract.test_postgres_streams import until


@asynccontextmanager
async def cluster(pair: Pair) -> AsyncIterator[PostgresCluster]:
    access = Access("recovery", "postgres", Secret(PASSWORD))
    nodes = [PostgresNode(n, "127.0.0.1", p, access) for n, p in (("a", pair.primary), ("b", pair.standby))]
    try:
        yield PostgresCluster("orders", nodes, None)
    finally:
        for node in nodes:
            await node.close()


async def warned(database: PostgresCluster) -> list[tuple[WarningKind, str]]:
    sight = await look(database, 10)
    return [(each.kind, each.message) for each in await means(database, sight, "a", "b", 10)]


@pytest.mark.parametrize("major", ["15", "18"])
async def test_replication_trap_57_unlogged_tables_of_every_database_are_on_the_card(
    majors: dict[str, Pair], major: str
) -> None:
    pair = majors[major]
    for name in ("till", "vault"):
        psql(pair, pair.primary, "postgres", f"create database {name}")
    psql(pair, pair.primary, "till", "create unlogged table carts (id int)")
    psql(pair, pair.primary, "vault", "revoke connect on database vault from public")
    at = psql(pair, pair.primary, "postgres", "select pg_current_wal_flush_lsn()").strip()
    reached = f"select pg_last_wal_replay_lsn() >= '{at}'"
    wait_for(lambda: psql(pair, pair.standby, "postgres", reached).strip() == "t", 60)
    try:
        async with cluster(pair) as database:
            said = await warned(database)
        assert said == [
            (WarningKind.EFFECT, "1 unlogged table will be empty on b"),
            (
                WarningKind.UNKNOWN,
                "which tables a promotion of b empties in databases that this engine may not read: vault",
            ),
        ]
    finally:
        for name in ("till", "vault"):
            psql(pair, pair.primary, "postgres", f"drop database {name} with (force)")


async def test_replication_traps_37_and_57_a_slot_that_is_not_ready_and_prepared_transactions_are_told_before() -> None:
    """The slot is listed on the standby with failover and synced true; only that it is temporary tells (18). A standby
    shows no prepared transaction; after its promotion it is there, with its locks."""
    with tempfile.TemporaryDirectory(prefix="trap") as folder:
        place = Path(folder)
        place.chmod(0o777)
        pair = make_pair(place)
        try:
            await _promoted_without_its_slot(pair)
        finally:
            kill_pair(pair)


async def _promoted_without_its_slot(pair: Pair) -> None:
    with (pair.place / "a" / "pg_hba.conf").open("a") as hba:
        hba.write("local replication all trust\n")
    upstream = f"host={pair.place} port={pair.primary} user=postgres application_name=b dbname=postgres"
    for setting in ("wal_level = logical", "max_prepared_transactions = 5"):
        pair.psql(pair.primary, f"alter system set {setting}")
    pair.control("a", "-m", "fast", "stop")
    pair.start("a", pair.primary)
    pair.psql(pair.primary, "select pg_create_logical_replication_slot('cdc', 'pgoutput', false, false, true)")
    pair.psql(pair.primary, "create table later (id int)")  # what is older is not on the standby any more
    on = [f"{each} = on" for each in ("hot_standby_feedback", "sync_replication_slots")]
    for setting in (*on, "wal_level = logical", "max_prepared_transactions = 5", f"primary_conninfo = '{upstream}'"):
        pair.psql(pair.standby, f"alter system set {setting}")
    pair.control("b", "-m", "fast", "stop")
    pair.start("b", pair.standby)
    async with cluster(pair) as database:
        reading = await until(database.server("b"), lambda r: r.slots)
        (slot,) = reading.slots
        assert (slot.name, slot.failover, slot.synced, slot.temporary) == ("cdc", True, True, True), "the trap itself"
        words = slot_words(facts(reading), slot, None)
        assert words == "not ready: a promotion here drops it, and its consumer loses changes"
        said = (WarningKind.EFFECT, "logical slots that are not ready on b and dropped at promotion: cdc")
        assert said in await warned(database)
        psql(pair, pair.primary, "postgres", "", stdin="begin; lock later; prepare transaction 'open';")
        held = "1 prepared transaction of a: each holds its locks on the new leader too"
        assert (WarningKind.EFFECT, held) in await warned(database)
        assert psql(pair, pair.standby, "postgres", "select gid from pg_prepared_xacts") == ""
        pair.control("a", "-m", "immediate", "stop")
        gone = "logical slots that b does not have: cdc; their consumers lose changes"
        told = await warned(database)
        assert said in told or (WarningKind.EFFECT, gone) in told, "the old leader's slots are known from before"
        pair.control("b", "promote")
        promoted = await until(database.server("b"), lambda r: not r.in_recovery)
        assert promoted.slots == (), "and so it came"
    assert psql(pair, pair.standby, "postgres", "select gid from pg_prepared_xacts").strip() == "open"
