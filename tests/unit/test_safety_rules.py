"""Safety rules of the estate: judged on the state after a change, and overridden only by name, with a reason."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from state.api.card import Card, Rule, WarningKind
from state.api.requests import PlanChange, PlanSet, PlanUndo
from state.errors import NotFound, Refused
from state.estate.model import Estate
from state.verdicts.safety import judge
from state.world.balancer_parts import Server
from tests.support.small_estate import ESTATE, RESPONDER, Small, change, flip, small

pytestmark = pytest.mark.virtual_time

GROUPS = {"blue": {"release": "v41", "servers": ["b*"]}, "green": {"release": "v42", "servers": ["g*"]}}


def estate(**rules: Any) -> dict[str, Any]:
    made = deepcopy(dict(ESTATE))
    made["services"]["shop"]["traffic"]["colours"] = GROUPS
    made["rules"] = {name.replace("_", "-"): {"service": "shop", **rule} for name, rule in rules.items()}
    return made


def four() -> MemoryBalancer:
    return MemoryBalancer("edge", {"shop": {"b1": 50, "b2": 50, "g1": 50, "g2": 50}})


def safety(card: Card) -> dict[str, Rule]:
    return {rule.own: rule for rule in card.rules if rule.own}


async def facts(lab: Small, request: PlanChange) -> dict[str, tuple[bool, str]]:
    return {name: (rule.passed, rule.fact) for name, rule in safety(await lab.preview(request)).items()}


async def test_at_least_so_many_serve_after_the_change() -> None:
    async with small(estate=estate(three={"at_least": 3}, half={"at_least_share": "50%"}), balancer=four()) as lab:
        found = await facts(lab, change("server.drain", server="b1"))
        assert found["three"] == (True, "three: on edge/shop 3 of 4 servers would serve, at least 3 must")
        await lab.balancer.set_state("shop", "b2", "drain", deadline=1)
        found = await facts(lab, change("server.drain", server="b1"))
        assert found["three"] == (False, "three: on edge/shop 2 of 4 servers would serve, at least 3 must")
        assert found["half"] == (True, "half: on edge/shop 2 of 4 servers would serve, at least 50.0% = 2 must")
        back = await facts(lab, change("server.ready", server="b2"))
        assert all(passed for passed, _ in back.values()), "what does not make it worse is free"


async def test_a_rule_is_about_the_servers_of_its_colour_only() -> None:
    async with small(estate=estate(blue={"colour": "blue", "at_least": 2}), balancer=four()) as lab:
        assert (await facts(lab, change("server.drain", server="g1")))["blue"][0]
        assert not (await facts(lab, change("server.drain", server="b1")))["blue"][0]


async def test_never_both_colours_off() -> None:
    rules = estate(one={"colours_on": 1}, two={"colours_on": 2})
    async with small(estate=rules, balancer=four()) as lab:
        found = await facts(lab, flip("green"))
        assert found["one"][0]
        assert found["two"] == (False, "two: on edge/shop 1 colours would serve (green), 2 must")


async def test_a_gate_must_be_open_before_and_after() -> None:
    async with small(estate=estate(gate={"needs": {"service": "shop", "colour": "blue"}}), balancer=four()) as lab:
        assert (await facts(lab, change("server.drain", server="g1")))["gate"][0]
        for name in ("b1", "b2"):
            await lab.balancer.set_state("shop", name, "drain", deadline=1)
        passed, fact = (await facts(lab, change("server.drain", server="g1")))["gate"]
        assert (passed, fact) == (False, "gate: 0 servers of blue of shop serve before and after it, one must")


async def test_a_rule_is_overridden_by_its_name_with_a_reason_and_recorded() -> None:
    async with small(estate=estate(all_four={"at_least": 4}), balancer=four()) as lab:
        card = await lab.preview(change("server.drain", server="b1"))
        assert [r.rule for r in card.refusals] == ["safety"]
        with pytest.raises(Refused, match="safety"):
            await lab.submit(card)
        args = {"balancer": "edge", "backend": "shop", "server": "b1"}
        for reasons, wrong in (({"all-five": "disk is full"}, NotFound), ({"all-four": " "}, Refused)):
            with pytest.raises(wrong):
                await lab.preview(PlanChange("server.drain", args, reasons))
        asked = PlanChange("server.drain", args, {"all-four": "b1 has a bad disk"})
        refused = await lab.preview(asked, RESPONDER)
        assert [r.rule for r in refused.refusals] == ["role"], "only a commander gives away what others rely on"
        card = await lab.preview(asked)
        assert not card.refusals
        warned = [w for w in card.warnings if w.kind is WarningKind.OVERRIDDEN]
        assert [(w.rule, w.subject) for w in warned] == [("all-four", "edge/shop")]
        accepted = await lab.submit(card)
        assert await lab.ended(accepted.run) == "done"
        started = next(row for row in lab.engine.journal_rows(0, 1000) if row.kind == "run.started")
        assert "overrides all-four: b1 has a bad disk" in started.message


async def test_a_rule_is_judged_again_right_before_the_effect() -> None:
    async with small(estate=estate(three={"at_least": 3}), balancer=four()) as lab:
        written = [
            {"kind": "server.ready", "args": {"balancer": "edge", "backend": "shop", "server": "b2"}},
            {"kind": "server.drain", "args": {"balancer": "edge", "backend": "shop", "server": "b1"}},
        ]
        await lab.balancer.set_state("shop", "b2", "drain", deadline=1)
        card = await lab.preview(PlanSet(title="swap", changes=tuple(written), pace=5.0))
        assert not card.refusals, "b2 returns first"
        accepted = await lab.submit(card)
        run = lab.engine.history.runs[accepted.run]
        while run.latest("change-1").finding is None:
            await asyncio.sleep(0.02)
        await lab.balancer.set_state("shop", "g1", "maint", deadline=1)  # somebody else, while it paces
        assert await lab.ended(accepted.run, 30) == "failed"
        assert "safety: edge/shop: three: on edge/shop 2 of 4 servers would serve" in run.message
        assert not (await lab.balancer.read_backend("shop", deadline=1))[0].drained


async def test_every_state_on_the_way_of_a_set_is_judged_before_it_starts() -> None:
    async with small(estate=estate(three={"at_least": 3}), balancer=four()) as lab:
        written = tuple(
            {"kind": "server.drain", "args": {"balancer": "edge", "backend": "shop", "server": name}}
            for name in ("b1", "g1")
        )
        card = await lab.preview(PlanSet(title="both", changes=written))
        assert [r.rule for r in card.refusals] == ["safety"]


async def test_a_wait_holds_up_the_next_change_and_no_way_back() -> None:
    async with small(estate=estate(calm={"wait": "10m"}), balancer=four(), every=1.0) as lab:
        accepted = await lab.submit(await lab.preview(change("server.weight", server="b1", weight=40)))
        assert await lab.ended(accepted.run) == "done"
        card = await lab.preview(change("server.weight", server="b1", weight=30))
        assert [r.rule for r in card.refusals] == ["safety"]
        assert safety(card)["calm"].fact.startswith(f"calm: {accepted.run} changed them ")
        assert not (await lab.preview(PlanUndo(accepted.run))).refusals
        args = {"balancer": "edge", "backend": "shop", "server": "b1", "weight": 30}
        assert not (await lab.preview(PlanChange("server.weight", args, {"calm": "it was the wrong one"}))).refusals
        await asyncio.sleep(601)
        assert not (await lab.preview(change("server.weight", server="b1", weight=30))).refusals


def server(name: str, *, backend: str = "shop", weight: int = 100, throttle: int = 100, up: bool = True) -> Server:
    return Server(backend, name, "", "UP", weight, 100, False, False, up, 0, 0, "", 0, 0, throttle=throttle)


def two_sites(**rule: Any) -> Estate:
    made = estate(it=rule)
    made["sites"] = {"east": {}, "west": {}}
    made["balancers"]["far"] = {"kind": "memory", "site": "west"}
    made["services"]["shop"]["traffic"]["balancers"] = ["edge", "far"]
    return Estate.model_validate(made)


def test_at_least_one_site_is_on_also_where_another_cannot_be_read() -> None:
    place = two_sites(sites_on=1)
    rule, on, off = place.rules["it"], (server("b1"),), (server("b1", weight=0),)
    edge, far = ("edge", "shop"), ("far", "shop")
    assert judge(rule, place, {edge: on, far: on}, {edge: off, far: on}, {}).passed
    found = judge(rule, place, {edge: on, far: None}, {edge: off, far: None}, {})
    assert (found.passed, found.fact) == (False, "0 sites would serve (none), 1 must; far/shop cannot be read")


def test_a_colour_stands_where_the_estate_says() -> None:
    place = two_sites(sites_on=2)
    traffic = place.services["shop"].traffic
    assert traffic is not None
    west = {**traffic.colours, "green": traffic.colours["green"].model_copy(update={"site": "west"})}
    shop = place.services["shop"].model_copy(update={"traffic": traffic.model_copy(update={"colours": west})})
    place = place.model_copy(update={"services": {"shop": shop}})
    edge, far = ("edge", "shop"), ("far", "shop")
    both, east = (server("b1"), server("g1")), (server("b1"), server("g1", weight=0))
    found = judge(place.rules["it"], place, {edge: both, far: ()}, {edge: east, far: ()}, {})
    assert (found.passed, found.fact) == (False, "1 sites would serve (east), 2 must")


def test_trap_2_capacity_counts_a_server_that_warms_up_with_its_present_share() -> None:
    place = two_sites(capacity={"per_server": 100, "factor": 1.2})
    edge, before = ("edge", "shop"), (server("b1"), server("b2"))
    after = (server("b1", weight=0), server("b2", throttle=50))
    rule = place.rules["it"]
    found = judge(rule, place, {edge: before}, {edge: after}, {edge: 60.0})
    told = "on edge/shop 50.0/s could be carried, 60.0/s × 1.2 = 72.0/s is needed"
    assert (found.passed, found.fact) == (False, told)
    assert judge(rule, place, {edge: before}, {edge: (after[0], before[1])}, {edge: 60.0}).passed
    assert not judge(rule, place, {edge: before}, {edge: after}, {edge: None}).passed, "no data is never a pass"


def test_trap_34_the_way_back_needs_capacity_now() -> None:
    place = two_sites(capacity={"per_server": 100, "factor": 1.0})
    edge, rule = ("edge", "shop"), place.rules["it"]
    ramped = (server("b1"), server("b2", up=False), server("g1"), server("g2"))
    back = (server("b1"), server("b2", up=False), server("g1", weight=0), server("g2", weight=0))
    found = judge(rule, place, {edge: ramped}, {edge: back}, {edge: 180.0})
    assert (found.passed, "100/s could be carried" in found.fact) == (False, True), "the old side has shrunk"
    step = (*back[:2], server("g1", weight=10), server("g2", weight=10))
    assert judge(rule, place, {edge: ramped}, {edge: step}, {edge: 180.0}).passed, "in steps, while green still serves"
