"""Comparing while rows change: changes on their way are no differences, and differences are found nevertheless."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from adapters.databases.comparing.kept import StateFile
from adapters.databases.comparing.side import ComparedSide
from adapters.databases.comparing.work import Compared, CompareWatch
from state.comparing.request import Burden
from state.comparing.results import Apart, Comparison, Linked, RowApart
from state.errors import ExitCode, UnsuitableArgument
from tests.contract.compared import asked, compared, of, psql, side, told
from tests.contract.components import Pair, as_user_argv, wait_for

ROWS = 20_000
LOAD = """
\\set id random(1, 20000)
\\set more random(20001, 900000)
begin;
update moving set v = v + 1, t = md5(random()::text) where id = :id;
update moving set v = v + 1 where id = 1;
insert into moving values (:more, 0, 'new') on conflict do nothing;
delete from moving where id = :more - 5;
update named set v = v + 1 where k = 'k' || :id;
insert into heap values (:id);
end;
"""


@pytest.fixture(params=["15", "18"])
def server(majors: dict[str, Pair], request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A primary and its standby with a database `moving`, and another one that can subscribe to it."""
    found = majors[request.param]
    psql(found, found.primary, "postgres", "create database moving")
    filled(found, "moving")
    yield found
    psql(found, found.primary, "postgres", "drop database moving with (force)")


def filled(server: Pair, database: str) -> None:
    psql(
        server, server.primary, database,
        "create table moving (id bigint primary key, v int, t text); create table heap (v int);"
        "create table named (k text primary key, v int); create table churn (v int);"
        f"insert into moving select i, 0, 'x' from generate_series(1, {ROWS}) as i;"
        f"insert into named select 'k' || i, 0 from generate_series(1, {ROWS}) as i;"
        "insert into heap select i from generate_series(1, 1000) as i; insert into churn values (1)",
    )  # fmt: skip


@asynccontextmanager
async def load(server: Pair, script: Path, database: str = "moving") -> AsyncIterator[None]:
    """Two clients of pgbench that change rows all the time."""
    script.write_text(LOAD)
    script.chmod(0o644)
    program = server.bin / "pgbench"
    if not program.exists():
        program = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))[-1]
    argv = as_user_argv(
        program, "-h", server.place, "-p", str(server.primary), "-U", "postgres", "-n", "-c", "2", "-R", "100",
        "-T", "3600", "-f", script, database,
    )  # fmt: skip
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await asyncio.sleep(0.3)
        assert process.poll() is None
        yield
        assert process.poll() is None, "the load ended before the comparison"
    finally:
        process.kill()
        process.wait()


def standby_has(server: Pair) -> None:
    """Wait until the standby has replayed what the primary has now."""
    position = psql(server, server.primary, "postgres", "select pg_current_wal_flush_lsn()").strip()
    query = f"select pg_last_wal_replay_lsn() >= '{position}'"
    wait_for(lambda: psql(server, server.standby, "postgres", query).strip() == "t", 60)


def pair_of(server: Pair, database: str = "moving") -> tuple[ComparedSide, ComparedSide]:
    standby_has(server)
    return side(server, server.primary, database, "a"), side(server, server.standby, database, "b")


def delayed(server: Pair, delay: str) -> None:
    """How late the standby replays."""
    psql(server, server.standby, "postgres", f"alter system set recovery_min_apply_delay = {delay}")
    psql(server, server.standby, "postgres", "select pg_reload_conf()")


@pytest.fixture
def script() -> Iterator[Path]:
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="rc-", suffix=".sql", dir="/tmp") as file:
        yield Path(file.name)


def follow(source: Pair, target: Pair) -> None:
    """A copy of the database `moving` that follows it by a subscription, complete."""
    filled(target, "copied")
    psql(target, target.primary, "copied", "truncate moving, named, heap, churn")
    publish = "create publication p for all tables; alter table heap replica identity full"
    psql(source, source.primary, "moving", publish)
    connection = f"host={source.place} port={source.primary} dbname=moving user=postgres"
    psql(target, target.primary, "copied", f"create subscription s connection '{connection}' publication p")
    synced = "select bool_and(srsubstate = 'r') from pg_subscription_rel"
    wait_for(lambda: psql(target, target.primary, "copied", synced).strip() == "t", 300)


