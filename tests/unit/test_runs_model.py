"""Random lives of runs, the engine against a model that was written from docs/runbooks.md and not from the code.

Each life has a random runbook, two people who sometimes answer at the same instant or confirm a card late, a target
that refuses, loses and hides what it is told, restarts, a wall clock that is set, and an undo. At every rest the two
must agree: states, what is offered, the last line, the exit code, the undo.
"""

from __future__ import annotations

import asyncio
import copy
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from console.cli.following import exit_code
from state.api.requests import Decide, Pause, PlanRetry, PlanRunbook, PlanUndo, Resume, Skip, Stop
from state.capabilities import added
from state.errors import EffectRefused, EffectUnknown, NotFound, ReadFailure, Refused, Trouble
from tests.support.random_book import CAPABILITY, SERVERS, random_steps, runbook_of
from tests.support.run_model import Model
from tests.support.run_seen import World
from tests.support.small_estate import COMMANDER, RESPONDER, Small, small
from tests.support.virtual_time import VirtualLoop, run_virtual

MODES = ("well", "well", "well", "refuses", "loses", "drops", "vanishes", "vanishes-done")
REST = 4.0
"""Seconds around a comparison in which nothing happens by itself: what has begun at once has ended."""
VALID = 30.0
"""Seconds for which a card can be confirmed."""
ROLES = {COMMANDER: ("commander", "responder"), RESPONDER: ("responder",)}


class Target(MemoryBalancer):
    """The target as the world has it."""

    def __init__(self) -> None:
        super().__init__("edge", {"shop": {"blue": 100, **dict.fromkeys(SERVERS, 0)}})
        self.mode, self.blind = "well", False

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


