"""Random lives of runs, the engine against a model that was written from docs/runbooks.md and not from the code.

Each life has a random runbook, two people, a target that refuses, loses and hides what it is told, restarts, and an
undo. At every rest the two must agree: states, what is offered, the last line, the exit code, the undo.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from console.cli.following import exit_code
from state.api.requests import Decide, Pause, PlanRetry, PlanRunbook, PlanUndo, Resume, Skip, Stop
from state.errors import EffectRefused, EffectUnknown, NotFound, ReadFailure, Refused, Trouble
from tests.support.run_model import Model, World
from tests.support.small_estate import COMMANDER, RESPONDER, Small, small
from tests.support.virtual_time import VirtualLoop, run_virtual

SHOP = {"balancer": "edge", "backend": "shop"}
SERVERS = [f"s{n}" for n in range(12)]
MODES = ("well", "well", "well", "refuses", "loses", "drops", "vanishes", "vanishes-done")
REST = 4.0
"""Seconds around a comparison in which nothing happens by itself: what has begun at once has ended."""
ROLES = {COMMANDER: ("commander", "responder"), RESPONDER: ("responder",)}


class Target(MemoryBalancer):
    """The target as the world has it."""

    def __init__(self, world: World) -> None:
        super().__init__("edge", {"shop": {"blue": 100, **dict.fromkeys(SERVERS, 0)}})
        self.mode, self.blind, self.world = "well", False, world

    def _see(self) -> None:
        if self.blind:
            raise ReadFailure(Trouble.TIMEOUT, "no answer")

    async def identify(self, *, deadline: float) -> Any:
        self._see()
        return await super().identify(deadline=deadline)

    async def read(self, *, deadline: float) -> Any:
        self._see()
        return await super().read(deadline=deadline)

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Any:
        if self.mode == "refuses":
            raise EffectRefused("not now")
        if self.mode in ("well", "drops", "vanishes-done"):
            receipt = await super().set_weight(backend, server, weight, deadline=deadline)
        if self.mode.startswith("vanishes"):
            self.blind = True
        if self.mode != "well":
            raise EffectUnknown("lost", "reset")
        return receipt


def random_steps(chance: random.Random) -> list[dict[str, Any]]:
    """The steps of a random runbook, flat, as the model reads them."""
    steps: list[dict[str, Any]] = []
    count = chance.randint(1, 4)
    for top in range(count):
        members = chance.choice((1, 1, 1, 2, 3))
        for _ in range(members):
            name = f"s{len(steps)}"
            do = chance.choice(("change", "change", "check", "decide", "wait"))
            policies = (
                ("pause", "stop", "continue", "undo") if do in ("change", "check") else ("pause", "stop", "continue")
            )
            steps.append(
                {
                    "id": name, "top": top, "group": f"g{top}" if members > 1 else "", "do": do,
                    "policy": chance.choice(policies), "owner": chance.choice(("commander", "responder")),
                    "server": chance.choice(SERVERS[: len(steps) + 1]), "samples": chance.choice((1, 2)),
                    "seconds": {"wait": chance.choice((15.0, 40.0)), "decide": 60.0, "check": 2.0}.get(do, 0.0),
                }
            )  # fmt: skip
    for step in steps:
        later = [s["top"] for s in steps if s["top"] > step["top"]]
        away = chance.choice(later) if later else None
        step["options"] = {"go": "continue", "no": "stop"}
        if away is not None:
            step["options"]["away"] = next(s["id"] for s in steps if s["top"] == away)
    return steps


def runbook_of(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The same as a file has it."""
    tops: dict[int, list[dict[str, Any]]] = {}
    for step in steps:
        tops.setdefault(step["top"], []).append(step)
    firsts = {group[0]["id"]: group[0]["group"] or group[0]["id"] for group in tops.values()}
    written = []
    for group in tops.values():
        members = [_written(s, firsts) for s in group]
        written.append({"id": group[0]["group"], "parallel": members} if group[0]["group"] else members[0])
    return {"runbook": "case", "title": "Case", "steps": written}


def _written(step: dict[str, Any], firsts: dict[str, str]) -> dict[str, Any]:
    common = {"id": step["id"], "title": f"T-{step['id']}", "owner": step["owner"], "on_failure": step["policy"]}
    if step["do"] == "change":
        return {**common, "change": "server.weight", "with": {**SHOP, "server": step["id"], "weight": 5}}
    if step["do"] == "check":
        limits = {"for": "2s", "every": "500ms", "samples": step["samples"]}
        return {**common, "check": "server.serving", "with": {**SHOP, "server": step["server"]}, **limits}
    if step["do"] == "wait":
        return {**common, "wait": f"{step['seconds']:.0f}s"}
    options = {label: firsts.get(meaning, meaning) for label, meaning in step["options"].items()}
    return {**common, "decide": {"question": "Go on?", "options": options}, "timeout": f"{step['seconds']:.0f}s"}


