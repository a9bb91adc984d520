"""`recovery db compare` as a person and a script call it: report, files and exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from tests.contract.compared import psql
from tests.contract.components import PASSWORD, Pair, wait_for

ESTATE = """
estate: compared
environment: lab
sites: {{east: {{}}}}
services: {{shop: {{tier: 1, rto: 5m, rpo: 1MB}}}}
databases:
  orders:
    kind: patroni
    scope: orders
    database: shop
    user: reader
    password: {{file: password}}
    tls: loopback
    nodes:
      a: {{site: east, postgres: "127.0.0.1:{primary}", api: "http://127.0.0.1:1"}}
      b: {{site: east, postgres: "127.0.0.1:{standby}", api: "http://127.0.0.1:2"}}
      gone: {{site: east, postgres: "127.0.0.1:1", api: "http://127.0.0.1:3"}}
runbooks: []
"""
MADE = """
create table people (id int primary key, name text, secret text);
insert into people select i, 'person ' || i, 'very-private-' || i from generate_series(1, 200) as i;
create table empty_one (id int primary key)
"""


@pytest.fixture(scope="module")
def server(majors: dict[str, Pair]) -> Iterator[Pair]:
    found = majors["18"]
    for database in ("shop", "copy"):
        psql(found, found.primary, "postgres", f"create database {database}")
        psql(found, found.primary, database, MADE)
    psql(found, found.primary, "copy", "update people set secret = 'x' where id = 7; delete from people where id = 9")
    position = psql(found, found.primary, "postgres", "select pg_current_wal_flush_lsn()").strip()
    reached = f"select pg_last_wal_replay_lsn() >= '{position}'"
    wait_for(lambda: psql(found, found.standby, "postgres", reached).strip() == "t", 60)
    yield found
    for database in ("shop", "copy"):
        psql(found, found.primary, "postgres", f"drop database {database} with (force)")


@pytest.fixture
def estate(server: Pair, tmp_path: Path) -> Path:
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    file = tmp_path / "recovery.yaml"
    file.write_text(ESTATE.format(primary=server.primary, standby=server.standby))
    return file


def compare(estate: Path, *words: str | Path) -> int:
    return run_to_code(recovery, ["db", "compare", *map(str, words), "--estate", str(estate)])


def test_primary_and_standby_are_equal(estate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(estate, "orders/a", "orders/b") == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].startswith("A  orders/a  database shop  PostgreSQL 18")
    assert "primary" in lines[0]
    assert "standby" in lines[1]
    assert lines[-1].startswith("EQUAL: 2 tables, 200 rows; compared in ")
    assert PASSWORD not in said.out + said.err


def test_differences_are_listed_by_key_and_column_and_no_value_is_shown(
    estate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, report = tmp_path / "repair.sql", tmp_path / "report.json"
    words = ("orders/a", "orders/a/copy", "--tables", "people", "--repair", script, "--out", report)
    assert compare(estate, *words) == 1
    said = capsys.readouterr()
    assert "  changed    id = 7: secret" in said.out
    assert "  only on A  id = 9" in said.out
    assert said.out.splitlines()[-1].startswith("DIFFERS: 2 rows in 1 table; compared in ")
    assert "very-private" not in said.out + said.err + report.read_text()
    assert "very-private-7" in script.read_text()
    assert script.read_text().splitlines()[-1].startswith("ROLLBACK;")
    assert [path.stat().st_mode & 0o777 for path in (script, report)] == [0o600, 0o600]
    document = json.loads(report.read_text())
    assert document["code"] == 1
    (people,) = document["tables"]
    assert people["apart"] == {"changed": 1, "only on A": 1}
    assert compare(estate, *words) == 2
    assert "is there and is left as it is" in capsys.readouterr().err


def test_json_is_one_document(estate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(estate, "orders/a", "orders/a/copy", "--json", "--md5", "--except", "empty*") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["portable"], document["left_out"], document["link"]) == (True, ["public.empty_one"], "none")


def test_nothing_to_compare_is_unknown_and_wrong_words_are_usage(
    estate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(estate, "orders/a/template1", "orders/b/template1") == 3
    assert "nothing was compared" in capsys.readouterr().out
    assert compare(estate, "orders/gone", "orders/a") == 3
    assert "orders/gone" in capsys.readouterr().err
    assert compare(estate, "orders/a", "orders/a") == 4
    for words, said in {
        ("orders", "orders/a"): "DATABASE/NODE",
        ("orders/a", "orders/nonsuch"): "no node nonsuch",
        ("nonsuch/a", "orders/a"): "no database nonsuch",
        ("orders/a", "orders/b", "--tables", "peple"): "fits peple",
        ("orders/a", "orders/b", "--resume"): "--state",
        ("orders/a", "orders/b", "--throttle", "0"): "--throttle",
    }.items():
        assert compare(estate, *words) == 2, words
        assert said in capsys.readouterr().err


def test_state_is_kept_and_a_new_comparison_does_not_overwrite_it(
    estate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state.json"
    assert compare(estate, "orders/a", "orders/a/copy", "--state", state) == 1
    assert compare(estate, "orders/a", "orders/a/copy", "--state", state) == 2
    assert compare(estate, "orders/a", "orders/b", "--state", state, "--resume") == 2
    assert "another comparison" in capsys.readouterr().err
    assert compare(estate, "orders/a", "orders/a/copy", "--state", state, "--resume") == 1
    state.write_text("{}")
    assert compare(estate, "orders/a", "orders/a/copy", "--state", state, "--resume") == 2
    assert "what --state has written" in capsys.readouterr().err
