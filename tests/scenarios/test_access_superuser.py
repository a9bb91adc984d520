"""The tier of superusers at a real pair: asked for with a second person, pictured, used badly, ended, settled."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from adapters.access.postgres_access import PostgresAccess
from adapters.access.prepared_sql import prepare_sql
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_cluster import PostgresCluster
from adapters.secrets import Secret
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.api.requests import PlanChange
from state.api.views.access import GrantState
from state.errors import ExitCode
from state.estate.access import AccessEntry
from state.granting.model import Bundle, role_name
from state.granting.scram import new_secret, verifier
from tests.contract.components import PASSWORD
from tests.support.plain_pair import Servers, plain_pair
from tests.support.real_engine import RealEngine, engine_home, until

Capture = pytest.CaptureFixture[str]
BUNDLES = ["read-all", "superuser"]


@pytest.fixture
async def site() -> AsyncIterator[tuple[Servers, RealEngine, PostgresAccess]]:
    with plain_pair() as servers:
        major = int((servers.pair.place / "a" / "PG_VERSION").read_text())
        sql = prepare_sql(major, act="ops", read="recovery", longest=14_400, superuser=True)
        for database in ("postgres", "template1"):
            servers.pair.psql(servers.ports["a"], sql, database)
        entry: dict[str, Any] = {**servers.database("a", "b", fenced=False), "access": {"bundles": BUNDLES}}
        people = {"you": {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["commander"]}}
        people["mallory"] = {"accounts": ["mallory"], "roles": ["commander"]}
        tree = {
            "estate": "raised", "environment": "lab", "sites": {"east": {}}, "people": people,
            "databases": {"ledger": entry}, "runbooks": [],
        }  # fmt: skip
        reading, acting = (Access(name, "postgres", Secret(PASSWORD)) for name in ("recovery", "ops"))
        nodes = [PostgresNode(name, "127.0.0.1", servers.ports[name], reading) for name in ("a", "b")]
        target = PostgresAccess(PostgresCluster("ledger", nodes, acting), acting, AccessEntry(bundles=tuple(Bundle)))
        with engine_home(tree) as engine:
            await engine.start()
            yield servers, engine, target
        await target.close()


async def verb(engine: RealEngine, *words: str) -> int:
    return await asyncio.to_thread(run_to_code, recovery, [*words, "--estate", str(engine.place.file)])


async def test_the_card_says_what_nobody_can_prove_and_needs_a_second_person(
    site: tuple[Servers, RealEngine, PostgresAccess],
) -> None:
    _, engine, _ = site
    args = {"database": "ledger", "grant": "G-AAAAAA", "person": "you", "seconds": 600, "ticket": "INC-42"}
    asked = PlanChange("access.grant", {**args, "bundle": "superuser", "reason": "the catalogue is broken"})
    card = await engine.plan(asked)
    told = " ".join(each.message for each in card.warnings)
    assert "COPY … TO PROGRAM" in told
    assert "may do everything" in told
    assert any("1 approval" in each.fact or "approv" in each.rule for each in card.refusals), card.refusals
    usual = await engine.plan(PlanChange("access.grant", {**args, "bundle": "read-all", "reason": "rows are missing"}))
    assert usual.refusals == ()


async def test_what_a_superuser_left_is_told_after_the_end_and_settled_by_another_person(
    site: tuple[Servers, RealEngine, PostgresAccess], capsys: Capture
) -> None:
    servers, engine, target = site
    role, secret = role_name("G-EVEEVE", "mallory"), new_secret()
    armed = await target.arm("G-EVEEVE", role, Bundle.SUPERUSER, "mallory", "T", effect="x/1", seconds=600, deadline=9)

    async def pictured() -> bool:
        return "grant.pictured" in engine.kinds()

    await until(pictured, 30)
    await target.open_login(armed.oid, verifier(secret), window=60, deadline=9)
    session = await asyncpg.connect(
        host="127.0.0.1", port=servers.ports["a"], user=role, password=secret, database="postgres", ssl=False
    )
    await session.execute("set role recovery_super; create role backdoor login superuser password 'mine'")
    await session.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ 'reaper'")
    assert await verb(engine, "access", "end", "G-EVEEVE", "--json") == ExitCode.DONE
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await session.fetchval("select 1")

    async def told() -> bool:
        row = (await engine.client.view("access")).grants["G-EVEEVE"]
        return row.state is GrantState.RESIDUE and "backdoor" in row.obstacle

    await until(told, 30)
    capsys.readouterr()
    assert await verb(engine, "access", "list", "--json") == ExitCode.FAILED
    rows = json.loads(capsys.readouterr().out)["access"]["grants"]
    assert "role in (cluster): backdoor (new). drop owned by" in rows["G-EVEEVE"]["obstacle"]
    words = ["access", "accept", "G-EVEEVE", "--reason", "an account of the vendor, CHG-9", "--json"]
    assert await verb(engine, *words) == ExitCode.DONE
    assert (await engine.client.view("access")).grants["G-EVEEVE"].state is GrantState.ENDED
    assert await verb(engine, "access", "accept", "G-EVEEVE", "--reason", "once more, CHG-9") == ExitCode.USAGE
    assert engine.kinds().count("grant.residue-accepted") == 1
    assert secret not in "\n".join(str(each.event.body) for each in engine.entries())
