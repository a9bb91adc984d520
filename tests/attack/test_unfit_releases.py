"""A release that does not fit the schema that is there gets no traffic by any way round its roll-back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from state.api.card import Card
from state.api.requests import PlanChange, PlanRequest, PlanSet, PlanShare
from tests.support.release_site import ReleaseSite, Servers, digest, release_site

pytestmark = pytest.mark.virtual_time
PLACE = {"balancer": "edge", "backend": "shop"}


def weights(**each: int) -> Mapping[str, Any]:
    return {"kind": "backend.weights", "args": {**PLACE, "weights": each}}


@asynccontextmanager
async def past_the_marker(balancer: Servers | None = None) -> AsyncIterator[ReleaseSite]:
    """green serves v2; going back to blue's v1 loses data."""
    async with release_site(balancer=balancer) as site:
        await site.record(1, schema_min="9", schema_max="10")
        await site.record(2, schema_min="10", schema_max="11", reversible_until="10")
        site.schema("11")
        await asyncio.sleep(2)
        yield site


def refused(card: Card) -> list[str]:
    return [r.rule for r in card.refusals]


@pytest.mark.parametrize(
    "request_",
    [
        PlanChange("backend.flip", {**PLACE, "to": "blue"}),
        PlanShare(service="shop", to="blue", percent=100),
        PlanShare(service="shop", to="blue", percent=1),
        PlanShare(service="shop", to="green", percent=99),
        PlanShare(service="shop", to="blue", percent=5, lasts=60.0, comment="a small look"),
        PlanSet(title="by weights", changes=(weights(blue=100, green=0),)),
        PlanSet(title="by weights", changes=(weights(blue=1, green=256),)),
        PlanSet(title="by the site", changes=({"kind": "backend.leave-site", "args": {**PLACE, "site": "east"}},)),
    ],
    ids=str,
)
async def test_no_share_of_it_is_too_small_and_no_way_too_indirect(request_: PlanRequest) -> None:
    async with past_the_marker() as site:
        card = await site.preview(request_)
        assert "release-fits" in refused(card), card.refusals
        assert any("schema 11 is not in its range 9 to 10" in str(r) for r in card.refusals)


async def test_what_takes_traffic_from_it_is_free() -> None:
    balancer = Servers("edge", {"shop": {"blue": 50, "green": 50}})
    async with past_the_marker(balancer) as site:
        for percent in (0, 25, 50):
            assert not refused(await site.preview(PlanShare(service="shop", to="blue", percent=percent)))
        assert refused(await site.preview(PlanShare(service="shop", to="blue", percent=75))) == ["release-fits"]
        assert refused(await site.preview(PlanShare(service="shop", to="green", percent=25))) == ["release-fits"]


async def test_one_server_set_by_hand_is_told_on_the_card() -> None:
    async with past_the_marker() as site:
        card = await site.preview(PlanChange("server.weight", {**PLACE, "server": "blue", "weight": 100}))
        assert not card.refusals
        told = [w.message for w in card.warnings if "more traffic" in w.message]
        assert len(told) == 1, card.warnings
        assert "schema 11 is not in its range 9 to 10" in told[0]


async def test_an_instance_that_is_not_known_beside_one_that_fits_is_no_pass() -> None:
    """Of a group the worst one decides, and what nobody knows is no pass."""
    async with release_site() as site:
        await site.record(1, schema_min="9", schema_max="11")
        await site.record(2, schema_min="10", schema_max="11")
        await asyncio.sleep(2)
        flip = PlanChange("backend.flip", {**PLACE, "to": "blue"})
        fits = [r for r in (await site.preview(flip)).rules if r.rule == "release-fits"]
        assert [r.passed for r in fits] == [True]
        site.runs("blue", 7)
        await asyncio.sleep(2)
        assert digest(7) not in site.view.releases
        assert not [r for r in (await site.preview(flip)).rules if r.rule == "release-fits"]
