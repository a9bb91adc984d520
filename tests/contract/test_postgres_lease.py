"""Two engines of different hosts meet at a real server: one has its lease, the other one is told whose it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.databases.postgres import PostgresNode
from tests.contract.components import Pair
from tests.contract.test_postgres import ACCESS, until

ONE, TWO = "recovery engine 1 on east", "recovery engine 2 on west"


@asynccontextmanager
async def engine(port: int, name: str) -> AsyncIterator[PostgresNode]:
    node = PostgresNode("n", "127.0.0.1", port, ACCESS, name)
    try:
        yield node
    finally:
        await node.close()


@pytest.mark.parametrize("role", ["primary", "standby"])
async def test_the_second_engine_is_told_who_has_the_lease_until_it_is_free(pair: Pair, role: str) -> None:
    port = getattr(pair, role)
    async with engine(port, TWO) as second:
        async with engine(port, ONE) as first:
            assert (await first.read(deadline=5)).other_engine == ""
            assert (await second.read(deadline=5)).other_engine == f"{ONE} from 127.0.0.1"
            assert (await first.read(deadline=5)).other_engine == ""
        await until(second, lambda reading: not reading.other_engine)
        async with engine(port, ONE) as first:
            assert (await first.read(deadline=5)).other_engine == f"{TWO} from 127.0.0.1"


async def test_a_session_that_the_same_engine_has_lost_is_no_other_one(pair: Pair) -> None:
    async with engine(pair.primary, ONE) as lost, engine(pair.primary, ONE) as again:
        await lost.read(deadline=5)
        assert (await again.read(deadline=5)).other_engine == ""


async def test_who_only_looks_takes_no_lease(pair: Pair) -> None:
    """`check --connect` and `init` are no engines."""
    async with engine(pair.primary, "") as looking, engine(pair.primary, ONE) as first:
        assert (await looking.read(deadline=5)).other_engine == ""
        assert (await first.read(deadline=5)).other_engine == ""
        assert (await looking.read(deadline=5)).other_engine == ""
