"""Access by verb, at an engine's own process and a real pair: asked for, used, counted down, ended, proven."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from adapters.access.prepared_sql import prepare_sql
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.api.views.access import GrantRow, GrantState
from tests.support.plain_pair import Servers, plain_pair
from tests.support.real_engine import RealEngine, engine_home, until

Capture = pytest.CaptureFixture[str]
PERSON = "you"


@pytest.fixture
async def site() -> AsyncIterator[tuple[Servers, RealEngine]]:
    with plain_pair() as servers:
        major = int((servers.pair.place / "a" / "PG_VERSION").read_text())
        servers.sql("a", prepare_sql(major, act="ops", read="recovery", longest=14_400))
        database = servers.database("a", "b", fenced=False)
        tree: dict[str, Any] = {
            "estate": "granted",
            "environment": "lab",
            "sites": {"east": {}},
            "people": {PERSON: {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["commander"]}},
            "databases": {"ledger": {**database, "access": {}}},
            "runbooks": [],
        }
        with engine_home(tree) as engine:
            await engine.start()
            yield servers, engine


async def verb(engine: RealEngine, *words: str) -> int:
    return await asyncio.to_thread(run_to_code, recovery, [*words, "--estate", str(engine.place.file)])


async def only_grant(engine: RealEngine) -> GrantRow:
    rows: dict[str, GrantRow] = (await engine.client.view("access")).grants
    return next(iter(rows.values()))


async def asked(engine: RealEngine, secret: Path, lasts: str = "10m") -> int:
    words = ["access", "request", "ledger", "read-all", "--reason", "rows are missing", "--ticket", "INC-42"]
    return await verb(
        engine, *words, "--for", lasts, "--secret-file", str(secret), "--yes-nonce", "--name", "ledger", "--json"
    )


async def login(servers: Servers, row: GrantRow, secret: Path, node: str = "a") -> asyncpg.Connection:
    return await asyncpg.connect(
        host="127.0.0.1", port=servers.ports[node], user=row.role, password=secret.read_text().strip(),
        database="postgres", ssl=False, timeout=5,
    )  # fmt: skip


async def dead(session: asyncpg.Connection) -> bool:
    try:
        await session.fetchval("select 1", timeout=3)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return True
    return False


async def test_it_is_asked_for_used_extended_ended_and_proven(
    site: tuple[Servers, RealEngine], tmp_path: Path, capsys: Capture
) -> None:
    servers, engine = site
    secret = tmp_path / "secret"
    assert await asked(engine, secret) == 0, capsys.readouterr()
    assert oct(secret.stat().st_mode & 0o777) == "0o600"
    row = await only_grant(engine)
    session = await login(servers, row, secret)
    assert await session.fetchval("select count(*) from ledger") == 0

    async def seen() -> bool:
        return bool((await only_grant(engine)).sessions)

    await until(seen, 10)
    assert await verb(engine, "access", "list") == 0
    assert "read-all" in capsys.readouterr().out
    words = ["--by", "5m", "--reason", "the repair still runs", "--yes-nonce", "--name", "ledger"]
    assert await verb(engine, "access", "extend", row.id, *words) == 0
    assert await verb(engine, "access", "proof", row.id) == 3
    capsys.readouterr()
    assert await verb(engine, "access", "end", row.id, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "ended"
    assert "no session at a, b" in told["proof"]
    assert await dead(session)
    with pytest.raises(asyncpg.PostgresError):
        await login(servers, row, secret)
    assert await verb(engine, "access", "proof", row.id) == 0
    kinds = [kind for kind in engine.kinds() if kind.startswith("grant.")]
    assert kinds == ["grant.armed", "grant.opening", "grant.opened", "grant.extended", "grant.ending", "grant.ended"]
    word = secret.read_text().strip()
    assert word not in capsys.readouterr().out
    files = [each for each in engine.place.file.parent.rglob("*") if each.is_file()]
    assert not [each for each in files if word.encode() in each.read_bytes()], "the secret is nowhere"


async def test_it_ends_on_time_though_the_engine_was_killed_and_the_next_one_proves_it(
    site: tuple[Servers, RealEngine], tmp_path: Path
) -> None:
    servers, engine = site
    secret = tmp_path / "secret"
    assert await asked(engine, secret, "60s") == 0
    row = await only_grant(engine)
    session = await login(servers, row, secret)
    admin = await asyncpg.connect(
        host="127.0.0.1", port=servers.ports["a"], user="postgres", database="postgres", ssl=False
    )
    mark = await admin.fetchval(
        "select replace(shobj_description(oid, 'pg_authid'), 'recovery grant ', '') from pg_roles where rolname = $1",
        row.role,
    )
    soon = json.loads(mark)
    soon["ends"] = await admin.fetchval("select extract(epoch from clock_timestamp())::float8") + 3
    engine.kill()
    await admin.execute(f"comment on role {row.role} is 'recovery grant {json.dumps(soon)}'")

    async def over() -> bool:
        return await dead(session)

    await until(over, 10)
    with pytest.raises(asyncpg.PostgresError):
        await login(servers, row, secret)
    await engine.start()

    async def proven() -> bool:
        return (await only_grant(engine)).state is GrantState.ENDED

    await until(proven, 20)
    assert not await admin.fetchval("select count(*) from pg_roles where rolname = $1", row.role)
    await admin.close()


async def test_without_a_place_for_the_secret_nothing_is_asked(
    site: tuple[Servers, RealEngine], capsys: Capture
) -> None:
    _, engine = site
    words = ["access", "request", "ledger", "read-all", "--reason", "rows are missing", "--ticket", "INC-42"]
    assert await verb(engine, *words, "--yes-nonce", "--name", "ledger") == 4
    assert "secret-place" in capsys.readouterr().err
    assert not (await engine.client.view("access")).grants
