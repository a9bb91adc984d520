"""Real servers that part: by one promotion, by two at one position, in the middle of a file of WAL."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.databases.postgres import Access, PostgresNode
from adapters.secrets import Secret
from state.verdicts.forks import fork_of, same_branch
from state.world.readings import PostgresReading
from state.world.timelines import began_at
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

ACCESS = Access("recovery", "postgres", Secret(PASSWORD))
GRANTS = (
    "grant execute on function pg_read_file(text, bigint, bigint, boolean) to recovery",
    "grant execute on function pg_read_binary_file(text, bigint, bigint, boolean) to recovery",
)


@pytest.fixture(params=["newest", "oldest"])
def three(request: pytest.FixtureRequest) -> Iterator[tuple[Pair, int]]:
    """A primary a, and two standbys b and c of it."""
    with tempfile.TemporaryDirectory(prefix="forks") as folder:
        place = Path(folder)
        place.chmod(0o777)
        pair = make_primary(place, postgres_bin() if request.param == "newest" else postgres_with_tls())
        for grant in GRANTS:
            pair.psql(pair.primary, grant)
        third = free_port()
        for name, port in (("b", pair.standby), ("c", third)):
            as_user(
                pair.bin / "pg_basebackup", "-D", place / name, "-R", "-X", "stream", "-c", "fast", "--no-sync",
                "-d", f"host=127.0.0.1 port={pair.primary} user=postgres application_name={name}",
            )  # fmt: skip
            pair.start(name, port)
        yield pair, third
        pair.control("c", "-m", "immediate", "stop")
        kill_pair(pair)


async def read(port: int, name: str) -> PostgresReading:
    node = PostgresNode(name, "127.0.0.1", port, ACCESS)
    try:
        return await node.read(deadline=10)
    finally:
        await node.close()


async def streams(pair: Pair, *ports: int) -> None:
    """Until every standby has applied all of the primary's WAL."""
    target = (await read(pair.primary, "a")).write_lsn or 0
    for port in ports:
        for _ in range(600):
            if ((await read(port, "s")).replay_lsn or 0) >= target:
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError(f"{port} never had {target}")


async def test_replication_trap_22_two_promotions_at_one_position(three: tuple[Pair, int]) -> None:
    pair, third = three
    pair.psql(pair.primary, "create table orders as select generate_series(1, 1000) as n")
    await streams(pair, pair.standby, third)
    pair.control("a", "-m", "fast", "stop")  # which waits until both standbys have all of it: one position
    for port in (pair.standby, third):
        pair.psql(port, "select pg_promote(true, 60)")
        pair.psql(port, f"insert into orders values ({port})")
    b, c = await read(pair.standby, "b"), await read(third, "c")
    assert (b.timeline, c.timeline) == (2, 2)
    assert b.history == c.history is not None, "numbers, position and text are alike"
    fork = fork_of(b, c)
    assert fork is not None
    assert fork.apart
    assert fork.lsn == began_at(b.history)
    assert all(past is not None and past > 0 for past in fork.past.values())
    again = await read(pair.standby, "b")
    assert same_branch(b, again), "of itself it is the same"


async def test_a_standby_of_the_promoted_server_has_its_branch(three: tuple[Pair, int]) -> None:
    pair, third = three
    upstream = f"host=127.0.0.1 port={pair.standby} user=postgres application_name=c"
    pair.psql(third, f"alter system set primary_conninfo = '{upstream}'")
    pair.psql(third, "select pg_reload_conf()")
    pair.psql(pair.primary, "create table before_it as select generate_series(1, 1000) as n")
    await streams(pair, pair.standby, third)
    pair.psql(pair.standby, "select pg_promote(true, 60)")
    pair.psql(pair.standby, "create table after_it as select generate_series(1, 100) as n")
    for _ in range(600):
        b, c = await read(pair.standby, "b"), await read(third, "c")
        if same_branch(b, c) is not None:
            break
        await asyncio.sleep(0.1)
    assert same_branch(b, c)
    assert fork_of(b, c) is None
    pair.psql(pair.primary, "create table lost as select generate_series(1, 5000) as n")
    a = await read(pair.primary, "a")
    fork = fork_of(a, b)
    assert fork is not None
    assert fork.lsn == began_at(b.history)
    begun = began_at(b.history)
    assert begun is not None
    assert begun % (16 << 20) != 0, "in the middle of a file of WAL"
    assert fork.past == {"a": (a.write_lsn or 0) - begun, "b": (b.write_lsn or 0) - begun}


async def test_without_the_right_the_branch_cannot_be_told(three: tuple[Pair, int]) -> None:
    pair, _ = three
    pair.psql(
        pair.primary, "revoke execute on function pg_read_binary_file(text, bigint, bigint, boolean) from recovery"
    )
    await streams(pair, pair.standby)
    pair.psql(pair.standby, "select pg_promote(true, 60)")
    b = await read(pair.standby, "b")
    assert b.history is not None
    assert b.branches == {}
