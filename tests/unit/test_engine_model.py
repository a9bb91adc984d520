"""A random life of an engine against what must always hold, whatever happens to it, its journal and its target.

Everything in one loop: the target and the journal outlive the engines, each of which reaches them through a `Life`
that ends with it. Weights are drawn once each, so a command at the target names the plan it belongs to.
"""

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import PlanRetry, PlanRunbook, read_control
from state.api.run_states import StepState
from state.detection.events import DriftDetected
from state.errors import (
    ConfigError,
    EffectRefused,
    EffectUnknown,
    JournalUnavailable,
    NotFound,
    ReadFailure,
    Refused,
    Trouble,
)
from state.journal.format import unseal, verify
from state.runs.events import EffectEnded, EffectIntended, RunEnded, RunStarted, RunStopRequested
from state.runs.fault_points import FAULT_POINTS
from tests.support.refold import differences
from tests.support.small_estate import COMMANDER, ESTATE, RESPONDER, Small, change, small

SPEED = 10.0
"""How much faster the engine's clock goes than the test's."""
BEGAN = time.time() - time.monotonic() * SPEED
SERVERS = ("a", "b", "c")
EXPECTED = (Refused, JournalUnavailable, NotFound, ConfigError)
SHOP = {"balancer": "edge", "backend": "shop"}


class Fast:
    """A clock that makes settling short."""

    def mono(self) -> float:
        return time.monotonic() * SPEED

    def wall(self) -> float:
        return BEGAN + self.mono()


class Truth(MemoryBalancer):
    """The target, with every command that reached it."""

    def __init__(self) -> None:
        super().__init__("edge", {"shop": dict.fromkeys(SERVERS, 100)})
        self.sent: Counter[int] = Counter()

    def weight(self, server: str) -> int:
        return self._servers[f"shop/{server}"].weight


class Ledger(MemoryJournal):
    """The journal; judges every entry as it becomes durable."""

    def __init__(self, truth: Truth) -> None:
        super().__init__()
        self.truth = truth
        self.intents: dict[str, tuple[str, int]] = {}
        self.outcomes: Counter[str] = Counter()
        self.open: set[str] = set()
        self.stopped: dict[str, float] = {}
        self.wrong: list[str] = []
        self.failing = 0

    def append(self, entries):
        if self.failing:
            self.failing -= 1
            raise JournalUnavailable("disk full")
        super().append(entries)
        for entry in entries:
            self._judge(unseal(entry).event)

    def _judge(self, event) -> None:
        body = event.body
        match event.kind:
            case DriftDetected.kind:
                self._hold(holds=False, message=f"nobody else changes anything, yet {body.message}")
            case RunStarted.kind:
                self.open.add(event.run)
                self._hold(len(self.open) == 1, f"{self.open} hold one target")
            case RunEnded.kind:
                self.open.discard(event.run)
            case RunStopRequested.kind:
                self.stopped.setdefault(event.run, time.monotonic())
            case EffectIntended.kind:
                self._hold(body.effect not in self.intents, f"{body.effect} is intended twice")
                args = body.change.args
                self.intents[body.effect] = (args["server"], args["weight"])
            case EffectEnded.kind:
                effect = body.effect
                self.outcomes[effect] += 1
                self._hold(self.outcomes[effect] == 1, f"{effect} has two outcomes")
                server, weight = self.intents[effect]
                shows = self.truth.weight(server) == weight
                told = {"done": shows, "not-done": not shows}.get(body.state.value, True)
                self._hold(told, f"{effect} is called {body.state.value}, {server} reads {self.truth.weight(server)}")

    def sending(self, weight: int) -> None:
        """A command is about to reach the target."""
        mine = [e for e, (_, w) in self.intents.items() if w == weight]
        self._hold(any(not self.outcomes[e] for e in mine), f"weight {weight} is sent without an open intent")
        self._hold(self.truth.sent[weight] < len(mine), f"weight {weight} is sent twice for one intent")
        runs = {e.partition("/")[0] for e in mine if not self.outcomes[e]}
        late = [r for r in runs if time.monotonic() - self.stopped.get(r, time.monotonic()) > 1.0]
        self._hold(not late, f"{late} go on after they were stopped")

    def _hold(self, holds: bool, message: str) -> None:
        if not holds:
            self.wrong.append(message)


