"""Backups that others took for good ones, on a real server and both stores: flagged, frozen, expired, of a branch."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.databases.postgres import Access, PostgresNode
from console.cli.db_restore_command import command_lines
from state.api.views.restore import RestoreFault, RestoreRow
from state.health import Health
from state.restoring.choosing import Obstacle, choose
from state.restoring.targets import RestoreTarget, TargetKind
from state.verdicts.restore_window import ARCHIVE_SECONDS, restore_row
from state.world.readings import PostgresReading
from state.world.world import World
from tests.contract.backed_up import STANZA, BackedUp
from tests.contract.components import wait_for
from tests.contract.test_backups_live import read_plain, read_rest
from tests.support.ports import free_port
from tests.unit.test_restore_window import KEY, PROVEN
from tests.unit.verdict_world import NOW, healthy_cluster, look, put

FAULT = RestoreFault


@pytest.fixture
def server() -> Iterator[BackedUp]:
    place = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))
    made = BackedUp(place)
    try:
        made.make()
        yield made
    finally:
        for name in ("pg", "copy"):
            made.stop(name)
        shutil.rmtree(place, ignore_errors=True)


async def primary_of(server: BackedUp) -> PostgresReading:
    node = PostgresNode("n1", str(server.place), server.port, Access("postgres", "postgres"))
    try:
        return await node.read(deadline=20)
    finally:
        await node.close()


async def row_of(server: BackedUp, kind: str = "pgbackrest", *, age: float = 0.0) -> RestoreRow:
    """As the engine judges it, by the real server and the real store, which was read `age` seconds later."""
    reading = await (read_rest(server) if kind == "pgbackrest" else read_plain(server))
    world = World()
    healthy_cluster(world)
    put(world, "postgres:orders/n1", replace(await primary_of(server), node="n1"), age=age, limit=200.0)
    put(world, KEY, reading, age=0.0, limit=200.0)
    cluster = look(world).clusters["orders"]
    return restore_row(cluster.facts, server.entry(kind), world, NOW, PROVEN)


def codes(row: RestoreRow) -> dict[RestoreFault, Health]:
    return {each.code: each.health for each in row.faults}


async def test_replication_trap_66_a_set_with_checksum_errors_is_not_green(server: BackedUp) -> None:
    """pgBackRest ends such a backup with success and says it in `info` alone."""
    server.run(server.bin / "pg_ctl", "-D", server.place / "pg", "-w", "-m", "fast", "stop")
    server.run(server.bin / "pg_checksums", "--enable", "--no-sync", "-D", server.place / "pg")
    server.start("pg")
    server.write(3)
    server.sql("checkpoint")
    path = server.place / "pg" / server.sql("select pg_relation_filepath('ledger')")
    server.run(server.bin / "pg_ctl", "-D", server.place / "pg", "-w", "-m", "fast", "stop")
    content = bytearray(path.read_bytes())
    content[5000] ^= 0xFF
    path.write_bytes(content)
    server.start("pg")
    server.rest("--type=full", "backup")
    reading = await read_rest(server)
    assert reading.sets[0].errors, "the trap itself"
    row = await row_of(server)
    assert (row.health, codes(row)[FAULT.DAMAGED]) == (Health.FAIL, Health.WARN)
    assert codes(row)[FAULT.MISSING_WAL] is Health.FAIL, "a flagged set makes no window"
    made = choose(row, RestoreTarget(TargetKind.LATEST))
    assert (made.obstacle, command_lines(row, made, None)) == (Obstacle.DAMAGED, ())


@pytest.mark.parametrize("kind", ["pgbackrest", "archive"])
async def test_replication_trap_62_a_green_archiver_before_a_frozen_store_is_red(server: BackedUp, kind: str) -> None:
    server.rest("--type=full", "backup")
    server.base("b1")
    server.write(2)
    assert FAULT.FROZEN not in codes(await row_of(server, kind))
    server.sql("alter system set archive_command = 'true'")
    server.sql("select pg_reload_conf()")
    time.sleep(1)
    server.write(2)
    seen = await primary_of(server)
    assert seen.archiver is not None
    assert (seen.archiver.failing, seen.archiver.backlog) == (False, 0), "the trap itself"
    row = await row_of(server, kind, age=ARCHIVE_SECONDS + 5)
    assert (row.health, codes(row)[FAULT.FROZEN]) == (Health.FAIL, Health.FAIL)


async def test_replication_trap_64_wal_that_was_expired_between_kept_backups_makes_islands(server: BackedUp) -> None:
    server.write(2)
    server.rest("--type=full", "backup")
    server.write(3)
    lost = server.ledger[-1]
    server.write(3)
    server.rest("--type=full", "backup")
    server.write(3)
    kept = ("--repo1-retention-full=9", "--repo1-retention-archive=1", "--repo1-retention-archive-type=full")
    server.rest(*kept, "expire")
    row = await row_of(server)
    assert [each.newest for each in row.ranges] == [False, True], "both backups are kept, as two islands"
    assert codes(row)[FAULT.GAPS] is Health.WARN
    assert choose(row, RestoreTarget(TargetKind.LSN, lsn=lost.lsn)).obstacle is Obstacle.IN_A_GAP
    reached = choose(row, RestoreTarget(TargetKind.LSN, lsn=server.ledger[-1].lsn))
    assert reached.obstacle is None


@pytest.mark.parametrize("kind", ["pgbackrest", "archive"])
async def test_replication_traps_60_and_61_a_scratch_copy_leaves_the_archive_alone_and_a_foreign_branch_is_found(
    server: BackedUp, kind: str
) -> None:
    """A copy that is promoted with the archive command that it inherits writes its branch into production's archive."""
    server.rest("--type=full", "backup")
    server.base("b1")
    server.write(3)
    row = await row_of(server, kind)
    made = choose(row, RestoreTarget(TargetKind.LATEST))
    lines = command_lines(row, made, str(server.place / "copy"))
    assert promoted(server, lines, archives=False) == [1, 2, 3]
    assert {each.timeline for each in (await row_of(server, kind)).branches} == {1}, "nothing of it is in the archive"
    assert promoted(server, lines, archives=True) == [1, 2, 3]
    row = await row_of(server, kind)
    assert {each.timeline: each.own for each in row.branches} == {1: True, 2: False}
    assert (row.branch, codes(row)[FAULT.FOREIGN]) == (1, Health.WARN)
    server.write(2)
    row = await row_of(server, kind)
    target = RestoreTarget(TargetKind.LSN, lsn=server.ledger[-1].lsn)
    lines = command_lines(row, choose(row, target), str(server.place / "again"))
    assert any("timeline" in each and "1" in each for each in lines)
    assert server.restored(lines, server.place / "again") == [1, 2, 3, 4, 5], "along the primary's own timeline"


