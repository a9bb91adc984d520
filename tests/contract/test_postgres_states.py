"""States of real servers and what is said of them, on the oldest and the newest PostgreSQL at hand."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.databases.postgres import Access, PostgresNode
from adapters.registry import kinds
from adapters.secrets import Secret
from state.config_files.located import Located
from state.estate.parse import parse_estate
from state.health import Health
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.world.observed import Observed
from state.world.world import World
from tests.contract.components import (
    PASSWORD,
    Pair,
    as_user,
    as_user_argv,
    kill_pair,
    make_primary,
    postgres_bin,
    postgres_with_tls,
)
from tests.unit.verdict_world import RAW

CAUGHT_UP = """do $$ begin for n in 1..600 loop
    exit when exists (select from pg_stat_replication where flush_lsn >= pg_current_wal_lsn());
    perform pg_stat_clear_snapshot();
    perform pg_sleep(0.1); end loop; end $$"""
"""Waits for the standby: its slot is not to be lost with another one's."""
NODES = {"n1": "primary", "n2": "standby"}


def _two_nodes() -> Any:
    raw: dict[str, Any] = deepcopy(RAW)
    places = raw["databases"]["orders"]["nodes"]
    raw["databases"]["orders"]["nodes"] = {name: places[name] for name in NODES}
    return parse_estate(Located(raw, "estate.yaml"), kinds()).databases["orders"]


ORDERS = _two_nodes()


class Readers:
    """Both servers, read by one process again and again as the engine does."""

    def __init__(self, pair: Pair, user: str, password: str) -> None:
        access = Access(user, "postgres", Secret(password))
        self.nodes = [PostgresNode(n, "127.0.0.1", getattr(pair, role), access) for n, role in NODES.items()]
        self._asked = 0.0

    async def judge(self) -> ClusterVerdict:
        """Read the standby, then the primary."""
        world = World()
        for node in reversed(self.nodes):
            self._asked += 0.5
            reading = await node.read(deadline=10)
            key = f"postgres:orders/{node.node}"
            world.observed[key] = Observed(key, 60.0).succeeded(replace(reading), 1e9 + self._asked, self._asked)
        return cluster_verdict("orders", ORDERS, world, self._asked)

    async def until(self, holds: Callable[[ClusterVerdict], Any]) -> ClusterVerdict:
        for _ in range(300):
            cluster = await self.judge()
            if holds(cluster):
                return cluster
            await asyncio.sleep(0.25)
        raise AssertionError(f"never held: {cluster.health} {cluster.message}")


@asynccontextmanager
async def reading(pair: Pair, user: str = "recovery", password: str = PASSWORD) -> AsyncIterator[Readers]:
    readers = Readers(pair, user, password)
    try:
        yield readers
    finally:
        for node in readers.nodes:
            await node.close()