async def test_primary_and_standby_under_load_have_no_difference(server: Pair, script: Path) -> None:
    seen = 0
    delayed(server, "'200ms'")
    try:
        async with load(server, script):
            for way in range(2):
                a, b = pair_of(server) if way else reversed(pair_of(server))
                whole = await compared(a, b, asked(pace=Burden(patience=60)))
                assert whole.link is Linked.PHYSICAL
                for table in whole.tables:
                    assert (table.apart, table.uncompared, table.definitions) == ({}, "", ())
                    seen += table.in_flight
    finally:
        delayed(server, "default")
    assert seen, "no row was on its way: the load proves nothing"


async def test_a_standby_that_does_not_replay_is_unknown_and_not_different(server: Pair) -> None:
    a, b = pair_of(server)
    psql(server, server.standby, "postgres", "select pg_wal_replay_pause()")
    try:
        wait_for(lambda: "paused" in psql(server, server.standby, "postgres", "select pg_get_wal_replay_pause_state()"))
        psql(server, server.primary, "moving", "update moving set v = 7 where id = 5")
        whole = await compared(a, b, asked("moving", pace=Burden(patience=1)))
    finally:
        psql(server, server.standby, "postgres", "select pg_wal_replay_resume()")
    result = of(whole, "moving")
    assert (result.differences, result.open_rows, result.open_keys, whole.code) == (0, 1, [("5",)], ExitCode.UNKNOWN)
    assert "b lacked" in result.why_open
    a, b = pair_of(server)
    assert (await compared(a, b)).code is ExitCode.DONE
    assert psql(server, server.standby, "postgres", "select pg_get_wal_replay_pause_state()").strip() == "not paused"


async def test_a_row_that_a_standby_really_has_otherwise_is_found_under_load(server: Pair, script: Path) -> None:
    """One byte of a page is changed while the standby is down, as a failing disk would."""
    psql(server, server.primary, "moving", "create table still (id int primary key, t text);"
         "insert into still select i, 'needle-' || i from generate_series(1, 50) as i")  # fmt: skip
    for what in ("vacuum freeze still", "checkpoint"):
        psql(server, server.primary, "moving", what)
    standby_has(server)
    psql(server, server.standby, "postgres", "checkpoint")
    path = psql(server, server.standby, "moving", "select pg_relation_filepath('still')").strip()
    checksums = psql(server, server.standby, "postgres", "show data_checksums").strip()
    server.control("b", "-m", "fast", "stop")
    file = server.place / "b" / path
    content = file.read_bytes()
    assert content.count(b"needle-17") == 1
    file.write_bytes(content.replace(b"needle-17", b"needle-71"))
    if checksums == "on":
        with (server.place / "b" / "postgresql.auto.conf").open("a") as conf:
            conf.write("ignore_checksum_failure=on\n")
    server.start("b", server.standby)
    async with load(server, script):
        whole = await compared(*pair_of(server), asked("still", "moving", pace=Burden(patience=60)))
    assert told(of(whole, "still")) == {("changed", ("17",)): 1}
    assert of(whole, "moving").differences == 0
    psql(server, server.primary, "moving", "drop table still")


@pytest.mark.torture
async def test_a_million_rows_under_load_differ_in_what_was_seeded_at_random(
    majors: dict[str, Pair], script: Path
) -> None:
    """The load leaves alone what is seeded: keys above a million, which are scattered over as many rows."""
    source, target = majors["15"], majors["18"]
    random, kinds = Random(11), ("changed", "only on A", "only on B")
    psql(source, source.primary, "postgres", "create database moving")
    psql(target, target.primary, "postgres", "create database copied")
    try:
        filled(source, "moving")
        more = "insert into moving select i * 3, i % 7, md5(i::text) from generate_series(400000, 1400000) as i"
        psql(source, source.primary, "moving", more)
        follow(source, target)
        chosen = random.sample(range(400_000, 1_400_000), 900)
        seeded = dict(zip(kinds, (chosen[:300], chosen[300:600], chosen[600:]), strict=True))
        changed, gone, added = (", ".join(str(key * 3) for key in keys) for keys in seeded.values())
        psql(target, target.primary, "copied", f"update moving set v = v + 1 where id in ({changed})")
        psql(target, target.primary, "copied", f"delete from moving where id in ({gone})")
        psql(
            target,
            target.primary,
            "copied",
            f"insert into moving select id + 1, 0, '' from unnest(array[{added}]) as id",
        )
        async with load(source, script):
            a = side(source, source.primary, "moving", "a")
            whole = await compared(
                a, side(target, target.primary, "copied", "b"), asked("moving", pace=Burden(patience=120))
            )
        expected = Counter(
            (kind, (str(key * 3 + (kind == "only on B")),)) for kind, keys in seeded.items() for key in keys
        )
        assert told(of(whole, "moving")) == expected
        assert of(whole, "moving").open_rows == 0
    finally:
        psql(target, target.primary, "copied", "drop subscription if exists s")
        psql(target, target.primary, "postgres", "drop database copied with (force)")
        psql(source, source.primary, "postgres", "drop database moving with (force)")