class Life:
    """One random life."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.steps = random_steps(self.chance)
        self.world = World()
        self.target, self.store = Target(self.world), MemoryJournal()
        self.stack = AsyncExitStack()
        self.did: list[str] = []
        self.lab: Small
        self.model: Model

    async def live(self, actions: int) -> None:
        await self._start()
        await self.lab.submit(await self.lab.preview(PlanRunbook("case")))
        self.model = Model(self.steps, self.world, self._now())
        try:
            for _ in range(actions):
                await self._rest(self.chance.choice((0.0, 0.0, 10.0, 30.0)))
                self._compare()
                await self._act()
            await self._rest(0.0)
            self._compare()
        finally:
            await self.stack.aclose()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        made = small(runbook_of(self.steps), balancer=self.target, store=self.store, clock=loop, every=0.2)
        self.lab = await self.stack.enter_async_context(made)

    async def _rest(self, seconds: float) -> None:
        """Let time pass, until nothing happens by itself for a while."""
        await self._pass(seconds + 2 * REST)
        for _ in range(50):
            if not self.model.busy(self.model.now - REST, self.model.now + REST) and not self._just():
                return
            await self._pass(REST)
        raise AssertionError("it does not come to rest")

    def _just(self) -> bool:
        return self._now() - self.model.moved < REST

    async def _pass(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.model.advance(self._now())

    async def _act(self) -> None:
        act = self.chance.choice(
            (self._control, self._control, self._control, self._control, self._mode, self._restart)
        )
        await act()

    async def _mode(self) -> None:
        mode = self.chance.choice(MODES)
        self.did.append(f"the target {mode}")
        healed = self.target.blind
        self.target.mode, self.target.blind = mode, False
        self.world.mode, self.world.blind = mode, False
        if healed:
            self.model.heal()

    async def _restart(self) -> None:
        self.did.append("restart")
        await self.stack.aclose()
        down = self.chance.choice((0.5, 45.0))
        await asyncio.sleep(down)
        await self._start()
        self.model.restart(self._now() - self.model.now)

    async def _control(self) -> None:
        offered = self.model.offers()
        if offered and self.chance.random() < 0.75:
            weighed = [verb for verb in sorted(offered) for _ in range(1 if verb in ("stop", "pause") else 4)]
            verb = self.chance.choice(weighed)
        else:
            verb = self.chance.choice(("decide", "pause", "resume", "retry", "skip", "stop", "undo"))
        keys = sorted(offered.get(verb, ())) or [f"{s['id']}#{self.chance.choice((1, 2))}" for s in self.steps]
        key, choice = self.chance.choice(keys), self.chance.choice(("go", "go", "no", "away"))
        if verb in ("pause", "stop", "undo"):
            key = ""
        who = self.chance.choice((COMMANDER, COMMANDER, RESPONDER))
        expected = self.model.control(verb, ROLES[who], key, choice)
        accepted = await self._ask(verb, key, choice, who)
        self.did.append(f"{who.person} {verb} {key} {choice if verb == 'decide' else ''}: {accepted}")
        assert (accepted is True) == expected, f"{verb} {key}: the model says {expected}, the engine {accepted}"

    async def _ask(self, verb: str, key: str, choice: str, who: Any) -> bool | str:
        requests = {
            "decide": Decide(choice, key), "pause": Pause(), "resume": Resume(key), "skip": Skip(key, "at random"),
            "stop": Stop(),
        }  # fmt: skip
        try:
            if verb in requests:
                await self.lab.engine.control(who, "R-1", requests[verb])
            else:
                request = PlanRetry("R-1", key) if verb == "retry" else PlanUndo("R-1")
                await self.lab.submit(await self.lab.preview(request, who), who)
        except (Refused, NotFound) as error:
            return str(error)
        return True

    def _compare(self) -> None:
        row, run = self.lab.engine.view("runbooks").runs["R-1"], self.lab.engine.history.runs["R-1"]
        model = self.model
        mine = {
            "steps": [f"{model.key(s)} {model.at[s['id']].state}" for s in self.steps],
            "state": model.shown(),
            "offers": model.offers(),
            "exit": model.exit_code(),
            "undo": model.undo_state(),
        }
        theirs = {
            "steps": [f"{run.latest(s['id']).key} {run.latest(s['id']).state.value}" for s in self.steps],
            "state": row.state.value,
            "offers": {verb: set(row.steps_of[verb]) for verb in row.next_actions},
            "exit": exit_code(row),
            "undo": row.undo.value,
        }
        assert theirs == mine
        if model.state in ("done", "failed"):
            assert row.message.startswith(model.last_line())


def lives(seeds: range, actions: int) -> None:
    for seed in seeds:
        life = Life(seed)
        try:
            run_virtual(life.live(actions))
        except BaseException:
            print(f"seed {seed}: {life.steps}\n{life.did}")
            raise


@pytest.mark.parametrize("part", range(5))
def test_random_runs_do_what_their_document_says(part: int) -> None:
    lives(range(part * 60, part * 60 + 60), 14)


@pytest.mark.torture
@pytest.mark.parametrize("part", range(50))
def test_many_random_runs_do_what_their_document_says(part: int) -> None:
    lives(range(10_000 + part * 110, 10_000 + part * 110 + 110), 18)
