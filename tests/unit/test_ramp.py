"""A ramp: gates that promote, hold and revert; no data holds; a restart in the middle jumps to neither end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import PlanRunbook, Skip
from state.errors import ReadFailure, Trouble
from state.runs.model import Run
from state.world.balancer_parts import BalancerReading
from tests.support.small_estate import COMMANDER, Small, small

pytestmark = pytest.mark.virtual_time

SHIPPED = Path(__file__).parents[2] / "config" / "runbooks" / "ramp.yaml"


def gated(check: str = "backend.floor", **args: Any) -> Mapping[str, Any]:
    """The shipped runbook, with a gate that goes by the balancer alone: there are no monitors here."""
    made: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    share, healthy = made["steps"][1:]
    gate = {"check": check, "with": {"balancer": "edge", "backend": "shop", **(args or {"at_least": 1})}}
    share["steps"][0]["when"] |= gate
    made["steps"][2] = {key: value for key, value in {**healthy, **gate}.items()}
    return made


BOOK = gated()
RAMP = PlanRunbook("ramp", {"service": "shop", "to": "green"})


class Busy(MemoryBalancer):
    """Its servers get requests by their weights; `down` are servers whose check fails, `mute` answers nothing, and
    `sticky` servers keep what they had."""

    def __init__(self) -> None:
        super().__init__("edge", {"shop": {"blue": 100, "green": 0}})
        self.down: set[str] = set()
        self.mute = self.idle = self.sticky = False
        self.reads = 0

    async def read(self, *, deadline: float) -> BalancerReading:
        if self.mute:
            raise ReadFailure(Trouble.TIMEOUT, "no answer")
        reading = await super().read(deadline=deadline)
        self.reads += 1
        for key, server in self._servers.items():
            weight = 100 * (server.name == "blue") if self.sticky else server.weight
            more = 0 if self.idle or server.name in self.down else weight
            self._servers[key] = replace(server, requests=server.requests + more, up=server.name not in self.down)
        return reading

    def weights(self) -> tuple[int, int]:
        return self._servers["shop/blue"].weight, self._servers["shop/green"].weight


async def begun(lab: Small) -> str:
    return (await lab.submit(await lab.preview(RAMP))).run


async def at(lab: Small, run: str, step: str) -> None:
    """Until the run stands at a step."""
    found = lab.engine.history.runs[run]
    while not any(s.step.id == step and s.started is not None for s in found.standing()):
        assert not found.ended, found.message
        assert found.shown_state().value != "paused", found.message
        await asyncio.sleep(0.25)


async def watched(lab: Small, run: str, busy: Busy) -> list[float]:
    """The shares of green in the order in which they are seen, until the run ends."""
    seen, found = list[float](), lab.engine.history.runs[run]
    while not found.ended:
        blue, green = busy.weights()
        if not seen or seen[-1] != green / (blue + green):
            seen.append(green / (blue + green))
        assert found.shown_state().value != "paused", found.message
        await asyncio.sleep(0.25)
    return seen


async def test_it_is_promoted_from_gate_to_gate_to_the_end() -> None:
    busy = Busy()
    async with small(BOOK, balancer=busy, every=0.5) as lab:
        run = await begun(lab)
        given = await watched(lab, run, busy)
        assert lab.engine.history.runs[run].state.value == "done", lab.engine.history.runs[run].message
    assert given == sorted(given), "it only grows"
    assert {0.0, 0.05, 0.25, 0.5, 1.0} <= {round(share, 3) for share in given}


async def failed(lab: Small, run: str) -> Run:
    """The undo of a run whose gate has failed, once it is over."""
    assert await lab.ended(run, 120) == "failed"
    for _ in range(400):
        undo = next((r for r in lab.engine.history.runs.values() if r.undo_of == run), None)
        if undo is not None and undo.ended:
            return undo
        await asyncio.sleep(0.25)
    raise AssertionError(f"nothing is undone: {lab.engine.history.runs[run].message}")


async def test_a_gate_that_fails_takes_everything_back_to_where_it_was() -> None:
    busy = Busy()
    async with small(BOOK, balancer=busy, every=0.5) as lab:
        run = await begun(lab)
        await at(lab, run, "share.50.edges.when")
        assert busy.weights()[1] > 0
        busy.down = {"blue", "green"}
        assert (await failed(lab, run)).state.value == "done"
        assert "fail: edge/shop: 0 serve, at least 1" in lab.engine.history.runs[run].message
        assert busy.weights() == (100, 0)


async def test_trap_35_a_revert_does_not_go_to_what_is_dead_now() -> None:
    busy = Busy()
    book = gated("server.serving", server="blue")
    async with small(book, balancer=busy, every=0.5) as lab:
        run = await begun(lab)
        await at(lab, run, "share.50.edges.when")
        busy.down = {"blue"}
        undo = await failed(lab, run)
        assert undo.state.value == "failed"
        assert "0 of 2 servers would serve, shop needs at least 1" in undo.message
        assert busy.weights()[1] > 0, "green keeps what it has: it alone serves"


async def test_trap_33_a_gate_holds_when_samples_stop_midway_and_one_good_sample_does_not_advance() -> None:
    busy = Busy()
    async with small(BOOK, balancer=busy, every=0.5) as lab:
        run = await begun(lab)
        await at(lab, run, "share.25.edges.when")
        given = busy.weights()
        for _ in range(20):  # one good reading between gaps
            busy.mute = True
            await asyncio.sleep(3.0)
            busy.mute = False
            await asyncio.sleep(0.6)
        busy.mute = True
        assert await lab.ended(run, 120) == "paused"
        busy.mute = False
        assert busy.weights() == given
        assert "unknown" in lab.engine.history.runs[run].message
        await lab.engine.control(COMMANDER, run, Skip("share.25.edges.when", "the monitor is down, green is well"))
        await at(lab, run, "share.25.edges.edge.got")
        assert busy.weights() != given, "a person promotes"


async def test_trap_36_a_restart_in_mid_ramp_jumps_to_neither_end() -> None:
    busy, store = Busy(), MemoryJournal()
    async with small(BOOK, balancer=busy, store=store, every=0.5) as lab:
        run = await begun(lab)
        await at(lab, run, "share.25.edges.edge.got")
        given = busy.weights()
    async with small(BOOK, balancer=busy, store=store, every=0.5) as lab:
        assert busy.weights() == given
        shares = await watched(lab, run, busy)
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.25, abs=0.01)


async def test_trap_37_the_share_is_measured_at_the_servers_before_the_next_step() -> None:
    busy = Busy()
    busy.sticky = True
    async with small(BOOK, balancer=busy, every=0.5) as lab:
        run = await begun(lab)
        assert await lab.ended(run, 300) == "paused"
        found = lab.engine.history.runs[run]
        assert [s.step.id for s in found.standing()] == ["share.5.edges.edge.got"]
        assert "green gets 0.0% of" in "; ".join(found.standing()[0].evidence)


async def test_without_requests_the_share_is_unknown_and_the_ramp_holds() -> None:
    busy = Busy()
    busy.idle = True
    async with small(BOOK, balancer=busy, every=0.5) as lab:
        run = await begun(lab)
        assert await lab.ended(run, 300) == "paused"
        assert "no data is never a pass" in lab.engine.history.runs[run].message
