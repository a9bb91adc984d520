"""A Prometheus whose answers are not of now: something in front of it repeats old ones, or its clock differs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.context import AdapterContext
from state.errors import ReadFailure, Trouble
from state.ports.source import Source
from state.world.readings import MetricsReading
from tests.contract.components import serving
from tests.contract.monitors import AGE, FakePrometheus, one_prometheus, series

RATE = series("rate", "20", service="checkout", release="v1")


@asynccontextmanager
async def asking(context: AdapterContext) -> AsyncIterator[tuple[FakePrometheus, Source]]:
    server = FakePrometheus([AGE, RATE], {}, ("checkout",))
    async with serving(server.serve) as server.port:
        (source,) = one_prometheus(server, context)
        try:
            yield server, source
        finally:
            await source.close()


async def why(source: Source) -> str:
    with pytest.raises(ReadFailure) as failure:
        await source.read()
    assert failure.value.trouble is Trouble.ERROR
    return str(failure.value)


async def age(source: Source) -> float:
    reading = await source.read()
    assert isinstance(reading, MetricsReading)
    checkout = reading.services["checkout"]
    assert checkout.rate == 20.0
    assert checkout.scraping is not None
    assert checkout.scraping.age is not None
    return checkout.scraping.age


async def test_02_an_answer_that_is_repeated_is_old_and_no_reading(context: AdapterContext) -> None:
    async with asking(context) as (server, source):
        assert await age(source) == pytest.approx(0.6, abs=0.1)
        stopped = time.time() - 5
        server.clock = lambda: stopped
        assert await age(source) > 5
        stopped -= 60
        assert "a cache is in front of it" in await why(source)
        server.clock = time.time
        assert await age(source) < 5


async def test_02_an_old_answer_at_the_start_proves_nothing(context: AdapterContext) -> None:
    async with asking(context) as (server, source):
        stopped = time.time() - 240
        server.clock = lambda: stopped
        for _ in range(3):
            assert "which is not now here: its clock differs, or a cache is in front of it" in await why(source)


@pytest.mark.parametrize("differs", [3600.0, -3600.0])
async def test_02_a_clock_that_differs_is_said_once_and_takes_nothing_away(
    context: AdapterContext, differs: float
) -> None:
    async with asking(context) as (server, source):
        server.clock = lambda: time.time() + differs
        assert "its clock differs" in await why(source)
        for _ in range(3):
            assert await age(source) == pytest.approx(0.6, abs=0.1)


async def test_02_an_answer_that_does_not_tell_its_time_is_no_reading(context: AdapterContext) -> None:
    async with asking(context) as (server, source):
        server.clock = lambda: float("nan")
        assert "does not tell its time" in await why(source)