class Life:
    """What one engine reaches; after its death nothing of it reaches anything."""

    def __init__(self, truth: Truth, ledger: Ledger, chance: random.Random) -> None:
        self.truth, self.ledger, self.chance = truth, ledger, chance
        self.name, self.missing = truth.name, ""
        self.dead = self.blind = False
        self.mode = "well"
        self.kill_at = ""

    def reach(self, point: str) -> None:
        self.dead = self.dead or point == self.kill_at

    def append(self, entries) -> None:
        if self.dead:
            raise JournalUnavailable("dead")
        self.ledger.append(entries)

    def look(self) -> None:
        if self.dead:
            raise JournalUnavailable("dead")

    def rows(self, after: int = 0, limit: int = -1):
        return self.ledger.rows(after, limit)

    def some(self, seqs):
        return self.ledger.some(seqs)

    def having(self, header: bytes, payload: bytes = b""):
        return self.ledger.having(header, payload)

    def erase(self, seqs) -> None:
        if self.dead:
            raise JournalUnavailable("dead")
        self.ledger.erase(seqs)

    def keep_checkpoint(self, text: str) -> bool:
        return not self.dead and self.ledger.keep_checkpoint(text)

    def kept_checkpoint(self) -> str:
        return self.ledger.kept_checkpoint()

    def forget(self) -> None:
        self.ledger.forget()

    def keep_stops(self, runs) -> bool:
        return not self.dead and self.ledger.keep_stops(runs)

    def kept_stops(self):
        return self.ledger.kept_stops()

    def head(self):
        return self.ledger.head()

    def close(self) -> None:
        return

    def _see(self) -> None:
        if self.dead or self.blind:
            raise ReadFailure(Trouble.TIMEOUT, "no answer")

    async def identify(self, *, deadline):
        self._see()
        return await self.truth.identify(deadline=deadline)

    async def read(self, *, deadline):
        self._see()
        return await self.truth.read(deadline=deadline)

    async def read_backend(self, backend, *, deadline):
        await asyncio.sleep(self.chance.random() * 0.01)
        self._see()
        return await self.truth.read_backend(backend, deadline=deadline)

    async def set_weight(self, backend, server, weight, *, deadline):
        if self.dead:
            raise EffectUnknown("dead")
        mode = self.mode
        if mode == "refuses":
            raise EffectRefused("not now")
        if mode == "loses":
            raise EffectUnknown("lost on the way", "reset")
        self.ledger.sending(weight)
        self.truth.sent[weight] += 1
        receipt = await self.truth.set_weight(backend, server, weight, deadline=deadline)
        await asyncio.sleep(self.chance.random() * 0.05)
        if mode == "drops":
            raise EffectUnknown("the answer was lost", "reset")
        return receipt


