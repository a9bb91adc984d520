"""Statements of an estate's own at a real primary: recorded in the same transaction, or taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.commands.own_checks import SqlSource
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.statements import OwnStatement, first_column
from adapters.journals.memory import MemoryJournal
from adapters.secrets import Secret
from state.api.requests import PlanChange
from state.engine.engine import Engine
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.estate.model import DatabaseEntry, Estate
from state.estate.own_checks import SqlCheck
from state.health import Health
from state.planning.library import Library
from state.ports.outside import Outside
from tests.contract.components import PASSWORD, Pair
from tests.support.cards import MemoryDatabase
from tests.support.small_estate import ESTATE, BalancerSource, LoopClock, Small

TABLES = """
drop table if exists own_effects; drop table if exists jobs;
create table own_effects (effect text primary key, at timestamptz not null default now());
create table jobs (name text primary key, paused boolean not null default false);
insert into jobs values ('billing'), ('mail');
grant select, insert on own_effects to recovery; grant select, update on jobs to recovery
"""
PAUSE = "update jobs set paused = true where name = $1"


@pytest.fixture
def servers(pair: Pair) -> Sequence[PostgresNode]:
    for sql in TABLES.strip().split(";"):
        pair.psql(pair.primary, sql)
    access = Access("recovery", "postgres", Secret(PASSWORD))
    return [PostgresNode(f"n{port}", "127.0.0.1", port, access) for port in (pair.standby, pair.primary)]


@pytest.fixture
def pause(servers: Sequence[PostgresNode]) -> OwnStatement:
    return OwnStatement(
        "sql_calls/pause", servers, Access("recovery", "postgres", Secret(PASSWORD)), "public.own_effects"
    )


async def paused(servers: Sequence[PostgresNode]) -> tuple[Any, ...]:
    return await first_column(servers, "select name from jobs where paused order by 1", deadline=60)


async def test_it_is_run_once_and_recorded(pause: OwnStatement, servers: Sequence[PostgresNode]) -> None:
    await pause.prepare(PAUSE, ["billing"], deadline=60)
    assert await paused(servers) == ()
    assert await pause.recorded("R-1", deadline=60) is False
    receipt = await pause.transact(PAUSE, ["billing"], 1, effect="R-1", deadline=60)
    assert (receipt.code, receipt.message) == ("committed", "committed, 1 rows")
    assert await pause.recorded("R-1", deadline=60) is True
    assert await paused(servers) == ("billing",)
    with pytest.raises(EffectRefused, match="taken back: duplicate key"):
        await pause.transact(PAUSE, ["mail"], 1, effect="R-1", deadline=60)
    assert await paused(servers) == ("billing",), "one effect is carried out once"


@pytest.mark.parametrize(
    ("statement", "values", "rows", "why"),
    [
        (PAUSE, ["nobody"], 1, "0 rows instead of 1"),
        ("update jobs set paused = true", [], 1, "2 rows instead of 1"),
        ("update jobs set paused = null", [], None, "null value"),
        ("update nothing set x = 1", [], None, "does not exist"),
        ("delete from jobs", [], None, "permission denied"),
        (f"{PAUSE}; update jobs set paused = true", ["mail"], None, "multiple commands"),
        ("select 1/0", [], None, "division by zero"),
    ],
)
async def test_what_fails_is_taken_back_with_its_record(
    pause: OwnStatement, servers: Sequence[PostgresNode], statement: str, values: list[Any], rows: int, why: str
) -> None:
    with pytest.raises(EffectRefused, match=why):
        await pause.transact(statement, values, rows, effect="R-2", deadline=60)
    assert await pause.recorded("R-2", deadline=60) is False
    assert await paused(servers) == ()


@pytest.mark.parametrize("statement", ["commit", "rollback"])
async def test_a_statement_that_ends_the_transaction_is_never_done(pause: OwnStatement, statement: str) -> None:
    with pytest.raises(EffectUnknown, match="ended the transaction itself"):
        await pause.transact(statement, [], None, effect=f"R-{statement}", deadline=60)
    assert await pause.recorded(f"R-{statement}", deadline=60) is (statement == "commit")


@pytest.mark.parametrize("value", ["'; drop table jobs; --", "$1", "billing' or 'x'='x", "\\", "ü\n"])
async def test_a_value_is_no_part_of_the_statement(
    pause: OwnStatement, servers: Sequence[PostgresNode], value: str
) -> None:
    await pause.transact(PAUSE, [value], 0, effect="R-3", deadline=60)
    assert await paused(servers) == ()


async def test_while_its_transaction_is_open_nothing_is_known_and_a_cut_one_is_not_there(
    pause: OwnStatement, servers: Sequence[PostgresNode]
) -> None:
    slow = "update jobs set paused = pg_sleep(6) is not null where name = $1"
    task = asyncio.create_task(pause.transact(slow, ["billing"], 1, effect="R-4", deadline=4))
    async with asyncio.timeout(60):
        while await pause.recorded("R-4", deadline=60) is not None:
            await asyncio.sleep(0.05)
    with pytest.raises((EffectUnknown, EffectRefused)):
        await task
    async with asyncio.timeout(60):
        while (known := await pause.recorded("R-4", deadline=60)) is None:
            await asyncio.sleep(0.05)
    assert known is False
    assert await paused(servers) == ()


async def test_what_cannot_be_prepared_is_said(pause: OwnStatement, servers: Sequence[PostgresNode]) -> None:
    with pytest.raises(ReadFailure, match="syntax error"):
        await pause.prepare("updat jobs", [], deadline=60)
    with pytest.raises(ReadFailure, match="other parameters"):
        await pause.prepare(PAUSE, [], deadline=60)
    stranger = OwnStatement("sql_calls/x", servers, Access("nobody", "postgres", None), "own_effects")
    with pytest.raises(ReadFailure, match="no server takes writes"):
        await stranger.prepare(PAUSE, ["x"], deadline=60)
    with pytest.raises(EffectRefused, match="no server takes writes"):
        await stranger.transact(PAUSE, ["x"], 1, effect="R-5", deadline=60)
    tableless = OwnStatement("sql_calls/y", servers, Access("recovery", "postgres", Secret(PASSWORD)), "nothing")
    with pytest.raises(ReadFailure, match="does not exist"):
        await tableless.prepare(PAUSE, ["x"], deadline=60)


async def test_a_check_reads_and_cannot_write(servers: Sequence[PostgresNode]) -> None:
    assert await first_column(servers, "select count(*) from jobs", deadline=60) == (2,)
    with pytest.raises(ReadFailure, match="read-only"):
        await first_column(servers, "update jobs set paused = true returning 1", deadline=60)


@pytest.mark.parametrize("query", ["select 9007199254740993::numeric", "select sum(9007199254740993::bigint)"])
async def test_a_large_number_equals_no_other_one(servers: Sequence[PostgresNode], query: str) -> None:
    for equals, health in ((9007199254740992, Health.FAIL), (9007199254740993, Health.PASS)):
        check = SqlCheck.model_validate({"database": "orders", "query": query, "pass": {"equals": equals}})
        reading = await SqlSource("c", check, servers).read(deadline=60)
        assert (reading.health, reading.message) == (health, f"9007199254740993, wanted equals {equals}")


@pytest.mark.parametrize(
    ("query", "condition", "health", "said"),
    [
        ("select '5'::text", {"at_least": 5}, Health.UNKNOWN, '"5" is a text, not a number (cast it: ::numeric)'),
        ("select interval '5 s'", {"at_most": 10}, Health.UNKNOWN, "0:00:05 is an interval, not a number (cast it"),
        ("select 'd'::bytea", {"equals": "d"}, Health.UNKNOWN, "is bytes, not a text"),
        ("select true", {"equals": 1}, Health.UNKNOWN, "true is true or false, not a number"),
        ("select 5", {"at_least": 6}, Health.FAIL, "5, wanted at least 6"),
        ("select '5'::numeric", {"at_least": 5}, Health.PASS, "5"),
        ("select null::int", {"at_least": 5}, Health.UNKNOWN, "null"),
    ],
)
async def test_a_value_of_another_type_is_unknown_and_named(
    servers: Sequence[PostgresNode], query: str, condition: dict[str, Any], health: Health, said: str
) -> None:
    entry = SqlCheck.model_validate({"database": "orders", "query": query, "pass": condition})
    reading = await SqlSource("c", entry, servers).read(deadline=60)
    assert reading.health is health
    assert said in reading.message


def entry_of(**more: Any) -> dict[str, Any]:
    return {
        "database": "orders",
        "user": "recovery",
        "statement": PAUSE,
        "values": ["${job}"],
        "params": {"job": {"kind": "name"}},
        "record": "own_effects",
        "risk": "B1",
        "quiet": "200ms",
        "settle": "50ms",
        **more,
    }


@pytest.fixture
async def lab(servers: Sequence[PostgresNode], pause: OwnStatement, tmp_path: Path) -> AsyncIterator[Small]:
    calls = {"pause": entry_of(rows=1), "pause-any": entry_of()}
    cluster = DatabaseEntry.model_validate({"kind": "memory", "nodes": {"n1": {"site": "east"}}})
    model = Estate.model_validate({**ESTATE, "sql_calls": calls}).model_copy(update={"databases": {"orders": cluster}})
    balancer = MemoryBalancer("edge", {"shop": {"blue": 100}})
    store = MemoryJournal()
    outside = Outside(
        (BalancerSource(balancer),),
        {"edge": balancer},
        {"orders": MemoryDatabase()},
        sql_calls=dict.fromkeys(calls, pause),
    )
    engine = Engine(model, outside, store, LoopClock(), Library({}, model, {}), node="test", pid=1, uid=0)
    await engine.start()
    yield Small(engine, balancer, store)
    await engine.stop()


async def test_a_statement_is_a_change(lab: Small, servers: Sequence[PostgresNode]) -> None:
    card = await lab.preview(PlanChange("sql.call", {"statement": "pause", "args": {"job": "mail"}}))
    run = (await lab.submit(card)).run
    assert await lab.ended(run, 60) == "done"
    assert await paused(servers) == ("mail",)
    step = lab.engine.history.runs[run].latest("change")
    assert card.diffs[0].after == "run and recorded in own_effects, with 1 rows"
    assert step.evidence == ("sql_calls/pause: its effect is recorded in own_effects: committed, 1 rows",)
    card = await lab.preview(PlanChange("sql.call", {"statement": "pause", "args": {"job": "nobody"}}))
    run = (await lab.submit(card)).run
    assert await lab.ended(run, 60) == "failed"
    assert lab.engine.history.runs[run].latest("change").state.value == "not-done"


async def test_how_many_rows_it_changed_stays_in_its_result(lab: Small) -> None:
    card = await lab.preview(PlanChange("sql.call", {"statement": "pause-any", "args": {"job": "nobody"}}))
    assert card.diffs[0].after == "run and recorded in own_effects, however many rows it changes"
    run = (await lab.submit(card)).run
    assert await lab.ended(run, 60) == "done"
    (said,) = lab.engine.history.runs[run].latest("change").evidence
    assert said.endswith("is recorded in own_effects: committed, 0 rows")