@pytest.fixture(scope="module", params=["newest", "oldest"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="states") as folder:
        place = Path(folder)
        place.chmod(0o777)
        made = make_primary(place, postgres_bin() if request.param == "newest" else postgres_with_tls())
        with (place / "a" / "postgresql.conf").open("a") as conf:
            conf.write("wal_level=logical\narchive_mode=on\narchive_command='true'\n")
        made.control("a", "-m", "fast", "stop")
        made.start("a", made.primary)
        as_user(
            made.bin / "pg_basebackup", "-D", place / "b", "-R", "-X", "stream", "-c", "fast", "--no-sync",
            "-C", "-S", "n2", "-d", f"host=127.0.0.1 port={made.primary} user=postgres application_name=n2",
        )  # fmt: skip
        made.start("b", made.standby)
        yield made
        kill_pair(made)


@contextmanager
def settings(pair: Pair, **values: str) -> Iterator[None]:
    """Settings of the primary for a while."""
    for name, value in values.items():
        pair.psql(pair.primary, f"alter system set {name} = {value}")
    pair.psql(pair.primary, "select pg_reload_conf()")
    try:
        yield
    finally:
        for name in values:
            pair.psql(pair.primary, f"alter system reset {name}")
        pair.psql(pair.primary, "select pg_reload_conf()")


@contextmanager
def program(pair: Pair, name: str, *argv: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program of PostgreSQL that goes on meanwhile."""
    started = subprocess.Popen(
        as_user_argv(pair.bin / name, *argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(30)


async def test_a_streaming_pair_passes(pair: Pair) -> None:
    async with reading(pair) as readers:
        cluster = await readers.until(lambda c: c.health is Health.PASS)
    assert cluster.candidate is not None
    assert (cluster.candidate.node, cluster.risk.health) == ("n2", Health.PASS)
    assert cluster.nodes["n2"].sync == "async"


async def test_two_must_confirm_and_one_can(pair: Pair) -> None:
    async with reading(pair) as readers:
        with settings(pair, synchronous_standby_names="'FIRST 2 (n2, n9)'"):
            cluster = await readers.until(lambda c: c.guarantee and c.guarantee.kind == "blocked")
    assert "2 standbys needed, 1 in sync" in cluster.message
    assert "n9 is no standby of it" in cluster.message
    assert cluster.halted


async def test_a_frozen_synchronous_standby_holds_up_a_commit_that_is_counted(pair: Pair) -> None:
    async with reading(pair) as readers:
        with settings(pair, synchronous_standby_names="'n2'"):
            await readers.until(lambda c: c.guarantee and c.guarantee.kind == "sync" and c.health is Health.PASS)
            receiver = _receiver(pair)
            os.kill(receiver, signal.SIGSTOP)
            try:
                write = ("-h", str(pair.place), "-p", str(pair.primary), "-U", "postgres", "-qc", "create table held()")
                with program(pair, "psql", *write):
                    cluster = await readers.until(lambda c: c.guarantee and c.guarantee.kind == "blocked")
            finally:
                os.kill(receiver, signal.SIGCONT)
    assert cluster.health is Health.FAIL
    assert "n2 does not confirm; 1 waiting now, the longest since" in cluster.message


def _receiver(pair: Pair) -> int:
    """The process that receives WAL on the standby."""
    main = int((pair.place / "b" / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return next(int(c) for c in children if b"walreceiver" in Path(f"/proc/{c}/cmdline").read_bytes())


async def test_an_archive_receiver_in_sync_is_nobody_who_could_lead(pair: Pair) -> None:
    where = ("-h", "127.0.0.1", "-p", str(pair.primary), "-U", "postgres")
    with tempfile.TemporaryDirectory(dir=pair.place) as kept:
        Path(kept).chmod(0o777)
        with program(pair, "pg_receivewal", *where, "-D", kept, "--synchronous"):
            async with reading(pair) as readers:
                with settings(pair, synchronous_standby_names="'pg_receivewal'"):
                    cluster = await readers.until(lambda c: c.guarantee and c.guarantee.kind == "stored")
    assert cluster.guarantee is not None
    assert cluster.guarantee.members == ()
    assert "pg_receivewal only stores WAL: no node could take over with it" in cluster.guarantee.message
    assert not cluster.risk.message.startswith("none")


async def test_case_26_a_lost_logical_slot_names_its_subscriber(pair: Pair) -> None:
    text = (Path(__file__).parents[1] / "fixtures" / "cases" / "26-lost-logical-slot" / "setup.sql").read_text()
    steps = [each.strip() for each in text.split(";") if each.strip()]
    try:
        for step in steps:
            if step.lower().startswith("checkpoint"):
                pair.psql(pair.primary, CAUGHT_UP)
            pair.psql(pair.primary, step)
        async with reading(pair) as readers:
            cluster = await readers.until(lambda c: c.slots)
    finally:
        pair.psql(pair.primary, "alter system reset max_slot_wal_keep_size")
        pair.psql(pair.primary, "select pg_reload_conf()")
        pair.psql(pair.primary, "select pg_drop_replication_slot('cdc_orders')")
    young = int(str(cluster.facts.nodes["n1"].postgres.version).split(".")[0]) >= 17  # type: ignore[union-attr]
    reason = "wal_removed" if young else "its WAL was removed"
    said = f"lost ({reason}): the subscriber of cdc_orders (pgoutput, database postgres) must be resynchronised"
    assert said in cluster.message


async def test_an_archiver_that_fails_is_told_and_what_waits_is_counted(pair: Pair) -> None:
    async with reading(pair) as readers:
        with settings(pair, archive_command="'false'"):
            pair.psql(pair.primary, "create table archived as select 1")
            pair.psql(pair.primary, "select pg_switch_wal()")
            cluster = await readers.until(lambda c: "archiver of n1" in c.message)
    assert (cluster.health, cluster.halted) == (Health.FAIL, False)
    read = cluster.facts.nodes["n1"].postgres
    assert read is not None
    assert read.archiver is not None
    assert read.archiver.failing


async def test_a_role_without_the_privilege_knows_that_it_does_not_know(pair: Pair) -> None:
    async with reading(pair, "nobody_much", "x") as readers:
        cluster = await readers.judge()
    assert cluster.guarantee is None
    assert cluster.nodes["n1"].health is Health.UNKNOWN
    assert "grant pg_monitor to the role" in cluster.message


async def test_a_delayed_standby_says_what_its_promotion_would_apply(pair: Pair) -> None:
    pair.psql(pair.standby, "alter system set recovery_min_apply_delay = '1h'")
    pair.psql(pair.standby, "select pg_reload_conf()")
    try:
        await asyncio.sleep(1.0)  # the standby takes its setting over; commits before that are applied at once
        pair.psql(pair.primary, "create table now ()")
        pair.psql(pair.primary, "create table later as select generate_series(1, 90000)")
        async with reading(pair) as readers:
            cluster = await readers.until(lambda c: (c.nodes["n2"].lag.unapplied or 0) > 2_000_000)
    finally:
        pair.psql(pair.standby, "alter system reset recovery_min_apply_delay")
        pair.psql(pair.standby, "select pg_reload_conf()")
    assert cluster.nodes["n2"].health is Health.PASS
    assert any("a promotion applies all that it received" in note for note in cluster.eligible["n2"].notes)


async def test_a_receiver_that_hangs_says_that_it_streams_and_gets_nothing(pair: Pair) -> None:
    """EnterpriseDB/repmgr#694, multigres/multigres#990; the primary is idle, so the distance is 0 all the time."""
    async with reading(pair) as readers:
        await readers.until(lambda c: c.health is Health.PASS)
        with settings(pair, wal_sender_timeout="'1s'"):
            os.kill(receiver := _receiver(pair), signal.SIGSTOP)
            try:
                cluster = await readers.until(lambda c: c.health is not Health.PASS)
            finally:
                os.kill(receiver, signal.SIGCONT)
        own = await readers.nodes[1].read(deadline=10)
        assert own.in_recovery
        await readers.until(lambda c: c.health is Health.PASS)
    assert cluster.nodes["n2"].message.endswith("it says that it streams, and no server sends to it")
    assert cluster.nodes["n2"].lag.replay is None
    assert cluster.candidate is None


async def test_commits_hang_where_they_wait_to_be_applied_and_the_replay_is_paused(pair: Pair) -> None:
    """PostgreSQL manual, `synchronous_commit`: remote_apply. The write proves that what is said is so."""
    write = ("-h", str(pair.place), "-p", str(pair.primary), "-U", "postgres", "-qc", "create table unapplied ()")
    async with reading(pair) as readers:
        with settings(pair, synchronous_standby_names="'n2'", synchronous_commit="'remote_apply'"):
            await readers.until(lambda c: c.guarantee and c.guarantee.kind == "sync")
            pair.psql(pair.standby, "select pg_wal_replay_pause()")
            try:
                told = await readers.until(lambda c: c.guarantee and c.guarantee.kind == "blocked")
                with program(pair, "psql", *write):
                    waits = await readers.until(lambda c: c.guarantee and c.guarantee.waiting)
            finally:
                pair.psql(pair.standby, "select pg_wal_replay_resume()")
    assert told.guarantee is not None
    assert told.guarantee.waiting == 0, "it is told before the first commit waits"
    assert told.guarantee.detail.endswith("replay on n2 is paused, and commits wait until it has applied them")
    assert waits.halted


async def test_an_archiver_without_a_command_is_told(pair: Pair) -> None:
    """wal-g/wal-g#50"""
    async with reading(pair) as readers:
        with settings(pair, archive_command="''"):
            cluster = await readers.until(lambda c: "has no command for it" in c.message)
    assert cluster.health is Health.FAIL


async def test_a_primary_that_refuses_writes_by_its_settings_is_told(pair: Pair) -> None:
    """citusdata/pg_cron#270: a service sets it while the disk is full. The engine's own sessions are read-only too."""
    async with reading(pair) as readers:
        with settings(pair, default_transaction_read_only="'on'"):
            await readers.judge()
            await readers.nodes[0].close()
            cluster = await readers.until(lambda c: "n1 refuses writes" in c.message)
            with pytest.raises(subprocess.CalledProcessError):
                pair.psql(pair.primary, "create table refused ()")
        assert (cluster.health, cluster.halted) == (Health.FAIL, True)
        await readers.until(lambda c: c.health is Health.PASS)
        pair.psql(pair.primary, "alter database template1 set default_transaction_read_only = 'true'")
        try:
            cluster = await readers.until(lambda c: "n1 refuses writes to database template1" in c.message)
        finally:
            pair.psql(pair.primary, "alter database template1 reset default_transaction_read_only")
    assert not cluster.halted
    session = await readers.nodes[0].session(None, deadline=10, read_only=True)
    assert await session.fetchval("show transaction_read_only") == "on"
    await session.close()


async def test_a_standby_fed_by_an_archive_alone_is_well(pair: Pair) -> None:
    """patroni/patroni#3491: told to stream from nowhere, as Patroni's tag `nostream` does, it has whole files only."""
    kept = pair.place / "b" / "postgresql.auto.conf"
    before = kept.read_text()
    pair.psql(pair.standby, "alter system set primary_conninfo = ''")
    pair.psql(pair.standby, "alter system set restore_command = 'false'")
    pair.psql(pair.standby, "select pg_reload_conf()")
    try:
        async with reading(pair) as readers:
            fed = await readers.until(lambda c: _receiver_state(c) is None and c.nodes["n2"].health is Health.PASS)
            assert fed.nodes["n2"].state == "from the archive"
    finally:
        kept.write_text(before)
        pair.psql(pair.standby, "select pg_reload_conf()")
    async with reading(pair) as readers:
        await readers.until(lambda c: _receiver_state(c) == "streaming")


def _receiver_state(cluster: ClusterVerdict) -> str | None:
    standby = cluster.facts.nodes["n2"].postgres
    return standby.receiver_state if standby is not None else "not read"


async def test_a_standby_that_stopped_at_its_target_is_not_to_be_resumed(pair: Pair) -> None:
    """EnterpriseDB/repmgr#677, patroni/patroni#2569; PostgreSQL manual, `recovery_target_action`."""
    pair.psql(pair.standby, "alter system set recovery_target_name = 'here'")
    pair.control("b", "-m", "fast", "stop")
    pair.start("b", pair.standby)
    try:
        pair.psql(pair.primary, "select pg_create_restore_point('here')")
        async with reading(pair) as readers:
            cluster = await readers.until(lambda c: c.nodes["n2"].state == "replay paused")
    finally:
        pair.psql(pair.standby, "alter system reset recovery_target_name")
        pair.control("b", "-m", "fast", "stop")
        pair.start("b", pair.standby)
    assert "resuming it there would end its recovery, and it would accept writes" in cluster.nodes["n2"].message


async def test_a_replay_that_stopped_itself_cannot_be_promoted(pair: Pair) -> None:
    """The last of the module: the standby stays behind."""
    pair.psql(pair.primary, "alter system set max_connections = 150")
    pair.control("a", "-m", "fast", "stop")
    pair.start("a", pair.primary)
    async with reading(pair) as readers:
        cluster = await readers.until(lambda c: "settings" in _rules(c.eligible["n2"].obstacles))
    assert "max_connections is 100, on n1 150: resuming it would stop the server" in cluster.nodes["n2"].message


def _rules(obstacles: Sequence[Any]) -> list[str]:
    return [each.rule for each in obstacles]
