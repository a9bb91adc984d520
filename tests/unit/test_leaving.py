"""A site that is left: its share of a backend, its addresses of a name, the leader role of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from json import dumps
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.files.located_yaml import parse_yaml
from state.changes.model import Change, ChangeSpec, Preview
from state.changes.registry import build
from state.errors import NotFound
from state.estate.model import DnsRecord, Estate, ZoneEntry
from state.estate.site_problems import site_problems
from state.ports.outside import Outside
from state.world.record_sets import RecordSet
from tests.support.acting_database import ActingDatabase
from tests.support.memory_zone import MemoryZone

EAST, WEST, SIX = "10.1.0.10", "10.2.0.10", "2001:db8:1::10"
NODES = {"n1": "east", "n2": "east", "n3": "west"}
TREE: Mapping[str, Any] = {
    "estate": "leaving",
    "environment": "lab",
    "sites": {"east": {"addresses": [EAST, SIX]}, "west": {"addresses": [WEST]}, "north": {}},
    "balancers": {"e": {"kind": "memory", "site": "east"}, "w": {"kind": "memory", "site": "west"}},
    "services": {
        "shop": {
            "tier": 1,
            "rto": "5m",
            "rpo": "1MB",
            "traffic": {
                "balancers": ["e", "w"],
                "backend": "web",
                "floor": 1,
                "colours": {"a": {"servers": ["a*"], "site": "east"}, "b": {"servers": ["b*"], "site": "west"}},
            },
        }
    },
}


def estate(**more: Any) -> Estate:
    entry = ZoneEntry(kind="memory", records=(DnsRecord(name="shop", expect=(EAST, WEST)),))
    database = {"kind": "memory", "rpo": "1MB", "nodes": {n: {"site": site} for n, site in NODES.items()}}
    made = Estate.model_validate({**deepcopy(dict(TREE)), "databases": {"orders": database}, **more})
    return made.model_copy(update={"zones": {"z.example": entry}})


class CheckedBalancer(MemoryBalancer):
    """Its servers have a check, which says that they are up or not."""

    def set_up(self, server: str, *, up: bool) -> None:
        key = f"web/{server}"
        status, check = ("UP", "L7OK") if up else ("DOWN", "L4CON")
        self._servers[key] = replace(self._servers[key], up=up, status=status, check=check)


class Site:
    """Everything that is left, in memory."""

    def __init__(self, answers: Mapping[str, RecordSet], servers: Mapping[str, int] | None = None) -> None:
        weights = dict(servers or {"a1": 100, "a2": 100, "b1": 100, "b2": 100})
        self.balancers = {name: CheckedBalancer(name, {"web": weights}) for name in ("e", "w")}
        for balancer in self.balancers.values():
            for name in weights:
                balancer.set_up(name, up=True)
        self.zone, self.database = MemoryZone("z.example", {"shop": answers}), ActingDatabase()

    def change(self, kind: str, made: Estate | None = None, **args: Any) -> Change:
        outside = Outside((), self.balancers, {"orders": self.database}, zones={"z.example": self.zone})
        return build(ChangeSpec(kind, args), made or estate(), outside)

    async def weights(self, balancer: str) -> dict[str, int]:
        return {s.name: s.weight for s in await self.balancers[balancer].read_backend("web", deadline=1)}


def refused(card: Preview) -> dict[str, str]:
    return {each.rule: each.fact for each in card.refusals}


def answers(four: Sequence[str] = (EAST, WEST), six: Sequence[str] = ()) -> dict[str, RecordSet]:
    found = {"A": RecordSet("A", 60, tuple(sorted(four)))} if four else {}
    return {**found, **({"AAAA": RecordSet("AAAA", 300, tuple(sorted(six)))} if six else {})}


SHARE = {"balancer": "e", "backend": "web", "site": "east"}
NAME = {"zone": "z.example", "record": "shop", "site": "east"}


@pytest.mark.parametrize(("at_most", "east", "west"), [(20, 160, 640), (0, 0, 200)])
async def test_a_site_keeps_at_most_its_share_and_gets_it_back(at_most: int, east: int, west: int) -> None:
    site = Site(answers())
    change = site.change("backend.leave-site", **SHARE, at_most=at_most)
    card = await change.preview(deadline=1)
    assert not card.refusals
    await change.apply(card.facts, effect="R-1/a", deadline=1)
    found = await site.weights("e")
    got = found["a1"] + found["a2"], found["b1"] + found["b2"]
    assert got[0] * west == got[1] * east, found
    assert (await change.read_back(card.facts, deadline=1)).finding.value == "done"
    assert card.undo is not None
    back = site.change(card.undo.kind, **card.undo.args)
    await back.apply((await back.preview(deadline=1)).facts, effect="R-2/a", deadline=1)
    assert set((await site.weights("e")).values()) == {100}


async def test_a_share_is_never_raised_and_a_site_without_servers_has_none() -> None:
    site = Site(answers(), {"a1": 10, "b1": 90})
    assert (await site.change("backend.leave-site", **SHARE, at_most=50).preview(deadline=1)).already
    assert not (await site.change("backend.leave-site", **SHARE, at_most=5).preview(deadline=1)).already
    north = {**SHARE, "site": "north"}
    assert (await site.change("backend.leave-site", **north).preview(deadline=1)).already
    with pytest.raises(NotFound, match="moon"):
        site.change("backend.leave-site", **{**SHARE, "site": "moon"})


async def test_a_weight_of_a_server_that_is_down_is_left_too() -> None:
    """It has no share now, and would have one when it comes up."""
    site = Site(answers())
    for name in ("a1", "a2"):
        site.balancers["e"].set_up(name, up=False)
    card = await site.change("backend.leave-site", **SHARE).preview(deadline=1)
    assert not card.already
    assert {name: weight for name, weight in card.facts["weights"].items() if name[0] == "a"} == {"a1": 0, "a2": 0}


async def test_what_stands_at_one_site_alone_cannot_be_shifted() -> None:
    site = Site(answers(), {"a1": 100, "a2": 100})
    card = await site.change("backend.leave-site", **SHARE, at_most=20).preview(deadline=1)
    assert "all its servers stand at east" in refused(card)["reachable"]


async def test_the_addresses_of_a_site_leave_a_name_and_come_back() -> None:
    site = Site(answers((EAST, WEST, "10.2.0.11"), (SIX, "2001:db8:2::10")))
    more = deepcopy(dict(TREE))["sites"] | {"west": {"addresses": [WEST, "10.2.0.11", "2001:db8:2::10"]}}
    change = site.change("dns.leave-site", estate(sites=more), **NAME)
    card = await change.preview(deadline=1)
    assert not card.refusals, card.refusals
    await change.apply(card.facts, effect="R-1/a", deadline=1)
    assert site.zone.names["shop"] == answers((WEST, "10.2.0.11"), ("2001:db8:2::10",)), "each with its own TTL"
    assert card.undo is not None
    back = site.change(card.undo.kind, **card.undo.args)
    await back.apply((await back.preview(deadline=1)).facts, effect="R-2/a", deadline=1)
    assert site.zone.names["shop"] == answers((EAST, WEST, "10.2.0.11"), (SIX, "2001:db8:2::10"))


async def test_a_name_without_addresses_of_the_site_is_left_alone() -> None:
    assert (await Site(answers((WEST,))).change("dns.leave-site", **NAME).preview(deadline=1)).already


@pytest.mark.parametrize(
    ("held", "rule", "fact"),
    [
        (answers((EAST,)), "address-left", "it has no A but those of east"),
        (answers((EAST, WEST), (SIX,)), "address-left", "it has no AAAA but those of east"),
        (answers((EAST, "10.9.0.1")), "make-before-break", "no site of the estate has 10.9.0.1"),
        ({"CNAME": RecordSet("CNAME", 60, ("x.example",))}, "own-addresses", "it is an alias of x.example"),
    ],
)
async def test_a_name_that_would_lose_clients_is_refused(held: Mapping[str, RecordSet], rule: str, fact: str) -> None:
    card = await Site(held).change("dns.leave-site", **NAME).preview(deadline=1)
    assert fact in refused(card)[rule]


async def test_clients_are_led_only_to_where_enough_serve() -> None:
    site = Site(answers())
    for name in ("a1", "a2", "b1", "b2"):
        site.balancers["w"].set_up(name, up=False)
    card = await site.change("dns.leave-site", **NAME).preview(deadline=1)
    assert "w/web: 0 servers serve outside east, by checks; at least 1 must" in refused(card)["make-before-break"]
    del site.balancers["w"]
    card = await site.change("dns.leave-site", **NAME).preview(deadline=1)
    assert "cannot be read" in refused(card)["make-before-break"]


async def test_a_site_without_addresses_in_the_estate_is_not_guessed() -> None:
    with pytest.raises(NotFound, match="give sites"):
        Site(answers()).change("dns.leave-site", **{**NAME, "site": "north"})


async def test_the_role_goes_to_a_node_elsewhere_and_stays_where_it_is_there_already() -> None:
    site = Site(answers())
    card = await site.change("database.leave-site", database="orders", site="east").preview(deadline=1)
    assert (card.refusals, str(card.diffs[0])) == ((), "orders leader: n1 → n3"), "n2 stands at east too"
    assert [each.subject for each in card.ranking] == ["n3"]
    assert card.undo == ChangeSpec("database.switchover", {"database": "orders", "to": "n1"})
    there = await site.change("database.leave-site", database="orders", site="west").preview(deadline=1)
    assert there.already
    site.database.dead.add("n3")
    gone = await site.change("database.leave-site", database="orders", site="east").preview(deadline=1)
    assert "no standby of orders outside east can take the leader role" in refused(gone)["candidate"]


def test_an_address_of_two_sites_is_refused() -> None:
    sites = {"east": {"addresses": [SIX]}, "west": {"addresses": ["2001:0db8:1:0::10"]}}
    located = parse_yaml(dumps({**deepcopy(dict(TREE)), "sites": sites}), "estate.yaml")
    (problem,) = [problem for _, problem in site_problems(located)]
    assert problem.expected == "an address that site east does not have"
