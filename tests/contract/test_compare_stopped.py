"""Comparisons that are ended from outside: by ^C, by kill; and how much the servers are burdened meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.databases.comparing.work import CompareWatch
from state.comparing.hashing import Dialect
from state.comparing.request import Burden
from state.comparing.shapes import TableColumn, TableShape, in_common
from state.comparing.statements import KeyGrid, TableSql
from state.errors import ExitCode
from tests.contract.compared import asked, compared, of, psql, side, told
from tests.contract.components import PASSWORD, Pair, wait_for
from tests.contract.test_compare_verb import ESTATE

RECOVERY = Path(sys.executable).with_name("recovery")
ROWS = 600_000
"""Three parts of the table for a comparison that pauses."""
WORKERS = "select coalesce(sum(parallel_workers_launched), 0) from pg_stat_database where datname in ('shop', 'other')"
OURS = "from pg_stat_activity where usename = 'reader' and backend_type in ('client backend', 'parallel worker')"


@pytest.fixture(scope="module")
def server(majors: dict[str, Pair]) -> Iterator[Pair]:
    """Two databases of one server; in each third of a table one row differs, and in the second part two."""
    found = majors["18"]
    for database in ("shop", "other"):
        psql(found, found.primary, "postgres", f"create database {database}")
        psql(found, found.primary, database, "create table items (id bigint primary key, v int, t text)")
        rows = f"insert into items select i, i % 9, 'item ' || i from generate_series(1, {ROWS}) as i"
        psql(found, found.primary, database, rows)
        psql(found, found.primary, database, "vacuum analyze items")
    psql(found, found.primary, "other", "update items set v = -1 where id in (3, 300000, 300001, 599999)")
    yield found
    for database in ("shop", "other"):
        psql(found, found.primary, "postgres", f"drop database {database} with (force)")


@pytest.fixture
def argv(server: Pair, tmp_path: Path) -> list[str]:
    """The command whose comparison takes its time, and keeps what is done."""
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    file = tmp_path / "recovery.yaml"
    file.write_text(ESTATE.format(primary=server.primary, standby=server.standby))
    words = ["db", "compare", "orders/a", "orders/a/other", "--json", "--estate", str(file)]
    return [str(RECOVERY), *words, "--state", str(tmp_path / "state.json")]


def done_to(state: Path) -> int | None:
    """Up to which key the kept comparison came; None before its first part is done."""
    if not state.exists():
        return None
    tables = json.loads(state.read_bytes())["tables"]
    return next((each["done_to"] for each in tables if each["name"] == "public.items"), None)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_comparison_leaves_no_query_and_goes_on_where_it_was(
    server: Pair, argv: list[str], tmp_path: Path, how: signal.Signals
) -> None:
    state = tmp_path / "state.json"
    listening = ["env", "--default-signal=INT", *argv]  # whoever runs these tests may ignore it
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([*listening, "--throttle", "10"], **pipes, text=True)  # type: ignore[call-overload]
    try:
        wait_for(lambda: done_to(state) is not None or process.poll() is not None, 120)
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == (130 if how is signal.SIGINT else -how), err
    reached = done_to(state)
    assert reached is not None
    assert reached < ROWS
    if how is signal.SIGINT:
        assert f"--state {state} --resume" in err
    wait_for(lambda: psql(server, server.primary, "postgres", f"select count(*) {OURS}").strip() == "0", 60)
    assert state.stat().st_mode & 0o777 == 0o600

    again = subprocess.run([*argv, "--resume"], capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == ExitCode.FAILED, again.stderr
    (items,) = (each for each in json.loads(again.stdout)["tables"] if each["name"] == "public.items")
    assert [row["key"] for row in items["listed"]] == [["3"], ["300000"], ["300001"], ["599999"]]
    assert (items["rows_a"], items["rows_b"], items["uncompared"]) == (ROWS, ROWS, "")


async def test_more_cores_find_the_same_and_are_used(server: Pair) -> None:
    """With three workers more than one the servers' queries are parallel, and what they find is the same."""
    seen: dict[int, int] = {}
    for cores in (1, 3):
        a = side(server, server.primary, "shop", "a", parallel=cores - 1)
        b = side(server, server.primary, "other", "b", parallel=cores - 1)
        before = int(psql(server, server.primary, "postgres", WORKERS))
        whole = await compared(a, b, asked("items", pace=Burden(cores, patience=20)))
        wait_for(lambda: psql(server, server.primary, "postgres", f"select count(*) {OURS}").strip() == "0", 60)
        seen[cores] = int(psql(server, server.primary, "postgres", WORKERS)) - before
        assert told(of(whole, "items")) == {("changed", (key,)): 1 for key in ("3", "300000", "300001", "599999")}
        assert of(whole, "items").rows_a == of(whole, "items").rows_b == ROWS
    assert seen[1] == 0
    assert seen[3] > 0


@pytest.mark.parametrize("major", ["15", "18"])
@pytest.mark.parametrize("key", ["id bigint primary key", "id text primary key", "id bigint"])
def test_sums_are_divided_among_processes_and_not_sent_row_by_row(
    majors: dict[str, Pair], major: str, key: str
) -> None:
    """The planner would take each key for a group of its own, and send all rows to one process that makes the sums."""
    found = majors[major]
    psql(found, found.primary, "postgres", f"create table wide ({key}, t text)")
    try:
        rows = "insert into wide select i, repeat('x', 100) from generate_series(1, 100000) as i"
        psql(found, found.primary, "postgres", rows)
        psql(found, found.primary, "postgres", "analyze wide")
        name, kind = key.split()[:2]
        keys = ((name,),) if "primary" in key else ()
        base = {"bigint": "int8", "text": "text"}[kind]
        columns = (TableColumn("id", kind, base, filled=bool(keys)), TableColumn("t", "text", "text"))
        shape = TableShape("public", "wide", columns, keys)
        sql = TableSql(in_common(shape, shape), Dialect())
        digest = sql.digest(shape, KeyGrid.over(1, 100_000) if kind == "bigint" and keys else None)
        plan = psql(
            found, found.primary, "postgres", f"explain {digest}", settings="set max_parallel_workers_per_gather = 2"
        )
        assert plan.index("Finalize") < plan.index("Gather") < plan.index("Partial") < plan.index("Parallel Seq Scan")
    finally:
        psql(found, found.primary, "postgres", "drop table wide")


async def test_a_table_without_statistics_is_cut_by_its_key_where_servers_are_spared(server: Pair) -> None:
    for database in ("shop", "other"):
        psql(
            server, server.primary, database, "create table young (id int primary key) with (autovacuum_enabled = off)"
        )
        psql(server, server.primary, database, "insert into young select generate_series(1, 1000)")
    for share, parts in ((0.9, 10), (1.0, 1)):
        shares: list[float] = []
        watch = CompareWatch(progress=lambda told, shares=shares: shares.append(told.share))
        request = asked("young", pace=Burden(share=share, part=100))
        a, b = (side(server, server.primary, database, database) for database in ("shop", "other"))
        assert (await compared(a, b, request, watch)).code is ExitCode.DONE
        assert len({each for each in shares if each}) == parts
