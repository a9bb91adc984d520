"""What goes down with a change and what it waits for, with the health of each now; and the downtime that was agreed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from console.card_pieces import pieces_of
from console.card_text import plain_card
from state.api.card import Confirm, Downtime, Fact, FactKind
from state.estate.model import Estate
from state.health import Health
from state.planning.card import _agreed
from tests.support.cards import card
from tests.support.release_site import release_site
from tests.support.small_estate import ESTATE, flip, small

SERVICE = {"tier": 2, "rto": "5m", "rpo": "1MB"}


def estate(**more: Any) -> dict[str, Any]:
    """`base` is needed by shop, `front` needs shop, `far` needs front."""
    shop = {**ESTATE["services"]["shop"], "depends_on": ["base"], **more}
    services = {
        "base": SERVICE,
        "shop": shop,
        "front": {**SERVICE, "depends_on": ["shop"], "tier": 1},
        "far": {**SERVICE, "depends_on": ["front"], "tier": 3},
    }
    return {**ESTATE, "services": services}


async def test_the_card_names_who_goes_down_with_it_and_what_it_waits_for() -> None:
    async with small(estate=estate()) as lab:
        seen = await lab.preview(flip("green"))
    assert [(f.subject, f.value, f.health) for f in seen.of(FactKind.DEPENDENT)] == [
        ("front", "shop", Health.UNKNOWN),
        ("far", "front", Health.UNKNOWN),
    ]
    assert [(f.subject, f.value, f.health) for f in seen.of(FactKind.BLOCKER)] == [("base", "shop", Health.UNKNOWN)]
    text = "\n".join(plain_card(seen))
    assert "front (tier 1), far (tier 3): no state is known" in text
    assert "shop needs it, and it is not known" in text


async def test_a_service_that_needs_nothing_is_blocked_by_nothing() -> None:
    async with release_site() as site:
        seen = await site.preview(flip("blue"))
    assert seen.of(FactKind.BLOCKER) == []


@pytest.mark.parametrize(("worst", "health"), [(2.9, Health.PASS), (4.1, Health.FAIL), (None, None)])
def test_the_agreed_downtime_stands_beside_what_it_took_before(worst: float | None, health: Health | None) -> None:
    kind = "database.switchover"
    took = {} if worst is None else {"count": 14.0, "median": 1.5, "worst": worst}
    shown = replace(
        card(Confirm.NONCE),
        downtime=(Downtime("orders", "no writes meanwhile", kind, agreed=3.0),),
        facts=(
            Fact(FactKind.DOES, "orders", "hand over"),
            Fact(FactKind.HISTORY, kind, figures={"count": 0, **{f"outage_{k}": v for k, v in took.items()}}),
        ),
    )
    (piece,) = [each for part in pieces_of(shown, 0.0).values() for each in part if each.label == "downtime"]
    assert piece.value.endswith("; agreed: 3 s at most")
    assert ("median of 14" in piece.value) is (worst is not None)
    assert ("never done here" in piece.value) is (worst is None), "no history is said, never guessed"
    assert piece.health is health


def test_the_strictest_of_all_that_stops_counts() -> None:
    tree = estate(downtime="30s")
    services = {**tree["services"], "front": {**tree["services"]["front"], "downtime": "5s"}}
    model = Estate.model_validate({**tree, "services": services})
    assert _agreed(("shop",), model) == 5.0
    assert _agreed(("far",), model) is None
