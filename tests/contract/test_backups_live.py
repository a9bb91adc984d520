"""pgBackRest and a plain archive, real: full, differential and incremental backups, a gap, an expired set, a fork."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from adapters.backups.archive import WalArchive
from adapters.backups.pgbackrest import PgBackRest
from adapters.backups.segments import name_of_segment
from adapters.databases.postgres_descent import parse_lsn
from console.cli.db_restore_command import command_lines
from state.api.views.restore import PointRow, RestoreRow
from state.restoring.choosing import Obstacle, choose
from state.restoring.targets import RestoreTarget, TargetKind, parse_target
from state.world.backup_parts import BackupReading
from state.world.shapes import misfit
from tests.contract.backed_up import BackedUp, LedgerRow
from tests.unit.test_restore_window import archiver, judged

SEED = 20_261_127


@pytest.fixture(scope="module")
def server() -> Iterator[BackedUp]:
    place = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))
    made = BackedUp(place)
    try:
        made.make()
        yield made
    finally:
        made.stop("pg")
        shutil.rmtree(place, ignore_errors=True)


@dataclass(frozen=True)
class Story:
    """What was done: the server, and the readings of both stores."""

    server: BackedUp
    rest: BackupReading
    plain: BackupReading


@pytest.fixture(scope="module")
def story(server: BackedUp) -> Story:
    """Full, differential and incremental backups between commits."""
    server.write(1)
    for kind in ("full", "diff", "incr"):
        server.rest(f"--type={kind}", "backup")
        if kind != "diff":
            server.base(f"b{len(server.ledger)}")
        server.write()
    return Story(server, asyncio.run(read_rest(server)), asyncio.run(read_plain(server)))


async def read_rest(server: BackedUp) -> BackupReading:
    return await PgBackRest("orders", server.entry("pgbackrest"), server.asked()).read(deadline=60)


async def read_plain(server: BackedUp) -> BackupReading:
    return await WalArchive("orders", server.entry("archive"), server.asked()).read(deadline=60)


def row_of(server: BackedUp, reading: BackupReading, kind: str) -> RestoreRow:
    """As the engine judges it; the archiver is not what is looked at here."""
    fit = replace(reading, system_id="")
    return judged(fit, entry=server.entry(kind), arch=archiver(0, archived=0, last_archived=""))


async def test_what_pgbackrest_has_is_read(story: Story) -> None:
    reading = story.rest
    assert misfit(reading) is None
    assert [each.kind for each in reading.sets] == ["full", "diff", "incr"]
    assert reading.segment_size == 1 << 20
    assert [run.timeline for run in reading.runs] == [1], "WAL without a gap"
    assert all(not each.errors for each in reading.sets)
    assert reading.sets[2].needs, "an incremental backup needs others"


@pytest.mark.parametrize("kind", ["pgbackrest", "archive"])
async def test_replication_trap_59_the_window_ends_at_the_last_commit(story: Story, kind: str) -> None:
    """Segments without a commit are archived after it: their files are younger than the window's end."""
    server = story.server
    for _ in range(2):
        server.sql("select pg_logical_emit_message(false, 'idle', 'x')")
        server.switch()
    reading = await (read_rest(server) if kind == "pgbackrest" else read_plain(server))
    last = server.ledger[-1]
    until = reading.runs[-1].commit_at
    assert until is not None
    assert last.at <= until <= last.at + 5
    assert row_of(server, reading, kind).ranges[-1].until == until


def expected(ledger: list[LedgerRow], target: RestoreTarget) -> list[int]:
    """The commits that a restore has by the client's own ledger."""
    if target.kind is TargetKind.TIME:
        return [each.number for each in ledger if each.at <= target.at]
    return [each.number for each in ledger if each.lsn <= target.lsn]