async def test_a_logical_copy_under_load_differs_in_the_seeded_rows_only(majors: dict[str, Pair], script: Path) -> None:
    source, target = majors["15"], majors["18"]
    psql(source, source.primary, "postgres", "create database moving")
    psql(target, target.primary, "postgres", "create database copied")
    try:
        filled(source, "moving")
        follow(source, target)
        psql(
            source,
            source.primary,
            "moving",
            "insert into named values ('fixed', 1), ('gone', 1); insert into moving values (-5, 0, 'a')",
        )
        seen = "select count(*) from moving where id = -5"
        wait_for(lambda: psql(target, target.primary, "copied", seen).strip() == "1", 60)
        for seeded in (
            "update named set v = 2 where k = 'fixed'; delete from named where k = 'gone'",
            "insert into named values ('more', 0); insert into heap values (-1)",
            "update moving set t = 'b' where id = -5",
        ):
            psql(target, target.primary, "copied", seeded)
        async with load(source, script):
            a = side(source, source.primary, "moving", "a")
            whole = await compared(a, side(target, target.primary, "copied", "b"), asked(pace=Burden(patience=60)))
        assert whole.link is Linked.LOGICAL
        assert told(of(whole, "moving")) == {("changed", ("-5",)): 1}
        assert told(of(whole, "named")) == {
            ("changed", ("fixed",)): 1,
            ("only on A", ("gone",)): 1,
            ("only on B", ("more",)): 1,
        }
        assert of(whole, "heap").apart == {Apart.ONLY_B: 1}
    finally:
        psql(target, target.primary, "copied", "drop subscription if exists s")
        psql(target, target.primary, "postgres", "drop database copied with (force)")
        psql(source, source.primary, "postgres", "drop database moving with (force)")


def impatient(server: Pair, delay: str) -> None:
    """How long replay of the standby waits for queries."""
    psql(server, server.standby, "postgres", f"alter system set max_standby_streaming_delay = {delay}")
    psql(server, server.standby, "postgres", "select pg_reload_conf()")


