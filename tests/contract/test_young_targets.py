"""Scrape targets that Prometheus has for minutes only: one that fails and dies is missed as every other one."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.context import AdapterContext
from state.world.readings import Lack, MetricsReading, ServiceTraffic
from tests.contract.components import serving
from tests.contract.monitors import AGE, FakePrometheus, one_prometheus, series

Rows = list[dict[str, Any]]


def at(figure: str, *instances: str, **labels: str) -> Rows:
    return [series(figure, "1", job="app", instance=each, **labels) for each in instances]


def counting(figure: str, *instances: str) -> Rows:
    return at(figure, *instances, service="checkout")


async def last_of(context: AdapterContext, *answers: Rows) -> ServiceTraffic:
    """What one monitor says of the last of these answers, after it has had the others."""
    server = FakePrometheus([], {})
    async with serving(server.serve) as server.port:
        (source,) = one_prometheus(server, context)
        try:
            for rows in answers:
                server.rows = [AGE, series("rate", "30", service="checkout", release="v1"), *rows]
                reading = await source.read()
        finally:
            await source.close()
    assert isinstance(reading, MetricsReading)
    return reading.services["checkout"]


async def test_comp_03_a_target_that_came_after_the_survey_is_missed_when_it_dies(context: AdapterContext) -> None:
    """Its last requests may be older than those that left lately: the monitor knows it from an answer before."""
    one = [*counting("counts", "a:1"), *at("here", "a:1"), *counting("before", "a:1"), *at("before", "a:1")]
    seen = await last_of(
        context,
        one,
        [*one, *counting("counts", "b:1"), *at("here", "b:1")],
        [*one, *at("down", "b:1")],
    )
    assert [(lost.target, lost.lack) for lost in seen.missing] == [("app b:1", Lack.DOWN)]
    assert seen.targets == 2


@pytest.mark.parametrize(("before", "missed"), [([], 1), (["b:1"], 0), (["a:1", "b:1"], 1)])
async def test_comp_03_nothing_is_new_while_prometheus_itself_is(
    context: AdapterContext, before: list[str], missed: int
) -> None:
    """Of two targets that it has had for minutes one leaves; the other one did not come in its place."""
    known = [*counting("before", *before), *at("before", *before)]
    both = [*counting("counts", "a:1", "b:1"), *at("here", "a:1", "b:1"), *known]
    left = [*counting("counts", "a:1"), *counting("left", "b:1"), *at("here", "a:1"), *at("gone", "b:1"), *known]
    assert len((await last_of(context, both, left)).missing) == missed
