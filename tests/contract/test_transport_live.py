"""Plain or encrypted is read from the living stream: a setting changes only the next one (PostgreSQL 15)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.databases.postgres import PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster
from state.world.postgres_parts import Transport
from state.world.readings import PostgresReading
from tests.contract.components import Pair, as_user, kill_pair, make_primary, postgres_with_tls
from tests.contract.test_postgres_streams import backup, node, until
from tests.support.certificates import Authority


@pytest.fixture
def pair() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="way") as folder:
        place = Path(folder)
        place.chmod(0o777)
        made = make_primary(place, postgres_with_tls())
        try:
            backup(made, "b", made.primary)
            made.start("b", made.standby)
            yield made
        finally:
            kill_pair(made)


async def streams(reader: PostgresNode, other_than: int | None = None) -> PostgresReading:
    return await until(
        reader, lambda r: r.senders and r.senders[0].attached and r.senders[0].pid not in (None, other_than)
    )


def ways(reading: PostgresReading) -> Transport | None:
    return reading.senders[0].transport


def again(pair: Pair) -> None:
    """The stream is made anew: its sender is ended."""
    pair.psql(pair.primary, "select pg_terminate_backend(pid) from pg_stat_replication")


async def test_replication_trap_67_a_stream_stays_as_it_was_made(pair: Pair) -> None:
    made = Authority(pair.place).issue("a")
    as_user("install", "-m", "0600", made.key, pair.place / "a" / "server.key")
    as_user("install", "-m", "0600", made.cert, pair.place / "a" / "server.crt")
    async with node(pair.primary, "a") as reader:
        first = await streams(reader)
        assert ways(first) == Transport(local=True)
        pair.psql(pair.primary, "alter system set ssl = on")
        pair.control("a", "reload")
        pair.psql(pair.primary, "select pg_sleep(1)")
        still = await streams(reader)
        assert ways(still) == Transport(local=True), "the open stream is not encrypted by a setting"
        again(pair)
        second = await streams(reader, first.senders[0].pid)
        way = ways(second)
        assert way is not None
        assert (way.version, way.local, bool(way.cipher)) == ("TLSv1.3", True, True)
        pair.psql(pair.primary, "alter system set ssl = off")
        pair.control("a", "reload")
        pair.psql(pair.primary, "select pg_sleep(1)")
        assert ways(await streams(reader)) == way, "and it stays encrypted when the setting goes"
        again(pair)
        assert ways(await streams(reader, second.senders[0].pid)) == Transport(local=True)


async def test_replication_trap_68_the_certificate_is_the_one_that_is_served_now(pair: Pair) -> None:
    """The open stream keeps the old one; who connects anew gets the new one, and nothing is asked where none streams
    over TLS."""
    authority = Authority(pair.place)

    def serves(days: int) -> None:
        made = authority.issue("a", days=days)
        as_user("install", "-m", "0600", made.key, pair.place / "a" / "server.key")
        as_user("install", "-m", "0600", made.cert, pair.place / "a" / "server.crt")
        pair.psql(pair.primary, "alter system set ssl = on")
        pair.control("a", "reload")
        pair.psql(pair.primary, "select pg_sleep(1)")

    async def days(reader: PostgresNode) -> int | None:
        return (await PostgresCluster("orders", [reader], None).read_node("a", deadline=5)).certificate_days

    async with node(pair.primary, "a") as reader:
        before = await streams(reader)
        assert await days(reader) is None
        serves(10)
        again(pair)
        await streams(reader, before.senders[0].pid)
        assert await days(reader) == 9
        serves(2)
        assert await days(reader) == 9, "it is not asked again at once"
    async with node(pair.primary, "a") as reader:
        assert await days(reader) == 1