def promoted(server: BackedUp, lines: tuple[str, ...], *, archives: bool) -> list[int]:
    """Carry out the lines, promote what they make and let it write a segment; which commits it has."""
    folder = server.place / "copy"
    folder.mkdir(mode=0o700)
    for line in lines:
        server.run("sh", "-c", line)
    port = free_port()
    with (folder / "postgresql.auto.conf").open("a") as conf:
        conf.write(f"port={port}\n")
        if archives:  # on another host its own folder would be the one that is configured
            push = f"pgbackrest --config={server.config} --stanza={STANZA} --pg1-path={folder} archive-push %p"
            conf.write(f"archive_mode=on\narchive_command='{push} && cp %p {server.place}/wal/%f'\n")
    try:
        server.start("copy")
        wait_for(lambda: server.sql("select pg_is_in_recovery()", port) == "f", 60)
        rows = [int(each) for each in server.sql("select number from ledger order by 1", port).split()]
        server.sql("insert into ledger values (1000, 'of the copy'); select pg_switch_wal()", port)
        settled = "select archived_count > 1 from pg_stat_archiver" if archives else "select true"
        wait_for(lambda: server.sql(settled, port) == "t", 60)
        return rows
    finally:
        server.stop("copy")
        shutil.rmtree(folder)


def test_replication_trap_71_a_target_that_is_not_in_the_archive_is_refused_before_it_is_tried(
    server: BackedUp,
) -> None:
    """From 13 the server ends with an error, before 13 it promotes what it has: neither is tried."""
    server.rest("--type=full", "backup")
    server.write(3)
    row = asyncio.run(row_of(server))
    for target in (
        RestoreTarget(TargetKind.TIME, at=server.ledger[-1].at + 3600),
        RestoreTarget(TargetKind.LSN, lsn=server.ledger[-1].lsn + (64 << 20)),
    ):
        made = choose(row, target)
        assert (made.obstacle, command_lines(row, made, None)) == (Obstacle.BEYOND, ())
