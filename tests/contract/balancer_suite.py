"""What every balancer owes the engine, as suites to inherit: one for all, and one for each capability.

A class that inherits them has a fixture `balancer`: the adapter `edge` on a balancer with `BACKENDS`, fresh for each
test. `broken/gone` may be down.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from state.errors import EffectRefused, ReadFailure, Trouble
from state.ports.balancer import Balancer, CanSetState, CanSetWeight
from state.ports.target import Receipt
from state.world.balancer_parts import Server

BACKENDS = {"app": {"blue": 100, "green": 0}, "pinned": {"one": 10}, "broken": {"gone": 1}}
ABSENT = [("app", "red"), ("nope", "blue"), ("app", "blue; shutdown"), ("app", "blue\nx"), ("app/blue", ""), ("", "")]
"""Servers that do not exist, among them names that would be commands."""


async def one(balancer: Balancer, name: str) -> Server:
    return next(server for server in await balancer.read_backend("app", deadline=2) if server.name == name)


async def servers(balancer: Balancer) -> list[tuple[str, int, bool, bool]]:
    """Everything an effect could have changed."""
    found = (await balancer.read(deadline=2)).servers
    return sorted((key, each.weight, each.drained, each.maintenance) for key, each in found.items())


class BalancerSuite:
    """Reading and identity; needed of every balancer."""

    async def test_it_fulfils_the_ports_whose_suites_are_run(self, balancer: Any) -> None:
        assert isinstance(balancer, Balancer)
        assert isinstance(balancer, CanSetWeight) == isinstance(self, WeightSuite)
        assert isinstance(balancer, CanSetState) == isinstance(self, StateSuite)

    async def test_reading_has_every_server_keyed_by_backend(self, balancer: Any) -> None:
        reading = await balancer.read(deadline=2)
        assert reading.name == "edge"
        assert set(reading.servers) == {"app/blue", "app/green", "pinned/one", "broken/gone"}
        blue = reading.servers["app/blue"]
        assert (blue.weight, blue.configured_weight, blue.serving) == (100, 100, True)
        assert reading.servers["app/green"].serving is False
        assert reading.of("app") == await balancer.read_backend("app", deadline=2)

    async def test_identity_holds_while_the_process_lives(self, balancer: Any) -> None:
        first = await balancer.identify(deadline=2)
        second = await balancer.identify(deadline=2)
        assert first.difference(second) == ""
        assert (await balancer.read(deadline=2)).process.startswith(first.facts["process"])
        assert not re.search(r"\b1[0-9]{9}\b", str(first.facts)), "times are for people to read"

    async def test_unknown_backend_is_no_reading(self, balancer: Any) -> None:
        for name in ("nope", "app; shutdown", ""):
            with pytest.raises(ReadFailure) as failure:
                await balancer.read_backend(name, deadline=2)
            assert failure.value.trouble is Trouble.ERROR


class WeightSuite:
    """CanSetWeight."""

    @pytest.mark.parametrize("weight", [0, 1, 57, 256])
    async def test_weight_is_absolute_and_read_back(self, balancer: Any, weight: int) -> None:
        identity = await balancer.identify(deadline=2)
        for _ in range(2):
            assert isinstance(await balancer.set_weight("app", "blue", weight, deadline=2), Receipt)
            assert (await one(balancer, "blue")).weight == weight
        assert (await one(balancer, "green")).weight == 0
        assert identity.difference(await balancer.identify(deadline=2)) == ""

    @pytest.mark.parametrize("weight", [-1, 257])
    async def test_weight_out_of_range_is_refused(self, balancer: Any, weight: int) -> None:
        before = await servers(balancer)
        with pytest.raises(EffectRefused) as refusal:
            await balancer.set_weight("app", "blue", weight, deadline=2)
        assert refusal.value.code == "bad-weight"
        assert await servers(balancer) == before

    @pytest.mark.parametrize(("backend", "server"), ABSENT)
    async def test_no_weight_is_set_on_what_does_not_exist(self, balancer: Any, backend: str, server: str) -> None:
        before = await servers(balancer)
        with pytest.raises(EffectRefused):
            await balancer.set_weight(backend, server, 3, deadline=2)
        assert await servers(balancer) == before


class StateSuite:
    """CanSetState."""

    async def test_states_show_and_the_weight_survives_them(self, balancer: Any) -> None:
        weight = (await one(balancer, "blue")).weight
        await balancer.set_state("app", "blue", "drain", deadline=2)
        drained = await one(balancer, "blue")
        assert (drained.drained, drained.maintenance, drained.weight, drained.serving) == (True, False, weight, False)
        await balancer.set_state("app", "blue", "maint", deadline=2)
        out = await one(balancer, "blue")
        assert (out.maintenance, out.up, out.serving) == (True, False, False)
        await balancer.set_state("app", "blue", "ready", deadline=2)
        back = await one(balancer, "blue")
        assert (back.drained, back.maintenance, back.weight, back.serving) == (False, False, weight, True)

    async def test_an_unknown_state_is_refused(self, balancer: Any) -> None:
        before = await servers(balancer)
        with pytest.raises(EffectRefused):
            await balancer.set_state("app", "blue", "ready; shutdown", deadline=2)
        assert await servers(balancer) == before

    @pytest.mark.parametrize(("backend", "server"), ABSENT)
    async def test_no_state_is_set_on_what_does_not_exist(self, balancer: Any, backend: str, server: str) -> None:
        before = await servers(balancer)
        with pytest.raises(EffectRefused):
            await balancer.set_state(backend, server, "maint", deadline=2)
        assert await servers(balancer) == before
