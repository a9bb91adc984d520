"""A site that is left by balancers that front only part of the sites: backups, servers that are kept out by their
weight, aliases, balancers that do not answer."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from state.api.requests import PlanEvacuate
from state.checks.sites import DrainedSite, site_drained
from state.errors import ConfigError, Refused
from state.estate.model import DnsRecord, Estate, ZoneEntry
from state.health import Health
from state.planning.plan import follows
from state.planning.sets import specs_of
from state.ports.outside import Outside
from state.runbooks.fields import FIELDS
from state.verdicts.sharing import ShareSide, split
from state.world.record_sets import RecordSet
from state.world.world import World
from tests.support.memory_zone import MemoryZone
from tests.unit.test_leaving import EAST, NAME, SHARE, SIX, TREE, WEST, Site, answers, estate, refused
from tests.unit.test_runbook_language import ids, laid_out
from tests.unit.verdict_world import NOW, put

THREE = deepcopy(dict(TREE))
THREE["sites"] = {"east": {"addresses": [EAST, SIX]}, "west": {"addresses": [WEST]}, "north": {}}
THREE["services"]["shop"]["traffic"]["colours"]["n"] = {"servers": ["n*"], "site": "north"}


async def test_a_server_kept_out_by_its_weight_stays_out_and_the_others_keep_their_proportions() -> None:
    """One configured with weight 0 is not put into rotation by an evacuation, and makes no two servers alike."""
    site = Site(answers(), {"a1": 100, "a2": 100, "b1": 200, "b2": 50, "b3": 0})
    card = await site.change("backend.leave-site", **SHARE).preview(deadline=1)
    assert card.facts["weights"] == {"a1": 0, "a2": 0, "b1": 200, "b2": 50, "b3": 0}
    await site.balancers["e"].set_weight("web", "b2", 0, deadline=1)  # somebody has a reason
    card = await site.change("backend.leave-site", **SHARE, at_most=20).preview(deadline=1)
    weights = card.facts["weights"]
    assert (weights["b2"], weights["b3"]) == (0, 0)
    assert (weights["a1"] + weights["a2"]) * 4 == weights["b1"]


async def test_a_part_without_any_weight_gets_one_for_those_that_are_configured_with_it() -> None:
    site = Site(answers(), {"a1": 100, "b1": 200, "b2": 0})
    servers = await site.balancers["w"].read_backend("web", deadline=1)
    off = tuple(replace(s, weight=0) for s in servers if s.name != "a1")
    made = split(ShareSide(off), ShareSide(servers[:1]), 50)
    assert made is not None
    assert made.weights["b2"] == 0 < made.weights["b1"] == made.weights["a1"]
    blank = tuple(replace(s, weight=0, configured_weight=0) for s in off)
    made = split(ShareSide(blank), ShareSide(servers[:1]), 50)
    assert made is not None
    assert made.weights["b1"] == made.weights["b2"] > 0, "nothing tells them apart"


async def test_a_backup_of_the_site_is_in_no_share_and_is_left_at_the_end() -> None:
    site = Site(answers(), {"a1": 100, "a2": 100, "b1": 100})
    spare = site.balancers["e"]._servers["web/a2"]
    site.balancers["e"]._servers["web/a2"] = replace(spare, backup=True)
    card = await site.change("backend.leave-site", **SHARE, at_most=20).preview(deadline=1)
    weights = card.facts["weights"]
    assert "a2" not in weights
    assert weights["a1"] * 4 == weights["b1"]
    assert str(card.diffs[0]) == "e/web share of east: 50.0% → 20.0%"
    last = await site.change("backend.leave-site", **SHARE).preview(deadline=1)
    assert last.facts["weights"] == {"a1": 0, "a2": 0, "b1": 100}, "or it would serve once the others are down"


async def test_clients_are_not_led_to_a_balancer_whose_servers_stand_at_the_site_that_is_left() -> None:
    site = Site(answers(), {"a1": 100, "a2": 100, "b1": 0})
    card = await site.change("dns.leave-site", **NAME).preview(deadline=1)
    assert "w/web: 0 servers serve outside east, by checks" in refused(card)["make-before-break"]


def zoned(**names: Mapping[str, RecordSet]) -> Site:
    site = Site(answers())
    site.zone = MemoryZone("z.example", names)
    return site


def alias(of: str) -> dict[str, RecordSet]:
    return {"CNAME": RecordSet("CNAME", 60, (of,))}


@pytest.mark.parametrize(
    ("names", "fact"),
    [
        ({"shop": alias("gw.z.example"), "gw": answers((EAST,))}, f"gw.z.example, which leads to {EAST}"),
        ({"shop": alias("b.z.example"), "b": alias("gw.z.example"), "gw": answers((EAST, WEST))}, f"leads to {EAST}"),
        ({"shop": alias("x.elsewhere")}, "whose addresses no zone of the estate has"),
        ({"shop": alias("none.z.example")}, "whose addresses no zone of the estate has"),
        ({"shop": alias("b.z.example"), "b": alias("shop.z.example")}, "whose addresses no zone of the estate has"),
    ],
)
async def test_an_alias_that_leads_to_the_site_is_never_called_done(names: Any, fact: str) -> None:
    card = await zoned(**names).change("dns.leave-site", **NAME).preview(deadline=1)
    assert not card.already
    assert fact in refused(card)["own-addresses"]


async def test_an_alias_that_leads_elsewhere_is_left_already_also_by_a_change_before_it() -> None:
    there = zoned(shop=alias("gw.z.example"), gw=answers((WEST,)))
    assert (await there.change("dns.leave-site", **NAME).preview(deadline=1)).already
    site = zoned(shop=answers(), api=alias("shop.z.example"))
    first = await site.change("dns.leave-site", **NAME).preview(deadline=1)
    second: Any = site.change("dns.leave-site", **{**NAME, "record": "api"})
    assert follows([second, second]) == [False, True]
    second.follow(first.leaves)
    assert (await second.preview(deadline=1)).already


def test_aliases_are_left_after_the_names_that_they_lead_to() -> None:
    records = (
        DnsRecord(name="api", type="CNAME", expect=("shop.z.example",), service="shop"),
        DnsRecord(name="shop", expect=(EAST, WEST)),
    )
    made = estate().model_copy(update={"zones": {"z": ZoneEntry(kind="memory", records=records)}})
    assert FIELDS["service"]["names"].values(made, "shop") == ("z/shop", "z/api")


async def test_a_balancer_without_servers_of_the_site_has_nothing_to_drain_there_where_the_estate_knows() -> None:
    made = Estate.model_validate(THREE)
    site = Site(answers(), {"a1": 100, "b1": 100})

    async def asked() -> Any:
        world = World()
        reading = await site.balancers["e"].read(deadline=1)
        put(world, "balancer:e", reading)
        return site_drained(DrainedSite(balancer="e", backend="web", site="north"), world, made, NOW)

    found = await asked()
    assert (found.health, found.evidence) == (Health.PASS, ("e/web has no server at north",))
    site.balancers["e"]._servers["web/nn"] = replace(site.balancers["e"]._servers["web/a1"], name="x1")
    unplaced = await asked()
    assert unplaced.health is Health.FAIL
    assert unplaced.evidence == ("e/web has no server at north; where x1 stand, no colour says",)


def test_a_loop_leaves_out_what_does_not_answer() -> None:
    text = (
        "runbook: case\ntitle: Case\nparams:\n  service: {kind: service, required: true}\n"
        "  gone: {kind: balancer, many: true}\nsteps:\n"
        "  - id: each\n    each: ${service.balancers}\n    without: ${gone}\n    if_none: skip\n    steps:\n"
        "      - {id: w, wait: 1s}\n  - {id: last, wait: 1s}\n"
    )
    assert ids(laid_out(text, service="shop")) == ["each.e1.w", "each.w1.w", "last"]
    assert ids(laid_out(text, service="shop", gone="e1")) == ["each.w1.w", "last"]
    assert ids(laid_out(text, service="shop", gone="e1,w1")) == ["last"]
    with pytest.raises(ConfigError, match="whose items are left out"):
        laid_out(text.replace("without: ${gone}", "without: e1"), service="shop")


def test_a_balancer_whose_servers_all_stand_at_another_site_is_left_too() -> None:
    """With one site behind it nothing can be shifted: that refuses, where it was left out and the run called done."""
    tree = deepcopy(dict(TREE))
    tree["services"]["shop"]["traffic"]["colours"] = {"a": {"servers": ["a*"], "site": "east"}}
    spanning = FIELDS["service"]["spanning"].values
    assert spanning(Estate.model_validate(tree), "shop") == ("w",)
    assert spanning(Estate.model_validate(THREE), "shop") == ("e", "w")
    del tree["services"]["shop"]["traffic"]["colours"]
    assert spanning(Estate.model_validate(tree), "shop") == ()


async def test_where_servers_stand_is_what_any_service_of_the_backend_says() -> None:
    """Two services on one backend: the first and the last one by name say nothing of sites."""
    tree = deepcopy(dict(TREE))
    silent = deepcopy(tree["services"]["shop"])
    del silent["traffic"]["colours"]
    tree["services"] = {"api": silent, "shop": tree["services"]["shop"], "web": silent}
    made, site = Estate.model_validate(tree), Site(answers())
    card = await site.change("backend.leave-site", made, **SHARE).preview(deadline=1)
    assert card.facts["weights"] == {"a1": 0, "a2": 0, "b1": 100, "b2": 100}
    assert FIELDS["service"]["spanning"].values(made, "api") == ("e", "w")
    outside = Outside((), site.balancers, {}, zones={})
    specs = await specs_of(PlanEvacuate(site="east"), made, outside, 1.0)
    assert [(each.args["balancer"], each.args["weights"]) for each in specs] == [
        (name, {"a1": 0, "a2": 0}) for name in ("e", "w")
    ]


async def test_a_balancer_elsewhere_whose_servers_all_stand_there_refuses_the_set() -> None:
    tree = deepcopy(dict(TREE))
    tree["services"]["shop"]["traffic"]["colours"] = {"a": {"servers": ["a*"], "site": "east"}}
    site = Site(answers(), {"a1": 100, "a2": 100})
    outside = Outside((), site.balancers, {}, zones={})
    with pytest.raises(Refused, match="w/web at west has servers at east only"):
        await specs_of(PlanEvacuate(site="east"), Estate.model_validate(tree), outside, 1.0)