class Clocks:
    """The clocks of the machine: virtual time, and a wall clock that can be set."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop, self.ahead = loop, 0.0

    def mono(self) -> float:
        return self._loop.mono()

    def wall(self) -> float:
        return self._loop.wall() + self.ahead


class Life:
    """One random life. `models` are what may be so: after two requests at one instant, either order."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.steps = random_steps(self.chance)
        self.target, self.store = Target(), MemoryJournal()
        self.stack = AsyncExitStack()
        self.did: list[str] = []
        self.lab: Small
        self.models: list[Model] = []
        self.clocks: Clocks

    @property
    def model(self) -> Model:
        return self.models[0]

    async def live(self, actions: int) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.clocks = Clocks(loop)
        await self._start()
        self.target.mode = self.chance.choice(("well", "well", "refuses", "loses"))
        await self.lab.submit(await self.lab.preview(PlanRunbook("case")))
        self.models = [Model(self.steps, World(self.target.mode), self.clocks.mono())]
        try:
            for _ in range(actions):
                await self._rest(self.chance.choice((0.0, 0.0, 10.0, 30.0)))
                self._compare()
                await self._act()
            await self._rest(0.0)
            self._compare()
        finally:
            await self.stack.aclose()

    async def _start(self) -> None:
        made = small(runbook_of(self.steps), balancer=self.target, store=self.store, clock=self.clocks, every=0.2)
        self.lab = await self.stack.enter_async_context(made)

    async def _rest(self, seconds: float) -> None:
        """Let time pass, until nothing happens by itself for a while."""
        await self._pass(seconds + 2 * REST)
        for _ in range(50):
            now = self.clocks.mono()
            if not any(m.busy(now - REST, now + REST) or now - m.moved < REST for m in self.models):
                return
            await self._pass(REST)
        raise AssertionError("it does not come to rest")

    async def _pass(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        for model in self.models:
            model.advance(self.clocks.mono())

    async def _act(self) -> None:
        one, rare = self._control, (self._mode, self._restart, self._both, self._late, self._set_clock)
        await self.chance.choice((one, one, one, one, one, one, self._mode, self._restart, self.chance.choice(rare)))()

    async def _mode(self) -> None:
        mode = self.chance.choice(MODES)
        self.did.append(f"the target {mode}")
        healed = self.target.blind
        self.target.mode, self.target.blind = mode, False
        for model in self.models:
            model.world.mode, model.world.blind = mode, False
            if healed:
                model.heal()

    async def _restart(self) -> None:
        self.did.append("restart")
        await self.stack.aclose()
        down = self.chance.choice((0.5, 45.0))
        await asyncio.sleep(down)
        await self._start()
        for model in self.models:
            model.restart(self.clocks.mono(), self.clocks.ahead)

    async def _set_clock(self) -> None:
        by = self.chance.choice((-3600.0, 3600.0, 20.0))
        self.did.append(f"the wall clock is set by {by:+.0f} s")
        self.clocks.ahead += by
        for model in self.models:
            model.ahead = self.clocks.ahead

    def _random_control(self, offered: dict[str, set[str]]) -> tuple[str, str, str, Any]:
        if offered and self.chance.random() < 0.75:
            weighed = [verb for verb in sorted(offered) for _ in range(1 if verb in ("stop", "pause") else 4)]
            verb = self.chance.choice(weighed)
        else:
            verb = self.chance.choice(("decide", "pause", "resume", "retry", "skip", "stop", "undo"))
        keys = sorted(offered.get(verb, ())) or [f"{s['id']}#{self.chance.choice((1, 2))}" for s in self.steps]
        key, choice = self.chance.choice(keys), self.chance.choice(("go", "go", "no", "away"))
        if verb in ("pause", "stop", "undo"):
            key = ""
        return verb, key, choice, self.chance.choice((COMMANDER, COMMANDER, RESPONDER))

    async def _control(self) -> None:
        verb, key, choice, who = self._random_control(self.model.offers())
        accepted = await self._ask(verb, key, choice, who)
        self._told(verb, key, choice, who, accepted)
        self.models = [m for m in self.models if m.control(verb, ROLES[who], key, choice) == (accepted is True)]
        assert self.models, f"{verb} {key}: the engine says {accepted}, the model does not"

    async def _both(self) -> None:
        """Two people answer, skip or stop at the same instant: as if one of them had been first."""
        asked = sorted(self.model.offers().get("decide", ()))
        if not asked:
            return await self._control()
        pairs = []
        for who in (COMMANDER, RESPONDER):
            verb = self.chance.choice(("decide", "decide", "decide", "skip", "stop"))
            key = "" if verb == "stop" else self.chance.choice(asked)
            pairs.append((verb, key, self.chance.choice(("go", "no", "away")), who))
        accepted = await asyncio.gather(*(self._ask(*each) for each in pairs))
        for each, answer in zip(pairs, accepted, strict=True):
            self._told(*each, answer)
        found = []
        for model in self.models:
            for order in ((0, 1), (1, 0)):
                other = copy.deepcopy(model)
                told = {n: other.asked(pairs[n][0], ROLES[pairs[n][3]], *pairs[n][1:3]) for n in order}
                other.follow()  # nothing begins or ends between two requests of one instant
                if all(told[n] == (accepted[n] is True) for n in order):
                    found.append(other)
        self.models = found
        assert found, f"{pairs} at once: {accepted} fits no order"

    async def _late(self) -> None:
        """A card for a retry is made, something else happens, then it is confirmed."""
        keys = sorted(self.model.offers().get("retry", ()))
        if not keys:
            return await self._control()
        key, who = self.chance.choice(keys), self.chance.choice((COMMANDER, RESPONDER))
        try:
            card = await self.lab.preview(PlanRetry("R-1", key), who)
        except Refused as error:
            self.did.append(f"no card: {error}")
            assert all(m.world.blind for m in self.models)
            return
        made, seen = self.clocks.mono(), dict(self.model.world.weights)
        await self.chance.choice((self._control, self._mode, self._restart))()
        restarted = self.did[-1] == "restart"
        await self._rest(self.chance.choice((0.0, 10.0)))
        try:
            await self.lab.submit(card, who)
            accepted: bool | str = True
        except (Refused, NotFound) as error:
            accepted = str(error)
        self._told("retry", key, "late", who, accepted)
        over = restarted or self.clocks.mono() - made > VALID
        for model in self.models:
            valid = not over and model.same_facts(key, seen)
            assert (valid and model.control("retry", ROLES[who], key)) == (accepted is True), accepted

    def _told(self, verb: str, key: str, choice: str, who: Any, accepted: bool | str) -> None:
        self.did.append(f"{who.person} {verb} {key} {choice if verb in ('decide', 'retry') else ''}: {accepted}")

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
        theirs = {
            "steps": [f"{run.latest(s['id']).key} {run.latest(s['id']).state.value}" for s in self.steps],
            "state": row.state.value,
            "offers": {verb: set(row.steps_of[verb]) for verb in row.next_actions},
            "exit": exit_code(row),
            "undo": row.undo.value,
        }
        fitting = [model for model in self.models if model.told() == theirs]
        if not fitting:
            assert theirs == self.model.told()
        self.models = fitting[:1]
        if self.model.state in ("done", "failed"):
            assert row.message.startswith(self.model.last_line())


def lives(seeds: range, actions: int) -> None:
    with added(CAPABILITY):
        for seed in seeds:
            life = Life(seed)
            try:
                run_virtual(life.live(actions))
            except BaseException:
                print(f"seed {seed}: {life.steps}\n{life.did}")
                raise


@pytest.mark.parametrize("part", range(4))
def test_random_runs_do_what_their_document_says(part: int) -> None:
    lives(range(part * 8, part * 8 + 8), 14)


@pytest.mark.torture
@pytest.mark.parametrize("part", range(50))
def test_many_random_runs_do_what_their_document_says(part: int) -> None:
    lives(range(10_000 + part * 110, 10_000 + part * 110 + 110), 18)
