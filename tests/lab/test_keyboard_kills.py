"""The engine killed in a failover that a person began by keyboard: the console tells it, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import re
import signal

import pytest

from adapters.lab.client import LabClient
from state.runs.events import EffectEnded, EffectIntended
from tests.crash.manager_targets import failover
from tests.crash.recorder import Recorder
from tests.crash.targets import Truth
from tests.crash.trials import recorded
from tests.lab.test_keyboard import legible
from tests.support.keyboard import Keyboard, console, press
from tests.support.real_engine import RealEngine, engine_home, lab_estate

pytestmark = pytest.mark.lab

LONGEST = 200.0
ENDS = {"before_intent": "PAUSED", "after_intent": "FAILED", "after_effect": "DONE"}
"""What a person reads of the run once the next engine has looked, by where the first one died. What was not begun is
held until a person goes on; what was not sent has failed and is not sent by itself."""


@pytest.fixture
def truth(lab: LabClient) -> Truth:
    return Truth(lab)


def begin(person: Keyboard, to: str) -> None:
    """The failover, from its row to the last letter of its name; what comes then is not waited for."""
    person.replication()
    person.terminal.wait("no node accepts writes", 60)
    person.select(to)
    person.terminal.press("f")
    legible(person.allowed(f"Fail orders over to {to}"), f"orders leader no node → {to}")
    person.type("orders")


def told(person: Keyboard, word: str) -> str:
    """The run as the Runbooks screen has it once the engine is back, and what its row says."""
    terminal = person.terminal
    terminal.wait("live", 60)
    press(terminal, "\x1b")

    def seen() -> bool:
        press(terminal, "3")  # again while the card is still closing
        return re.search(rf"{word} +R-1", person.look()) is not None

    terminal.wait(seen, LONGEST)
    return terminal.text()


def go_on(person: Keyboard) -> None:
    """Resume the held run and see it done."""
    press(person.terminal, "u")
    person.terminal.wait("Resume R-1", 20)
    person.type()
    person.terminal.wait(lambda: re.search(r"DONE +R-1", person.look()), LONGEST)


async def died(engine: RealEngine) -> None:
    assert await engine.died(120) == -signal.SIGKILL


@pytest.mark.parametrize(
    "point",
    [*(pytest.param(point, marks=pytest.mark.torture) for point in ("before_intent", "after_intent")), "after_effect"],
)
async def test_a_failover_whose_engine_dies_is_told_and_not_repeated(lab: LabClient, truth: Truth, point: str) -> None:
    target = failover(lab, truth)
    await target.prepare()
    before = await target.truth()
    tree, recorder = lab_estate(lab, "databases") | target.own(), Recorder()
    to = str(target.args["to"])
    try:
        async with recorded(truth, tree, recorder):
            with engine_home(tree) as engine:
                await engine.start(point)
                with console(engine) as terminal:
                    person = Keyboard(terminal)
                    await asyncio.to_thread(begin, person, to)
                    await died(engine)
                    await asyncio.to_thread(terminal.wait, lambda: "live" not in terminal.text().splitlines()[-1], 30)
                    await engine.start()
                    await asyncio.to_thread(told, person, ENDS[point])
                    if ENDS[point] == "PAUSED":
                        assert (await target.truth(), recorder.effects) == (before, [])
                        await asyncio.to_thread(go_on, person)
                done = ENDS[point] != "FAILED"
                assert await target.truth() == (target.after(before) if done else before)
                assert max(recorder.counts.values(), default=0) <= 1, f"sent twice: {recorder.effects}"
                assert len(recorder.effects) == (1 if done else 0)
                bodies = [e.body for e in engine.entries() if e.event.run == "R-1"]
                intents = sum(isinstance(b, EffectIntended) for b in bodies)
                assert intents == sum(isinstance(b, EffectEnded) for b in bodies) == 1
                engine.end()
                assert engine.chain() == ""
    finally:
        await target.reset()