class Episode:
    """One random life."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.truth = Truth()
        self.ledger = Ledger(self.truth)
        self.weights = self.chance.sample(range(1, 256), 255)
        self.stack = AsyncExitStack()
        self.did: list[str] = []
        self.asked: set[asyncio.Task[None]] = set()
        self.lab: Small
        self.life: Life

    async def live(self, actions: int) -> None:
        await self._start()
        doing = [self._plan] * 5 + [self._steer] * 6 + [self._target] * 3 + [self._fail, self._die, self._stop_all]
        for _ in range(actions):
            act = self.chance.choice(doing)
            self.did.append(act.__name__)
            await act()
            await asyncio.sleep(self.chance.random() * 0.08)
            await self._same_as_its_journal()
            if self.life.dead:
                await self._restart()
        await self._end()

    async def _start(self) -> None:
        self.life = Life(self.truth, self.ledger, self.chance)
        made = small(
            RUNBOOK, balancer=self.life, store=self.life, reach=self.life.reach, clock=Fast(), estate=FAST_ESTATE
        )
        self.lab = await self.stack.enter_async_context(made)

    async def _same_as_its_journal(self) -> None:
        """What this engine knows is what the next one will, once it has heard of what was made durable meanwhile."""
        end = time.monotonic() + 5
        while not self.life.dead and (found := differences(self.lab.engine, self.ledger)):
            if time.monotonic() > end:
                self.ledger.wrong += found
                return
            await asyncio.sleep(0.001)

    async def _restart(self) -> None:
        self.life.dead = True
        await self.stack.aclose()
        await self._start()

    async def _ask(self, asking) -> None:
        try:
            await asking
        except EXPECTED as error:
            self.did.append(str(error)[:60])

    def _request(self):
        if self.chance.random() < 0.5:
            server, weight = self.chance.choice(SERVERS), self.weights.pop()
            return change("server.weight", server=server, weight=weight)
        names = {f"w{i}": self.weights.pop() for i in (1, 2, 3)}
        return PlanRunbook("book", names)

    async def _plan(self) -> None:
        await self._ask(self._submit(self._request(), self.chance.choice((1, 1, 2))))

    async def _submit(self, request, times: int) -> None:
        card = await self.lab.preview(request, self.chance.choice((COMMANDER, RESPONDER)))
        who = COMMANDER if self.chance.random() < 0.5 else RESPONDER
        await asyncio.gather(*(self._ask(self.lab.submit(card, who)) for _ in range(times)))

    async def _steer(self) -> None:
        runs = self.lab.engine.history.open()
        if not runs:
            return
        run = self.chance.choice(runs)
        verb = self.chance.choice(("pause", "resume", "skip", "decide", "decide", "retry", "retry", "stop"))
        if verb == "retry":
            asking = self._submit(PlanRetry(run.id), 2)
        else:
            choice = self.chance.choice(("go", "no", "last"))
            request = read_control({"verb": verb, "reason": "at random", "choice": choice})
            asking = self.lab.engine.control(COMMANDER, run.id, request)
        await self._ask(asking)

    async def _target(self) -> None:
        self.life.mode = self.chance.choice(("well", "well", "drops", "loses", "refuses"))
        self.life.blind = self.chance.random() < 0.2

    async def _fail(self) -> None:
        self.ledger.failing = self.chance.randrange(1, 4)

    async def _die(self) -> None:
        if self.chance.random() < 0.5:
            self.life.kill_at = self.chance.choice(FAULT_POINTS)
        else:
            await self._restart()

    async def _stop_all(self) -> None:
        await self._ask(self.lab.engine.stop_all(COMMANDER))

    async def _end(self) -> None:
        """Heal everything; then every effect is classified, and every run can be stopped."""
        self.ledger.failing = 0
        await self._restart()
        try:
            async with asyncio.timeout(12):
                while any(s.in_doubt for r in self.lab.engine.history.runs.values() for s in r.all_steps()):
                    await asyncio.sleep(0.02)
                await self.lab.engine.stop_all(COMMANDER)
                while self.lab.engine.history.open():
                    await asyncio.sleep(0.02)
            runs = self.lab.engine.history.runs.values()
            assert self.lab.engine.journal.unread == ""
        finally:
            await self.stack.aclose()
        assert set(self.ledger.intents) == set(self.ledger.outcomes), "an intent without outcome"
        done = [s for r in runs for s in r.all_steps() if s.state is StepState.DONE and s.intent is not None]
        assert all(self.ledger.outcomes[s.effect] == 1 for s in done)
        assert verify(self.ledger.rows()).ok
        assert self.ledger.wrong == []


def _weight(step: str, server: str):
    return {"id": step, "change": "server.weight", "with": {**SHOP, "server": server, "weight": f"${{w{step[-1]}}}"}}


RUNBOOK = {
    "runbook": "book",
    "title": "Book",
    "params": {f"w{i}": {"kind": "number", "required": True} for i in (1, 2, 3)},
    "steps": [
        {"id": "both", "parallel": [_weight("s1", "a"), _weight("s2", "b")]},
        {"id": "q", "decide": {"question": "Go on?", "options": {"go": "continue", "no": "stop", "last": "rest"}}},
        _weight("s3", "c"),
        {"id": "rest", "wait": "1s"},
    ],
}
FAST_ESTATE = {**ESTATE, "policies": {"confirm": {"arm": "10ms", "plan_expires": "30s"}}}


async def life(seed: int, actions: int) -> Episode:
    episode = Episode(seed)
    try:
        await episode.live(actions)
    except BaseException:
        print(f"seed {seed}: {episode.ledger.wrong} after {episode.did}")
        raise
    return episode


@pytest.mark.parametrize("seed", [0, 1, 2, 6])
async def test_a_random_life_keeps_every_promise(seed: int):
    episode = await life(seed, 40)
    assert episode.ledger.intents, "nothing was ever sent: the life was too dull to prove anything"


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(1000, 1200))
async def test_many_random_lives_keep_every_promise(seed: int):
    await life(seed, 150)
