"""Standbys that are behind: what counts as heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from state.granting.model import Bundle, EndObstacle, EndProof, NotEnded, role_name
from state.grants.ending import GrantEnd
from tests.contract.access_pair import MAJORS, access_pair, granted, target_of
from tests.contract.components import Pair


@pytest.fixture(scope="module", params=sorted(MAJORS))
def pair(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    with access_pair(folder, request.param) as running:
        yield running


async def test_a_standby_that_has_not_heard_of_the_login_holds_its_proof_up(pair: Pair) -> None:
    """It knows nothing of the role when the primary has dropped it, and opens its login afterwards."""
    pair.psql(pair.standby, "alter system set recovery_min_apply_delay = '8s'")
    pair.psql(pair.standby, "select pg_reload_conf()")
    async with target_of(pair) as target:
        grant = await granted(pair, target, "late")
        await asyncio.sleep(4)
        ending, told, let_in = GrantEnd(target, grant.armed.oid, grant.role), set[EndObstacle](), 0
        end = time.monotonic() + 60
        while isinstance(found := await ending.attempt(), NotEnded) and time.monotonic() < end:
            told.add(found.obstacle)
            await asyncio.sleep(0.2)
        assert isinstance(found, EndProof)
        assert EndObstacle.BEHIND in told
        for _ in range(40):
            with suppress(asyncpg.PostgresError, OSError):
                await grant.login(pair.standby)
                let_in += 1
            await asyncio.sleep(0.25)
        assert let_in == 0
    pair.psql(pair.standby, "alter system reset recovery_min_apply_delay")
    pair.psql(pair.standby, "select pg_reload_conf()")


async def test_a_standby_that_is_to_be_behind_forbids_no_grant(pair: Pair) -> None:
    """It cannot take a password of which it has not heard; that its rule asks for one is tried all the same."""
    rules = pair.place / "b" / "pg_hba.conf"
    usual = rules.read_text()
    pair.psql(pair.standby, "alter system set recovery_min_apply_delay = '1h'")
    pair.psql(pair.standby, "select pg_reload_conf()")
    async with target_of(pair) as target:
        role = role_name("beh", "ada")
        armed = await target.arm("beh", role, Bundle.READ_ALL, "ada", "INC-1", effect="beh", seconds=600, deadline=4)
        assert await target.rehearse(armed.oid, role, deadline=2) == []
        rules.write_text("host all all all trust\nlocal all all trust\nhost replication all all trust\n")
        pair.psql(pair.standby, "select pg_reload_conf()")
        await asyncio.sleep(0.5)
        (against,) = await target.rehearse(armed.oid, role, deadline=2)
        assert against.startswith("b lets this role in without a password")
        rules.write_text(usual)
        pair.psql(pair.standby, "alter system reset recovery_min_apply_delay")
        pair.psql(pair.standby, "select pg_reload_conf()")
        ending = GrantEnd(target, armed.oid, role)
        end = time.monotonic() + 60
        while isinstance(found := await ending.attempt(), NotEnded) and time.monotonic() < end:
            await asyncio.sleep(0.2)
        assert isinstance(found, EndProof)


async def test_a_standby_that_is_to_be_far_behind_forbids_no_proof(pair: Pair) -> None:
    pair.psql(pair.standby, "alter system set recovery_min_apply_delay = '1h'")
    pair.psql(pair.standby, "select pg_reload_conf()")
    async with target_of(pair) as target:
        role = role_name("far", "ada")
        armed = await target.arm("far", role, Bundle.READ_ALL, "ada", "INC-1", effect="far", seconds=600, deadline=4)
        ending = GrantEnd(target, armed.oid, role)
        found = await ending.attempt()
        end = time.monotonic() + 90
        while isinstance(found, NotEnded) and time.monotonic() < end:
            assert found.obstacle is EndObstacle.BEHIND
            await asyncio.sleep(1)
            found = await ending.attempt()
        assert isinstance(found, EndProof)
    pair.psql(pair.standby, "alter system reset recovery_min_apply_delay")
    pair.psql(pair.standby, "select pg_reload_conf()")
