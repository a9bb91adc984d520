"""Which stream is whose, on real servers whose names are wrong: exchanged, copied, quoted, and of no server at all.

A false match makes a standby that lacks commits look like the one that confirmed them.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.health import Health
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.senders import sender_of
from state.world.observed import Observed
from state.world.readings import PostgresReading
from state.world.world import World
from tests.contract.components import (
    as_user,
    as_user_argv,
    kill_pair,
    make_primary,
    postgres_bin,
    postgres_with_tls,
)
from tests.contract.test_postgres_streams import ORDERS, node
from tests.support.ports import free_port

NODES = {"n1": "a", "n2": "b", "n3": "c"}
"""The estate's names and the servers' folders."""


class Trio:
    """A primary and two standbys, each called by its upstream as it is told to."""

    def __init__(self, place: Path, programs: Path) -> None:
        self.pair = make_primary(place, programs)
        self.ports = {"a": self.pair.primary, "b": self.pair.standby, "c": free_port()}
        self.sql("a", "alter system set wal_level = logical")
        self.sql("a", "create table ledger (n int primary key)")
        self.pair.control("a", "-m", "fast", "stop")
        self.pair.start("a", self.pair.primary)
        for name in "bc":
            as_user(
                self.pair.bin / "pg_basebackup", "-D", place / name, "-X", "stream", "-c", "fast", "--no-sync", "-R",
                "-d", f"host=127.0.0.1 port={self.pair.primary} user=postgres",
            )  # fmt: skip
            self.pair.start(name, self.ports[name])

    def sql(self, name: str, text: str) -> None:
        self.pair.psql(self.ports[name], text)

    def called(self, names: dict[str, str]) -> None:
        """Let the standbys stream under other names; an empty one streams no more."""
        for name, shown in names.items():
            way = f"host=127.0.0.1 port={self.pair.primary} user=postgres application_name={shown}" if shown else ""
            quoted = way.replace("'", "''")
            self.sql(name, f"alter system set primary_conninfo = '{quoted}'")
            self.sql(name, "select pg_reload_conf()")

    def sync(self, names: str) -> None:
        self.sql("a", f"alter system set synchronous_standby_names = '{names}'")
        self.sql("a", "select pg_reload_conf()")

    async def judged(self, *senders: str, silent: str = "", confirms: str = "") -> ClusterVerdict:
        """The verdict once the primary has exactly these streams, `silent` has none, and `confirms` is in sync."""
        for _ in range(300):
            readings: dict[str, PostgresReading] = {}
            for name, place in NODES.items():
                async with node(self.ports[place], name) as reader:
                    readings[name] = await reader.read(deadline=5)
            streams = sorted(s.application_name for s in readings["n1"].senders if s.attached)
            quiet = not silent or readings[silent].receiver is None
            synced = {s.application_name for s in readings["n1"].senders if s.sync_state in ("sync", "quorum")}
            if streams == sorted(senders) and quiet and (not confirms or confirms in synced):
                break
            await asyncio.sleep(0.1)
        assert streams == sorted(senders)
        world = World()
        for name, reading in readings.items():
            world.observed[f"postgres:orders/{name}"] = Observed(f"postgres:orders/{name}", 3.0, reading, 1.0, 1.0)
        return cluster_verdict("orders", ORDERS, world, 1.5)


@pytest.fixture(scope="module", params=["newest", "oldest"])
def trio(request: pytest.FixtureRequest) -> Iterator[Trio]:
    with tempfile.TemporaryDirectory(prefix="trio", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o777)
        made = Trio(Path(folder), postgres_bin() if request.param == "newest" else postgres_with_tls())
        try:
            yield made
        finally:
            kill_pair(made.pair)
            as_user("sh", "-c", f"{made.pair.bin}/pg_ctl -D {made.pair.place}/c -m immediate stop || true")


async def test_exchanged_names_do_not_exchange_the_standbys(trio: Trio) -> None:
    """n2 calls itself n3, n3 calls itself n2, and `n2` is the synchronous one."""
    trio.called({"b": "n3", "c": "n2"})
    trio.sync("n2")
    cluster = await trio.judged("n2", "n3", confirms="n2")
    assert cluster.guarantee is not None
    assert (cluster.guarantee.kind, cluster.guarantee.members) == ("sync", ("n3",))
    assert cluster.guarantee.detail == "n3 (as n2)"
    assert cluster.candidate is not None
    assert cluster.candidate.node == "n3"
    trio.called({"b": ""})
    await trio.judged("n2", silent="n2")
    for first in range(1, 400, 100):
        trio.sql("a", f"insert into ledger select g from generate_series({first}, {first + 99}) g")
    cluster = await trio.judged("n2", silent="n2")
    told = {n: cluster.facts.nodes[n].postgres for n in ("n2", "n3")}
    assert {n: r.settings.follows for n, r in told.items() if r and r.settings} == {"n2": False, "n3": True}
    assert cluster.eligible["n2"].lacks != 0, "what another standby has is not its own"
    assert cluster.eligible["n2"].may_lead is False
    assert cluster.candidate is not None
    assert cluster.candidate.node == "n3"
    trio.sync("")
    trio.sql("a", "truncate ledger")


async def test_a_name_that_two_use_proves_nothing_for_either(trio: Trio) -> None:
    """The configuration of one standby was copied to the other."""
    trio.called({"b": "n2", "c": "n2"})
    trio.sync("n2")
    cluster = await trio.judged("n2", "n2", confirms="n2")
    primary = cluster.facts.nodes["n1"].postgres
    assert primary is not None
    assert [s.application_name for s in primary.senders] == ["n2", "n2"]
    for name in ("n2", "n3"):
        assert sender_of(primary, name, cluster.facts.nodes[name].postgres) is None
    assert cluster.guarantee is not None
    assert cluster.guarantee.members == ()
    assert "every acknowledged commit" not in cluster.risk.message
    assert "several streams are called n2" in cluster.guarantee.message
    trio.sync("")


async def test_names_with_spaces_are_found(trio: Trio) -> None:
    trio.called({"b": "'of node b'", "c": "n3"})
    cluster = await trio.judged("of node b", "n3")
    primary, second = cluster.facts.nodes["n1"].postgres, cluster.facts.nodes["n2"].postgres
    assert primary is not None
    found = sender_of(primary, "n2", second)
    assert found is not None
    assert found.application_name == "of node b"


async def test_a_logical_subscriber_that_confirms_commits_is_no_standby(trio: Trio) -> None:
    trio.called({"b": "n2", "c": "n3"})
    trio.sql("a", "select pg_create_logical_replication_slot('sub', 'test_decoding')")
    way = f"host={trio.pair.place} port={trio.pair.primary} user=postgres dbname=postgres application_name=sub"
    reader = subprocess.Popen(
        as_user_argv(trio.pair.bin / "pg_recvlogical", "-d", way, "-S", "sub", "--start", "-f", "-", "-s", "1"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        trio.sync("sub")
        cluster = await trio.judged("n2", "n3", "sub", confirms="sub")
        assert cluster.guarantee is not None
        assert (cluster.guarantee.kind, cluster.guarantee.members) == ("stored", ())
        assert "sub is a logical subscriber: no node could take over with it" in cluster.guarantee.message
        assert cluster.health is Health.WARN
        assert "every acknowledged commit" not in cluster.risk.message
    finally:
        reader.kill()
        reader.wait()
        trio.sync("")
