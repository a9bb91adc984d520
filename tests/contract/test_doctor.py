"""`recovery doctor` on a real pair and a real HAProxy: what it says is so, and nothing was done to find out."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ruamel.yaml import YAML

from adapters.access.prepared_sql import prepare_sql
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from tests.contract.components import RunningHAProxy
from tests.support.plain_pair import plain_pair

Capture = pytest.CaptureFixture[str]
ROLES = "select string_agg(rolname || rolcanlogin::text, ',' order by rolname) from pg_roles"


async def roles(port: int) -> str:
    """Every role of the cluster."""
    admin = await asyncpg.connect(host="127.0.0.1", port=port, user="postgres", database="postgres", ssl=False)
    try:
        return str(await admin.fetchval(ROLES))
    finally:
        await admin.close()


async def told(file: Path, capsys: Capture) -> tuple[int, dict[tuple[str, str], str], list[Any]]:
    """The exit code, and by target and deed whether it can be done."""
    capsys.readouterr()
    code = await asyncio.to_thread(run_to_code, recovery, ["doctor", str(file), "--within", "20", "--json"])
    rows = json.loads(capsys.readouterr().out)["abilities"]
    return code, {(row["target"], row["does"]): row["can"] for row in rows}, rows


async def test_what_the_accounts_can_do_is_read_and_not_tried(
    tmp_path: Path, capsys: Capture, haproxy: RunningHAProxy
) -> None:
    with plain_pair() as servers:
        tree: dict[str, Any] = {
            "estate": "doctored", "environment": "lab", "sites": {"east": {}}, "runbooks": [],
            "databases": {"ledger": {**servers.database("a", "b", fenced=False), "access": {}}},
            "balancers": {
                "all": {"kind": "haproxy", "site": "east", "socket": str(haproxy.socket)},
                "some": {"kind": "haproxy", "site": "east", "socket": str(haproxy.user_socket)},
            },
        }  # fmt: skip
        file = tmp_path / "recovery.yaml"
        with file.open("w") as out:
            YAML(typ="safe", pure=True).dump(tree, out)
        before = await roles(servers.ports["a"])
        assert "ops" in before
        code, can, rows = await told(file, capsys)
        assert can["databases/ledger", "give access"] == "cannot"
        assert code == 1, "what the estate asks for and the cluster is not prepared for"
        assert all(row["next"] for row in rows if row["can"] == "cannot" and row["identity"] == "act"), rows
        assert can["databases/ledger/a", "promote"] == "can"
        assert can["databases/ledger/a", "see replication and sessions"] == "can"
        assert can["balancers/all", "set weights, states and maps"] == "can"
        assert can["balancers/some", "set weights, states and maps"] == "cannot"
        assert can["balancers/some", "be read"] == "can"
        assert await roles(servers.ports["a"]) == before
        major = int((servers.pair.place / "a" / "PG_VERSION").read_text())
        servers.sql("a", prepare_sql(major, act="ops", read="recovery", longest=14_400))
        servers.sql("a", "revoke execute on function pg_reload_conf() from ops")
        before = await roles(servers.ports["a"])
        code, can, _ = await told(file, capsys)
        assert can["databases/ledger", "give access"] == "can"
        assert can["databases/ledger", "end access"] == "can"
        assert can["databases/ledger/a", "repoint a standby"] == "cannot"
        assert await roles(servers.ports["a"]) == before
        capsys.readouterr()
        await asyncio.to_thread(run_to_code, recovery, ["doctor", str(file), "--within", "20"])
        said = capsys.readouterr().out
        assert "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO ops;" in said
        assert "CANNOT" in said
        servers.pair.control("b", "-m", "immediate", "stop")
        code, can, _ = await told(file, capsys)
        assert can["databases/ledger", "end access"] == "unknown", "sessions on a node that does not answer"
        assert can["databases/ledger/b", "be read"] == "cannot"
        assert code == 1


async def test_an_invalid_file_is_told_and_nothing_is_asked(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "recovery.yaml"
    file.write_text("estate: x\n")
    assert await asyncio.to_thread(run_to_code, recovery, ["doctor", str(file)]) == 2
    assert "environment" in capsys.readouterr().err
