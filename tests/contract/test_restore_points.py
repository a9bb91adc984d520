"""Named restore points on a real pair: written once by the primary, on record on every node, counted in the WAL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters.databases.restore_points import BEGIN, record_of
from state.changes.host_acts import mark_of
from state.changes.model import Finding, OfEffect
from state.errors import EffectRefused
from tests.contract.components import postgres_bin, postgres_with_tls
from tests.contract.test_streaming_pair import Engineer
from tests.support.plain_pair import Servers, plain_pair


@pytest.fixture(params=[postgres_bin(), postgres_with_tls()], ids=["18", "15"], scope="module")
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    programs: Path = request.param
    with plain_pair(programs) as made:
        yield made


@pytest.fixture
async def engineer(servers: Servers) -> AsyncIterator[Engineer]:
    made = Engineer(servers, "a", "b", fenced=False)
    yield made
    await made.close()


async def test_a_point_is_written_once_with_its_position_and_its_name_is_taken(
    servers: Servers, engineer: Engineer
) -> None:
    made = await engineer.does("restore-point", point="before-v42")
    assert servers.points_in_wal("a", "before-v42") == 1
    where = str(made.figures["lsn"])
    async with asyncio.timeout(60):
        while not await engineer.database.points("b", deadline=10):
            await asyncio.sleep(0.1)
    (point,) = await engineer.database.points("b", deadline=10)
    assert (point.name, f"{(point.lsn or 0) >> 32:X}/{(point.lsn or 0) & 0xFFFFFFFF:X}") == ("before-v42", where)
    assert await engineer.refused("restore-point", point="before-v42") == ["name-free"]
    shown = await engineer.change("restore-point", point="after").preview(deadline=10)
    assert [each.message for each in shown.warnings] == [
        "a archives no WAL (archive_mode is off): nothing can be restored to the point"
    ]
    await engineer.does("restore-point", point="after-v42")
    assert [each.name for each in await engineer.database.points("a", deadline=10)] == ["before-v42", "after-v42"]
    for number in range(60):
        await engineer.database.make_point("a", f"{'p' * 56}{number}", f"{number:016x}", deadline=10)
    kept = await engineer.database.points("a", deadline=10)
    assert [each.name for each in kept] == [f"{'p' * 56}{number}" for number in range(20, 60)]


async def test_a_standby_writes_none_and_an_account_without_the_right_writes_none(
    servers: Servers, engineer: Engineer
) -> None:
    with pytest.raises(EffectRefused) as refusal:
        await engineer.database.make_point("b", "on-b", "f" * 16, deadline=10)
    assert refusal.value.code == "standby"
    servers.sql("a", "revoke execute on function pg_create_restore_point(text) from ops")
    try:
        change, shown = await engineer.ready("restore-point", point="denied")
        with pytest.raises(EffectRefused) as refusal:
            await change.apply(shown.facts, effect="R-1/restore-point", deadline=10)
        assert refusal.value.code == "not-able"
        assert "denied" not in [each.name for each in await engineer.database.points("a", deadline=10)]
    finally:
        servers.sql("a", "grant execute on function pg_create_restore_point(text) to ops")


async def test_what_was_only_begun_is_neither_done_nor_not_done(engineer: Engineer) -> None:
    change, shown = await engineer.ready("restore-point", point="cut")
    assert isinstance(change, OfEffect)
    change.effect = "R-2/cut"
    assert (await change.read_back(shown.facts, deadline=10)).finding is Finding.NOT_DONE
    before = await engineer.database.points("a", deadline=10)
    begun, _, _ = record_of(before, "cut", mark_of("R-2/cut").rpartition(" ")[2])
    async with engineer.database.acting("a", 10) as session:
        await session.execute(await session.fetchval(BEGIN, begun))
    found = await engineer.found(change, shown, Finding.PARTIAL)
    assert "not known" in found.evidence[0]
    assert await engineer.refused("restore-point", point="cut") == ["name-free"]
