"""Change sets over several HAProxy processes, with the whole engine: previewed, all or none, watched."""

from __future__ import annotations

import asyncio
import random
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.haproxy import HAProxy
from adapters.journals.memory import MemoryJournal
from state.api.card import Card
from state.api.requests import PlanRequest, PlanSet, PlanShare, PlanUndo, Submission
from state.engine.engine import Engine
from state.estate.model import Estate
from state.planning.library import Library
from state.ports.outside import Outside
from state.runs.model import Run
from tests.contract.components import answers, haproxies, wait_for
from tests.contract.haproxy_sections import HEAD, by_hand, healthy, listening
from tests.support.small_estate import COMMANDER, BalancerSource, LoopClock

EDGES = ("edge1", "edge2", "edge3")
BACKEND = """
backend web
  option httpchk
  server blue-1 127.0.0.1:{port} check inter 100ms weight 100
  server blue-2 127.0.0.1:{port} check inter 100ms weight 100
  server green-1 127.0.0.1:{port} check inter 100ms weight 0
  server green-2 127.0.0.1:{port} check inter 100ms weight 0
"""
COLOURS = {"blue": {"release": "v41", "servers": ["blue-*"]}, "green": {"release": "v42", "servers": ["green-*"]}}
POLL = 0.3


class Fleet:
    """Three processes that can be killed and started again, each behind its own socket."""

    def __init__(self, program: Path, port: int) -> None:
        self._program, self._folder = program, Path(tempfile.mkdtemp())
        self._port, self.processes = port, dict[str, subprocess.Popen[bytes]]()
        self.balancers = {name: HAProxy(name, str(self.socket(name))) for name in EDGES}
        for name in EDGES:
            (self._folder / f"{name}.cfg").write_text((HEAD + BACKEND).format(socket=self.socket(name), port=port))
            self.start(name)

    def socket(self, name: str) -> Path:
        return self._folder / f"{name}.sock"

    def start(self, name: str) -> None:
        argv = [self._program, "-db", "-f", self._folder / f"{name}.cfg"]
        self.processes[name] = subprocess.Popen(argv, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: answers(self.socket(name)))

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    async def weights(self, name: str) -> dict[str, int]:
        return {s.name: s.weight for s in await self.balancers[name].read_backend("web", deadline=2)}

    async def serving(self, name: str) -> int:
        return sum(s.serving for s in await self.balancers[name].read_backend("web", deadline=2))

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture(params=haproxies())
def program(request: pytest.FixtureRequest) -> Path:
    return haproxies()[str(request.param)]


@asynccontextmanager
async def fleet(program: Path) -> AsyncIterator[Fleet]:
    async with listening(healthy) as (port,):
        made = Fleet(program, port)
        try:
            for name in EDGES:
                while not all(s.checked for s in await made.balancers[name].read_backend("web", deadline=2)):
                    await asyncio.sleep(0.05)
            yield made
        finally:
            made.close()


def estate(**rules: Mapping[str, Any]) -> Estate:
    return Estate.model_validate(
        {
            "estate": "fleet",
            "environment": "lab",
            "sites": {"east": {}},
            "people": {"ada": {"accounts": ["ada"], "roles": ["commander", "responder"]}},
            "balancers": {name: {"kind": "memory", "site": "east"} for name in EDGES},
            "services": {
                "shop": {
                    "tier": 1,
                    "rto": "5m",
                    "rpo": "0B",
                    "traffic": {"balancers": list(EDGES), "backend": "web", "floor": 2, "colours": COLOURS},
                }
            },
            "rules": {name: {"service": "shop", **rule} for name, rule in rules.items()},
            "policies": {"confirm": {"arm": "10ms", "plan_expires": "30s"}, "delivery": "200ms"},
        }
    )


