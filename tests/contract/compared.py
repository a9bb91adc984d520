"""Two PostgreSQL servers of different majors, and comparisons of databases there, for the tests of comparing."""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from adapters.databases.comparing.side import ComparedSide
from adapters.databases.comparing.work import CompareWatch, compare_sides
from adapters.databases.postgres import Access, PostgresNode
from adapters.secrets import Secret
from state.comparing.request import Burden, CompareRequest, DatabasePlace
from state.comparing.results import Apart, Comparison, TableResult
from state.comparing.shapes import TableSelection
from tests.contract.components import (
    PASSWORD,
    Pair,
    as_user,
    as_user_argv,
    make_primary,
    postgres_bin,
    postgres_with_tls,
)

FAST = Burden(patience=20.0)
READER = Access("reader", "postgres", Secret(PASSWORD))


def make_standby(server: Pair) -> None:
    """Its standby `b`, streaming from its primary over a slot."""
    primary = f"host=127.0.0.1 port={server.primary} user=postgres application_name=b"
    as_user(
        server.bin / "pg_basebackup", "-D", server.place / "b", "-R", "-X", "stream", "-c", "fast", "--no-sync",
        "-C", "-S", "b", "-d", primary,
    )  # fmt: skip
    server.start("b", server.standby)


def make_majors(folder: Path) -> dict[str, Pair]:
    """A primary and its standby of the distribution's and of the wheel's PostgreSQL, with a role that reads all."""
    made = {}
    for name, programs in (("15", postgres_with_tls()), ("18", postgres_bin())):
        made[name] = make_primary(Path(tempfile.mkdtemp(dir=folder)), programs)
        with (made[name].place / "a" / "postgresql.conf").open("a") as conf:
            conf.write("wal_level=logical\n")
        made[name].control("a", "-l", str(made[name].place / "a.log"), "restart")
        made[name].psql(made[name].primary, f"create role reader login password '{PASSWORD}' in role pg_read_all_data")
        made[name].psql(made[name].primary, "grant pg_monitor to reader")
        make_standby(made[name])
    return made


def psql(server: Pair, port: int, database: str, sql: str, *, settings: str = "", stdin: str = "") -> str:
    """Run SQL and give what it prints. Raises CalledProcessError with the reason in its text."""
    words = [word for each in (settings, sql) if each for word in ("-c", each)]
    argv = as_user_argv(
        server.bin / "psql", "-h", server.place, "-p", str(port), "-U", "postgres", "-d", database, "-XqAt", "-v",
        "ON_ERROR_STOP=1", *words,
    )  # fmt: skip
    done = subprocess.run(argv, check=False, input=stdin, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def side(server: Pair, port: int, database: str, name: str, access: Access = READER, parallel: int = 0) -> ComparedSide:
    return ComparedSide(name, PostgresNode(name, "127.0.0.1", port, access), database, parallel)


def asked(
    *tables: str, pace: Burden = FAST, listed: int = 10_000, left_out: Sequence[str] = (), portable: bool = False
) -> CompareRequest:
    return CompareRequest(
        DatabasePlace("db", "a"),
        DatabasePlace("db", "b"),
        TableSelection(tables, tuple(left_out)),
        pace,
        listed,
        portable,
    )


async def compared(
    a: ComparedSide, b: ComparedSide, request: CompareRequest | None = None, watch: CompareWatch | None = None
) -> Comparison:
    async with sides(a, b):
        return await compare_sides(a, b, request or asked(), watch or CompareWatch())


@asynccontextmanager
async def sides(*given: ComparedSide) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for each in given:
            stack.push_async_callback(each.close)
        yield


def of(whole: Comparison, name: str) -> TableResult:
    (found,) = [each for each in whole.tables if each.name in (name, f"public.{name}")]
    return found


def told(result: TableResult) -> Counter[tuple[str, tuple[str, ...]]]:
    """What a result lists, in the terms of `oracle`."""
    assert sum(result.apart.values()) >= len(result.listed)
    if result.key:
        return Counter((row.how.value, row.key) for row in result.listed)
    number = Counter[tuple[str, tuple[str, ...]]]()
    for row in result.listed:
        number[row.how.value, ()] += abs(row.count_a - row.count_b)
    return number


def oracle(
    a: Sequence[str], b: Sequence[str], columns: Sequence[str], key: Sequence[str]
) -> Counter[tuple[str, tuple[str, ...]]]:
    """The differences between two dumps of COPY, found by comparing their lines."""
    if not key:
        left, right = Counter(a), Counter(b)
        found = Counter(
            {(Apart.ONLY_A.value, ()): (left - right).total(), (Apart.ONLY_B.value, ()): (right - left).total()}
        )
        return +found
    places = [list(columns).index(name) for name in key]
    left_rows, right_rows = ({tuple(line.split("\t")[at] for at in places): line for line in each} for each in (a, b))
    found = Counter[tuple[str, tuple[str, ...]]]()
    for row in left_rows.keys() | right_rows.keys():
        mine, other = left_rows.get(row), right_rows.get(row)
        if mine is None or other is None:
            found[(Apart.ONLY_B if mine is None else Apart.ONLY_A).value, row] += 1
        elif mine != other:
            found[Apart.CHANGED.value, row] += 1
    return found
