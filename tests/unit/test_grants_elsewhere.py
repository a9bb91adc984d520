"""Grants whose place is not where it was: left out of the estate, at another address, answered for by another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from adapters.databases.streaming import OPTIONS
from state.api.views.access import GrantState
from state.engine.setup import Setup
from state.errors import Refused
from state.granting.model import host_target
from state.grants.events import GrantArmed, GrantEnded
from state.journal.events import Event
from tests.support.run_books import until
from tests.support.small_estate import COMMANDER
from tests.unit.test_grants import MemoryAccess, granting, state_of, view_of
from tests.unit.test_reload import Files, running, tree

pytestmark = pytest.mark.virtual_time
POSTGRES = {"kind": "streaming", "tls": "loopback", "user": "r", "act_user": "ops", "access": {}}


def orders(**nodes: str) -> Mapping[str, Any]:
    return {**POSTGRES, "nodes": {node: {"site": "east", "postgres": at} for node, at in nodes.items()}}


def web1(address: str, **more: Any) -> Mapping[str, Any]:
    access = {"authority": {"key": "ca", "public": "ca.pub"}, "bundles": {"shell": {"shell": "/bin/sh"}}}
    return {"address": address, "user": "r", "known_hosts": "k", "access": access, **more}


BEFORE = {"databases": {"orders": orders(a="127.0.0.1:1", b="127.0.0.1:2")}, "hosts": {"web1": web1("127.0.0.1")}}
LEFT: dict[str, Mapping[str, Any]] = {
    "its cluster is gone": {"databases": {}},
    "a node is gone": {"databases": {"orders": orders(a="127.0.0.1:1")}},
    "a node is elsewhere": {"databases": {"orders": orders(a="127.0.0.1:1", b="127.0.0.1:3")}},
    "no access any more": {"databases": {"orders": {**BEFORE["databases"]["orders"], "access": None}}},
    "its host is gone": {"hosts": {}},
    "its host is elsewhere": {"hosts": {"web1": web1("127.0.0.2")}},
    "no access at its host": {"hosts": {"web1": web1("127.0.0.1", access=None)}},
}
KEPT: dict[str, Mapping[str, Any]] = {
    "a node more": {"databases": {"orders": orders(a="127.0.0.1:1", b="127.0.0.1:2", c="127.0.0.1:3")}},
    "another account": {"databases": {"orders": {**BEFORE["databases"]["orders"], "act_user": "boss"}}},
    "another key": {"hosts": {"web1": web1("127.0.0.1", identity="other")}},
}


class Clustered(Files):
    """Files that name clusters too."""

    def load(self, now: Setup) -> Setup:
        whole = self.now
        self.now = {**whole, "databases": {}}
        made = super().load(now)
        self.now = whole
        clusters = {name: OPTIONS.model_validate(each) for name, each in whole["databases"].items()}
        return replace(made, estate=made.estate.model_copy(update={"databases": clusters}), digest=self._digest())


async def live(lab: Any, place: str) -> None:
    body = GrantArmed("G-AAAAAA", place, 16500, "bg_x", "ada", "monitor", "INC-42", 9e9, "G-AAAAAA is there")
    await lab.engine.journal.append(Event(body, "ada"))


@pytest.mark.parametrize("how", list(LEFT))
async def test_access_trap_31_a_place_with_live_grants_cannot_be_taken_out_of_the_estate(how: str) -> None:
    files = Clustered(now=tree(**BEFORE))
    async with running(files) as lab:
        place = host_target("web1") if "hosts" in LEFT[how] else "orders"
        await live(lab, place)
        before = lab.engine.estate
        files.now = tree(**{**BEFORE, **LEFT[how]})
        with pytest.raises(Refused) as refused:
            await lab.engine.reload(COMMANDER)
        assert refused.value.refusal.rule == "access-live"
        assert refused.value.refusal.fact.startswith(f"G-AAAAAA of ada is live at {place}")
        assert "recovery access end G-AAAAAA" in refused.value.refusal.way_out
        assert lab.engine.estate is before
        await lab.engine.journal.append(Event(GrantEnded("G-AAAAAA", 1.0, 0.0, ("a",), (), "over"), "engine"))
        await lab.engine.reload(COMMANDER)


@pytest.mark.parametrize("how", list(KEPT))
async def test_what_leaves_the_place_of_a_live_grant_as_it_is_is_taken(how: str) -> None:
    files = Clustered(now=tree(**BEFORE))
    async with running(files) as lab:
        await live(lab, "orders")
        await live(lab, host_target("web1"))
        files.now = tree(**{**BEFORE, **KEPT[how]})
        await lab.engine.reload(COMMANDER)


async def test_an_estate_that_names_another_cluster_ends_no_grant_of_the_first() -> None:
    target = MemoryAccess()
    role = target.made(ends=1010.0)
    async with granting(target) as lab:
        await until(lambda: state_of(lab) is GrantState.ARMED)
    other = MemoryAccess()
    other.system, other.clock = "system 2", 5000.0
    async with granting(other, store=lab.store) as again:
        await until(lambda: bool(view_of(again).grants) and view_of(again).grants["G-AAAAAA"].obstacle != "")
        assert state_of(again) is GrantState.ENDING
        (told,) = [each for each in again.engine.view("header").alarms if "G-AAAAAA" in each]
        assert "a is system 2 now, and this was given at system 1" in told
        assert "Put the addresses where it was given back into the estate" in told
        assert other.blocked == []
        other.roles[role.oid], other.system = role, "system 1"
        await until(lambda: state_of(again) is GrantState.ENDED)