class Desk:
    """An engine over a fleet, and a person at it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def card(self, request: PlanRequest) -> Card:
        return await self.engine.preview(COMMANDER, request)

    async def act(self, request: PlanRequest) -> tuple[Card, Run]:
        card = await self.card(request)
        assert not card.refusals, card.refusals
        await asyncio.sleep(card.confirmation.arm)
        sent = Submission(card.plan, card.fingerprint, card.confirmation.typed)
        accepted = await self.engine.submit(COMMANDER, sent)
        return card, self.engine.history.runs[accepted.run]

    async def alarmed(self, words: str, polls: float) -> bool:
        """Whether an alarm has these words after so many polls."""
        end = asyncio.get_running_loop().time() + polls * POLL
        while asyncio.get_running_loop().time() < end:
            if any(words in alarm for alarm in self.engine.view("header").alarms):
                return True
            await asyncio.sleep(0.02)
        return False


@asynccontextmanager
async def desk(made: Fleet, store: MemoryJournal | None = None, place: Estate | None = None) -> AsyncIterator[Desk]:
    model = place or estate()
    sources = tuple(
        BalancerSource(balancer, f"balancer:{name}", POLL, 0.25, 1.0)  # type: ignore[arg-type]
        for name, balancer in made.balancers.items()
    )
    outside = Outside(sources, made.balancers, {})
    engine = Engine(
        model, outside, store or MemoryJournal(), LoopClock(), Library({}, model, {}), node="test", pid=1, uid=0
    )
    await engine.start()
    try:
        yield Desk(engine)
    finally:
        await engine.stop()


async def over(run: Run, seconds: float = 60.0) -> str:
    """The state in which a run ends or waits for a person."""
    end = asyncio.get_running_loop().time() + seconds
    while not run.ended and run.shown_state().value != "paused":
        assert asyncio.get_running_loop().time() < end, run
        await asyncio.sleep(0.02)
    return run.shown_state().value


SHARE = PlanShare(service="shop", to="green", percent=25)
BEFORE = {"blue-1": 100, "blue-2": 100, "green-1": 0, "green-2": 0}


async def test_the_preview_is_what_is_then_observed_on_every_balancer(program: Path) -> None:
    async with fleet(program) as made, desk(made) as at:
        card, run = await at.act(SHARE)
        assert await over(run) == "done", run.message
        told = {d.subject: int(d.after) for d in card.diffs if d.subject.endswith(" weight")}
        for name in EDGES:
            found = await made.weights(name)
            assert {f"{name}/web/{s} weight": w for s, w in found.items() if w != BEFORE[s]} == {
                subject: weight for subject, weight in told.items() if subject.startswith(f"{name}/")
            }
        assert "at a reload or restart" in next(f.value for f in card.facts if f.kind.value == "forgotten")
        _, undo = await at.act(PlanUndo(run.id))
        assert await over(undo) == "done", undo.message
        assert [await made.weights(name) for name in EDGES] == [BEFORE] * 3


async def test_one_that_dies_has_the_others_undone(program: Path) -> None:
    async with fleet(program) as made, desk(made) as at:
        _, run = await at.act(PlanShare(service="shop", to="green", percent=25, pace=1.0))
        while run.latest("change-1").finding is None:
            await asyncio.sleep(0.02)
        made.kill("edge2")
        assert await over(run) == "failed"
        assert run.message.startswith("1 of 3 of the set are as wanted. Give green 25% of edge2/web: nothing was sent")
        while not (run.undone or run.undo_refused):
            await asyncio.sleep(0.05)
        assert [await made.weights(name) for name in ("edge1", "edge3")] == [BEFORE] * 2


async def test_two_of_three_are_a_named_state_and_the_third_is_retried(program: Path) -> None:
    async with fleet(program) as made, desk(made) as at:
        _, run = await at.act(PlanShare(service="shop", to="green", percent=25, pace=1.0, keep=True))
        while run.latest("change-2").finding is None:
            await asyncio.sleep(0.02)
        made.kill("edge3")
        assert await over(run) == "paused"
        assert run.message.startswith("2 of 3 of the set are as wanted. ")
        made.start("edge3")
        row = at.engine.view("runbooks").runs[run.id]
        assert {"retry", "skip", "stop"} <= set(row.next_actions)


@pytest.mark.parametrize("by", ["reload", "person"])
async def test_trap_21_what_a_reload_or_a_person_reverts_is_alarmed_within_two_polls(program: Path, by: str) -> None:
    async with fleet(program) as made, desk(made) as at:
        _, run = await at.act(SHARE)
        assert await over(run) == "done"
        assert not await at.alarmed("edge2", 3), "nothing differs"
        if by == "person":
            await by_hand(made.balancers["edge2"], "set server web/green-1 weight 0")
            assert await at.alarmed("edge2: changed from outside, green-1 weight ", 2.5)
        else:
            made.kill("edge2")
            made.start("edge2")
            while await made.serving("edge2") < 2:
                await asyncio.sleep(0.02)
            assert await at.alarmed("edge2: runtime state lost: process restarted", 2.5)


async def test_a_temporary_share_ends_though_its_engine_was_down_at_its_time(program: Path) -> None:
    store = MemoryJournal()
    async with fleet(program) as made:
        async with desk(made, store) as at:
            _, run = await at.act(PlanShare(service="shop", to="green", percent=25, lasts=4.0, comment="look at v42"))
            while not run.latest("over").begun:
                await asyncio.sleep(0.02)
        await asyncio.sleep(6.5)
        assert (await made.weights("edge1"))["green-1"] > 0, "no engine: nobody ends it"
        async with desk(made, store) as at:
            run = at.engine.history.runs[run.id]
            assert await over(run) == "done", run.message
            assert "it was over " in run.latest("over").message
        assert [await made.weights(name) for name in EDGES] == [BEFORE] * 3


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.torture) for n in (1, 2))])
async def test_no_observed_state_of_generated_sets_breaks_a_floor_or_a_rule(program: Path, seed: int) -> None:
    chance = random.Random(seed)
    rules = estate(both={"colours_on": 1}, two={"at_least": 2})
    async with fleet(program) as made, desk(made, place=rules) as at:
        least = {name: 4 for name in EDGES}

        async def watch() -> None:
            while True:
                for name in EDGES:
                    least[name] = min(least[name], await made.serving(name))
                await asyncio.sleep(0.01)

        watching = asyncio.create_task(watch())
        started = refused = 0
        for _ in range(6):
            request = generated(chance)
            if (await at.card(request)).refusals:
                refused += 1
                continue
            _, run = await at.act(request)
            assert await over(run) in ("done", "failed"), run.message
            while run.undoing and not (run.undone or run.undo_refused):
                await asyncio.sleep(0.05)
            started += 1
        watching.cancel()
        assert started + refused == 6
        assert min(least.values()) >= 2, least


def generated(chance: random.Random) -> PlanRequest:
    """A share, or drains, returns and weights on one to three balancers."""
    if chance.random() < 0.4:
        to, percent = chance.choice(("blue", "green")), chance.choice((0, 5, 33, 50, 99, 100))
        return PlanShare(service="shop", to=to, percent=percent)
    changes: list[dict[str, Any]] = []
    for name in chance.sample(EDGES, chance.randint(1, 3)):
        for server in chance.sample(sorted(BEFORE), chance.randint(1, 2)):
            kind = chance.choice(("server.drain", "server.ready", "server.weight"))
            args: dict[str, Any] = {"balancer": name, "backend": "web", "server": server}
            changes.append(
                {"kind": kind, "args": args | ({"weight": chance.choice((0, 1, 100))} if "w" in kind[7:] else {})}
            )
    return PlanSet(title="generated", changes=tuple(changes))
