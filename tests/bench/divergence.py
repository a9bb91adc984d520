"""Goal 8: a few differing rows of many found on two servers, beside scans that read each row and the peers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.databases.comparing.side import ComparedSide
from adapters.databases.comparing.work import CompareWatch, compare_sides
from adapters.databases.postgres import Access, PostgresNode
from adapters.secrets import Secret
from state.comparing.request import CompareRequest, DatabasePlace
from state.comparing.shapes import TableSelection
from tests.bench.figures import Figure, Pairs, Target, missing
from tests.bench.setting import PYTHON, ROOT, Peers, Setting
from tests.contract.compared import psql
from tests.contract.components import PASSWORD, Pair, kill_pair, make_primary, postgres_bin

GOAL = "8"
READER = Access("recovery", "postgres", Secret(PASSWORD))
MADE = """
create table t (id bigint primary key, name text, amount numeric(14,2), updated_at timestamptz, qty int);
insert into t select i, 'customer-' || md5(i::text), (i::int8 * 7919 % 1000000) / 100.0,
  '2024-01-01'::timestamptz + i * interval '1.000123 s', i % 1000 from generate_series(1, {rows}) as i;
create table hard (id int primary key, i int8, s timestamptz, q int, n numeric, x int, y int)
"""
HARD = (
    "(1, 1, null, null, null, 1, 2), (2, null, '2000-01-01 00:00:00.000001+00', null, null, 1, 2),"
    " (3, null, null, null, null, 1, 2), (4, null, null, null, 1.0, 1, 2), (5, null, null, null, -7, 1, 2),"
    " (6, null, null, null, null, 1, 2), (7, null, null, null, null, 3, 4)",
    "(1, 4294967296, null, null, null, 1, 2), (2, null, '2000-01-01 01:11:34.967297+00', null, null, 1, 2),"
    " (3, null, null, 0, null, 1, 2), (4, null, null, null, 1.00, 1, 2), (5, null, null, null, 7, 1, 2),"
    " (6, null, null, null, null, 3, 2), (7, null, null, null, null, 1, 4)",
)
"""Values that fold equal, NULL and 0, scale, sign, and two values that change places: on A and on B."""
SEEDED = {"changed": [(str(key),) for key in range(1, 8)]}
DEFORM = "select count(*), sum(qty) from t"
TO_NULL = "copy t to '/dev/null' (format binary)"
Seeded = dict[str, tuple[str, ...]]


def seed(server: Pair, rows: int, *, second: bool) -> Seeded:
    """Fill one side; on the second one row is changed, one deleted, one has another text."""
    changed, gone, renamed = rows // 3, rows // 2, rows - 7
    for statement in MADE.format(rows=rows).split(";\n"):
        psql(server, server.primary, "postgres", statement)
    psql(server, server.primary, "postgres", f"insert into hard values {HARD[second]}")
    if second:
        psql(server, server.primary, "postgres", f"update t set qty = qty + 1 where id = {changed}")
        psql(server, server.primary, "postgres", f"delete from t where id = {gone}")
        psql(server, server.primary, "postgres", f"update t set name = name || '!' where id = {renamed}")
    for statement in ("vacuum analyze t", "checkpoint", "grant select on t, hard to recovery"):
        psql(server, server.primary, "postgres", statement)
    return {"changed": (str(changed), str(renamed)), "only on A": (str(gone),)}


@contextmanager
def two_servers(rows: int, buffers: str) -> Iterator[tuple[Pair, Pair, Seeded]]:
    """Two primaries with the same rows but for a few."""
    place = Path(tempfile.mkdtemp(prefix="rbd-", dir="/tmp"))
    place.chmod(0o777)
    made: list[Pair] = []
    expected: Seeded = {}
    try:
        for name in ("one", "two"):
            folder = place / name
            folder.mkdir(mode=0o777)
            folder.chmod(0o777)
            made.append(make_primary(folder, postgres_bin()))
            with (folder / "a" / "postgresql.conf").open("a") as conf:
                conf.write(f"shared_buffers={buffers}\njit=off\nmax_wal_size=4GB\n")
            made[-1].control("a", "-l", str(folder / "a.log"), "restart")
            expected = seed(made[-1], rows, second=name == "two")
        yield made[0], made[1], expected
    finally:
        for server in made:
            kill_pair(server)
        subprocess.run(["rm", "-rf", place], check=False)


def sides(one: Pair, two: Pair) -> tuple[ComparedSide, ComparedSide]:
    a, b = (PostgresNode(name, "127.0.0.1", each.primary, READER) for name, each in (("a", one), ("b", two)))
    return ComparedSide("a", a, None, 0), ComparedSide("b", b, None, 0)


async def product(one: Pair, two: Pair, expected: Seeded) -> None:
    """The comparison; it must find the seeded rows and no other."""
    a, b = sides(one, two)
    try:
        request = CompareRequest(DatabasePlace("d", "a"), DatabasePlace("d", "b"), TableSelection())
        whole = await compare_sides(a, b, request, CompareWatch())
    finally:
        await a.close()
        await b.close()
    seeded = {how: [(key,) for key in keys] for how, keys in expected.items()}
    for name, rows in (("public.t", seeded), ("public.hard", SEEDED)):
        (table,) = [each for each in whole.tables if each.name == name]
        listed = sorted((row.how.value, row.key) for row in table.listed)
        assert listed == sorted((how, key) for how, keys in rows.items() for key in keys), (name, listed)


async def on_both(one: Pair, two: Pair, statement: str) -> None:
    """One statement on both servers at the same time, on one core each."""
    access = Access("postgres", "postgres")
    nodes = [PostgresNode("n", str(each.place), each.primary, access) for each in (one, two)]
    sessions = [await node.session(None, deadline=30, read_only=False) for node in nodes]
    try:
        for session in sessions:
            await session.execute("set max_parallel_workers_per_gather = 0")
        await asyncio.gather(*(session.execute(statement, timeout=3600) for session in sessions))
    finally:
        for session in sessions:
            await session.close()


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1e3


async def ratios(setting: Setting, one: Pair, two: Pair, expected: Seeded, rows: int) -> list[Figure]:
    scan, copy = Pairs(), Pairs()

    async def ours() -> None:
        await product(one, two, expected)

    for _ in range(setting.pick(5, 3)):
        scan.add(await timed(ours), await timed(lambda: on_both(one, two, DEFORM)))
        copy.add(await timed(ours), await timed(lambda: on_both(one, two, TO_NULL)))
    size = f"{rows:,} rows, 3 seeded there and 7 of hard values: each found, and no other"
    return [
        scan.figure(GOAL, "compare / scan that reads every row, on both servers", Target(6), note=size),
        copy.figure(GOAL, "compare / binary COPY to /dev/null, on both servers", Target(1.3)),
    ]


def memory(one: Pair, two: Pair) -> Figure:
    """The largest resident size of a process that compares, with what it imports."""
    ports = json.dumps([one.primary, two.primary])
    done = subprocess.run(
        [PYTHON, "-m", "tests.bench.divergence", ports], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return Figure(GOAL, "resident size of the client", float(done.stdout), "MiB", Target(64), 1)


async def against_reladiff(given: Peers, one: Pair, two: Pair, expected: Seeded, n: int) -> Figure:
    """The whole process of the peer, as it is called."""
    name, target = "compare / reladiff -j 4", Target(0.17)
    program = given.program("reladiff")
    if program is None:
        return missing(GOAL, name, "skipped: reladiff is not installed here", target)
    user = f"postgresql://recovery:{PASSWORD}@127.0.0.1"
    words = [f"{user}:{one.primary}/postgres", "t", f"{user}:{two.primary}/postgres", "t", "-k", "id", "-j", "4"]
    columns = [word for column in ("name", "amount", "updated_at", "qty") for word in ("-c", column)]

    async def peer() -> None:
        process = await asyncio.create_subprocess_exec(program, *words, *columns, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        assert len(out.splitlines()) >= 3, out

    pairs = Pairs()
    for _ in range(n):
        pairs.add(await timed(lambda: product(one, two, expected)), await timed(peer))
    return pairs.figure(GOAL, name, target)


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    rows, buffers = setting.pick(10_000_000, 1_000_000), "2GB" if setting.full else "512MB"
    with two_servers(rows, buffers) as (one, two, expected):
        yield from asyncio.run(ratios(setting, one, two, expected, rows))
        yield memory(one, two)
        yield asyncio.run(against_reladiff(setting.peers, one, two, expected, setting.pick(5, 3)))
    why = "skipped: it needs its C extension in both servers, which the wheel's PostgreSQL lacks"
    yield missing(GOAL, "compare / pg_comparator", why, Target(0.33))


async def _alone(ports: list[int]) -> None:
    """The comparison in a process of its own, as `memory` starts it."""
    a, b = (PostgresNode(name, "127.0.0.1", port, READER) for name, port in zip("ab", ports, strict=True))
    one, two = ComparedSide("a", a, None, 0), ComparedSide("b", b, None, 0)
    request = CompareRequest(DatabasePlace("d", "a"), DatabasePlace("d", "b"), TableSelection())
    await compare_sides(one, two, request, CompareWatch())
    await one.close()
    await two.close()


if __name__ == "__main__":
    import resource

    asyncio.run(_alone(json.loads(sys.argv[1])))
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f}{os.linesep}")