async def test_s49_queries_that_replay_cancels_go_on_where_they_were(majors: dict[str, Pair]) -> None:
    """Every batch of differences brings another conflict to the standby; each difference is listed once."""
    server, other = majors["15"], majors["18"]
    psql(server, server.primary, "postgres", "create database moving")
    psql(other, other.primary, "postgres", "create database copied")
    conflicts = "select confl_snapshot + confl_lock from pg_stat_database_conflicts where datname = 'moving'"
    try:
        impatient(server, "'0'")
        filled(server, "moving")
        filled(other, "copied")
        psql(
            other,
            other.primary,
            "copied",
            "update named set v = -1 where k like '%7'; update moving set v = -1 where id % 8 = 7",
        )
        turns = {"public.named": 2, "public.moving": 2}

        async def disturb(compared: Compared, _rows: Sequence[RowApart]) -> None:
            table = compared.sql.common.a.full_name
            turns[table] -= 1
            if turns[table] >= 0:
                psql(server, server.primary, "moving", "delete from churn; insert into churn values (1)")
                psql(server, server.primary, "moving", "vacuum churn")
                psql(server, server.primary, "moving", f"begin; lock table {table} in access exclusive mode; commit")
                standby_has(server)

        a = side(other, other.primary, "copied", "a")
        standby_has(server)
        before = int(psql(server, server.standby, "postgres", conflicts) or 0)
        whole = await compared(
            a, side(server, server.standby, "moving", "b"), asked("named", "moving"), CompareWatch(found=disturb)
        )
        wait_for(lambda: int(psql(server, server.standby, "postgres", conflicts) or 0) > before, 60)
        for name, expected in (("named", ROWS // 10), ("moving", ROWS // 8)):
            result = of(whole, name)
            assert (result.uncompared, result.apart) == ("", {Apart.CHANGED: expected})
        keys = [row.key for row in of(whole, "named").listed]
        assert len(keys) == len(set(keys)) == ROWS // 10
    finally:
        impatient(server, "default")
        psql(other, other.primary, "postgres", "drop database copied with (force)")
        psql(server, server.primary, "postgres", "drop database moving with (force)")


async def test_no_lock_is_heavier_than_to_read_and_a_cancelled_comparison_leaves_nothing(
    majors: dict[str, Pair],
) -> None:
    server, other = majors["18"], majors["15"]
    ours = "from pg_stat_activity where application_name = 'recovery' and usename = 'reader'"
    psql(server, server.primary, "postgres", "create database moving")
    psql(other, other.primary, "postgres", "create database copied")
    try:
        filled(server, "moving")
        filled(other, "copied")
        psql(other, other.primary, "copied", "update moving set v = -1")
        held: set[str] = set()
        reached = asyncio.Event()

        async def look(_compared: Compared, _rows: Sequence[RowApart]) -> None:
            of_us = f"pid in (select pid {ours})"
            found = f"select distinct mode from pg_locks where relation is not null and {of_us}"
            held.update(psql(server, server.primary, "moving", found).split())
            reached.set()
            await asyncio.sleep(3600)

        a, b = side(server, server.primary, "moving", "a"), side(other, other.primary, "copied", "b")
        task = asyncio.create_task(compared(a, b, asked("moving"), CompareWatch(found=look)))
        await asyncio.wait_for(reached.wait(), 120)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert held == {"AccessShareLock"}
        wait_for(lambda: psql(server, server.primary, "postgres", f"select count(*) {ours}").strip() == "0", 60)
    finally:
        psql(other, other.primary, "postgres", "drop database copied with (force)")
        psql(server, server.primary, "postgres", "drop database moving with (force)")


async def test_a_comparison_goes_on_where_it_was_cut_off(majors: dict[str, Pair], tmp_path: Path) -> None:
    """What is done is not asked again: a difference that came later in a part that is done is not looked for."""
    server, other = majors["18"], majors["15"]
    psql(server, server.primary, "postgres", "create database moving; ")
    psql(other, other.primary, "postgres", "create database copied")
    file = tmp_path / "state.json"
    request = asked("moving", "named", pace=Burden(part=5000, share=1.0))
    try:
        filled(server, "moving")
        filled(other, "copied")
        for each, database in ((server, "moving"), (other, "copied")):
            psql(each, each.primary, database, "analyze")
        psql(other, other.primary, "copied", "update moving set v = -1 where id = 3")
        kept = StateFile(file, request, resume=False)

        def cut(whole: Comparison) -> None:
            kept.keep(whole)
            if of(whole, "moving").done_to is not None:
                raise asyncio.CancelledError

        def both() -> tuple[ComparedSide, ComparedSide]:
            return side(server, server.primary, "moving", "a"), side(other, other.primary, "copied", "b")

        with pytest.raises(asyncio.CancelledError):
            await compared(*both(), request, CompareWatch(kept=cut, earlier=kept.earlier))
        assert file.stat().st_mode & 0o777 == 0o600
        psql(other, other.primary, "copied", f"update moving set v = -1 where id in (4, {ROWS})")
        with pytest.raises(UnsuitableArgument):
            StateFile(file, request, resume=False)
        again = StateFile(file, asked("moving"), resume=True)
        with pytest.raises(UnsuitableArgument):
            await compared(*both(), asked("moving"), CompareWatch(kept=again.keep, earlier=again.earlier))
        again = StateFile(file, request, resume=True)
        whole = await compared(*both(), request, CompareWatch(kept=again.keep, earlier=again.earlier))
        assert [row.key for row in of(whole, "moving").listed] == [("3",), (str(ROWS),)]
        assert of(whole, "moving").rows_a == ROWS
        assert of(whole, "named").code is ExitCode.DONE
    finally:
        psql(other, other.primary, "postgres", "drop database copied with (force)")
        psql(server, server.primary, "postgres", "drop database moving with (force)")


async def test_unlogged_tables_on_a_standby_are_named_and_left_out_only_when_told(majors: dict[str, Pair]) -> None:
    server = majors["18"]
    psql(server, server.primary, "postgres", "create unlogged table u (id int primary key); create table l (id int)")
    try:
        a, b = pair_of(server, "postgres")
        whole = await compared(a, b)
        assert "unlogged" in of(whole, "u").uncompared
        assert whole.code is ExitCode.UNKNOWN
        a, b = pair_of(server, "postgres")
        whole = await compared(a, b, asked(left_out=["u"]))
        assert (whole.code, list(whole.left_out)) == (ExitCode.DONE, ["public.u"])
    finally:
        psql(server, server.primary, "postgres", "drop table u; drop table l")