@pytest.mark.parametrize("kind", ["pgbackrest", "archive"])
async def test_the_right_set_for_a_hundred_targets(story: Story, kind: str) -> None:
    """Against an oracle of its own: the last backup that had stopped by what the server's backups say themselves."""
    server, reading = story.server, story.rest if kind == "pgbackrest" else story.plain
    row, rng = row_of(server, reading, kind), random.Random(SEED)
    first, last = server.ledger[0], server.ledger[-1]
    by_stop = sorted(reading.sets, key=lambda each: each.stop_lsn)
    counted = set[str]()
    for number in range(100):
        if number % 2:
            lsn = rng.randint(first.lsn, last.lsn)
            target = RestoreTarget(TargetKind.LSN, lsn=lsn)
            fits = [each.label for each in by_stop if each.stop_lsn <= lsn]
        else:
            at = rng.uniform(first.at - 1, last.at)
            target = RestoreTarget(TargetKind.TIME, at=at)
            fits = [each.label for each in by_stop if each.stopped_at is not None and each.stopped_at <= at]
        made = choose(row, target)
        assert (made.backup.label if made.backup else None) == (fits[-1] if fits else None), (target, made.obstacle)
        assert fits or made.obstacle is Obstacle.TOO_EARLY
        counted.update(fits[-1:])
    assert len(counted) >= 2, "the targets lie behind several backups"


@pytest.mark.parametrize("kind", ["pgbackrest", "archive"])
async def test_the_printed_command_restores_exactly_what_was_asked_for(story: Story, kind: str) -> None:
    """A time between two commits and a position, each restored to a scratch copy and read."""
    server, reading = story.server, story.rest if kind == "pgbackrest" else story.plain
    row = row_of(server, reading, kind)
    middle = len(server.ledger) * 2 // 3
    before, after = server.ledger[middle - 1], server.ledger[middle]
    time_target = RestoreTarget(TargetKind.TIME, at=after.at - 0.001)
    for target in (time_target, RestoreTarget(TargetKind.LSN, lsn=before.lsn)):
        folder = server.place / f"scratch-{kind}-{target.kind}"
        made = choose(row, target)
        lines = command_lines(row, made, str(folder))
        assert made.obstacle is None
        assert server.restored(lines, folder) == expected(server.ledger, target), lines


async def test_a_restore_point_is_restored_to_by_its_name(server: BackedUp, story: Story) -> None:
    """It is known from the change that wrote it; the backup that ended before it is chosen by its position."""
    at = parse_lsn(server.sql("select pg_create_restore_point('before-v42')"))
    server.write(2)
    reading = await read_rest(server)
    row = replace(row_of(server, reading, "pgbackrest"), points=(PointRow("before-v42", at, 1, 0.0),))
    made = choose(row, parse_target("before-v42"))
    assert made.obstacle is None
    assert made.backup is not None
    assert made.backup.stop_lsn < at
    folder = server.place / "scratch-point"
    lines = command_lines(row, made, str(folder))
    assert "--type=name --target=before-v42" in lines[0]
    assert server.restored(lines, folder) == [each.number for each in server.ledger if each.lsn <= at]


async def test_a_gap_an_expired_set_and_a_damaged_one(story: Story) -> None:
    """Last, as it takes WAL and backups away."""
    server, whole = story.server, await read_rest(story.server)
    second = whole.sets[1]
    missing = whole.sets[2].first_segment - 1
    assert missing > second.stop_lsn // whole.segment_size
    name = name_of_segment(1, missing, whole.segment_size)
    for file in (server.place / "repo" / "archive").rglob(f"{name}-*"):
        file.unlink()
    torn = await read_rest(server)
    assert len(torn.runs) == 2
    row = row_of(server, torn, "pgbackrest")
    assert [each.newest for each in row.ranges] == [False, True]
    commit = row.ranges[0].until
    assert commit is not None
    assert commit < row.ranges[1].since
    assert choose(row, RestoreTarget(TargetKind.LSN, lsn=(missing + 1) * whole.segment_size - 1)).obstacle is (
        Obstacle.IN_A_GAP
    )
    server.rest("--type=full", "--repo1-retention-full=1", "backup")
    kept = await read_rest(server)
    assert [each.kind for each in kept.sets] == ["full"]
    assert choose(row_of(server, kept, "pgbackrest"), RestoreTarget(TargetKind.LSN, lsn=second.stop_lsn)).obstacle is (
        Obstacle.TOO_EARLY
    )
