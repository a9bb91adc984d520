"""`recovery db prepare`, against a real server of each version."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.access.prepared_sql import MAJORS, prepare_sql, printed
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.granting.model import Bundle
from tests.contract.access_pair import MAJORS as SERVERS
from tests.contract.access_pair import as_admin, granted, target_of
from tests.contract.components import PASSWORD, Pair, kill_pair, make_primary

ESTATE = """
estate: prepared
environment: lab
sites: {{east: {{}}}}
databases:
  orders:
    kind: streaming
    tls: loopback
    user: recovery
    password: {{file: secret}}
    act_user: ops
    nodes:
      a: {{site: east, postgres: "127.0.0.1:{port}"}}
runbooks: []
"""


@pytest.fixture(scope="module", params=sorted(SERVERS))
def pair(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    place = folder / f"prepare-{request.param}"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    running = make_primary(place, SERVERS[request.param]())
    running.psql(running.primary, f"create role boss superuser login password '{PASSWORD}'")
    running.psql(running.primary, "create database other")
    running.psql(running.primary, "create role app nologin")
    yield running
    kill_pair(running)


@pytest.fixture
def estate(pair: Pair, tmp_path: Path) -> Path:
    file, secret = tmp_path / "recovery.yaml", tmp_path / "secret"
    file.write_text(ESTATE.format(port=pair.primary))
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    return file


def test_it_is_printed_for_the_version_of_the_server(
    pair: Pair, estate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["db", "prepare", "orders", "--estate", str(estate), "--json"]
    assert run_to_code(recovery, words) == 0
    asked = json.loads(capsys.readouterr().out)
    assert asked["sql"] == printed(prepare_sql(asked["major"], act="ops", read="recovery", longest=14_400))
    assert run_to_code(recovery, [*words, "--major", "15"]) == 0
    assert "admin option" not in json.loads(capsys.readouterr().out)["sql"]


async def test_it_is_applied_in_every_database_again_and_again(pair: Pair, estate: Path) -> None:
    words = ["db", "prepare", "orders", "--estate", str(estate), "--apply", "--as", "boss"]
    words += ["--password-file", str(estate.parent / "secret")]

    for _ in range(2):
        assert await asyncio.to_thread(run_to_code, recovery, words) == 0
    pair.psql(pair.primary, f"alter role ops password '{PASSWORD}'")
    async with target_of(pair) as target:
        for database in ("postgres", "other", "template1"):
            admin = await as_admin(pair, database)
            assert await admin.fetchval("select recovery_access.version()") == 1
            admin.terminate()
        admin = await as_admin(pair)
        rights = await admin.fetchrow("select rolsuper, rolcreaterole, rolcanlogin from pg_roles where rolname = 'ops'")
        assert tuple(rights) == (False, False, True), "the account that acts has functions, and no attribute"
        assert not await admin.fetchval("select rolcanlogin or rolsuper from pg_roles where rolname = 'recovery_owner'")
        loose = await admin.fetch(
            "select proname from pg_proc where pronamespace = 'recovery_access'::regnamespace and prosecdef "
            "and not (proconfig @> array['search_path=pg_catalog, pg_temp'])"
        )
        assert loose == [], "a search path that is not fixed lets others put functions in between"
        public = await admin.fetch(
            "select proname from pg_proc where pronamespace = 'recovery_access'::regnamespace "
            "and has_function_privilege('nobody_much', oid, 'execute')"
        )
        assert public == []
        granted_ = await granted(pair, target, "p1", Bundle.MONITOR)
        assert granted_.armed.ends > 0


async def test_who_is_no_superuser_cannot_apply_it(pair: Pair, estate: Path) -> None:
    words = ["db", "prepare", "orders", "--estate", str(estate), "--apply", "--as", "recovery"]
    words += ["--password-file", str(estate.parent / "secret")]

    assert await asyncio.to_thread(run_to_code, recovery, words) == 4


@pytest.mark.parametrize("major", MAJORS)
def test_each_version_has_its_own_rights(major: int) -> None:
    sql = prepare_sql(major, act="ops", read="recovery", longest=600, schema_owner='o"wner')
    assert ("with admin option" in sql) == (major >= 16)
    assert ("pg_use_reserved_connections" in sql) == (major >= 16)
    assert ('"o""wner"' in sql) == (major >= 16)
    assert "600 seconds" in sql


@pytest.mark.parametrize("major", [14, 19])
def test_a_version_that_nobody_tried_is_refused(major: int) -> None:
    with pytest.raises(ValueError, match="15, 16, 17, 18"):
        prepare_sql(major, act="ops", read="recovery", longest=600)
