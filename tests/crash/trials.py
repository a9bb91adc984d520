"""One trial: a change of one kind, an engine killed at one point, a second engine that must know the truth."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yarl import URL

from adapters.lab.client import LabClient
from adapters.lab.links.proxies import ProxyAddress
from state.errors import Refused
from state.runs.events import EffectAnswered, EffectEnded, EffectIntended
from tests.crash.recorder import Recorder, recording
from tests.crash.targets import Truth
from tests.support.real_engine import RealEngine, Tree, engine_home, folder, lab_estate

INTENT, RECEIPT, OUTCOME = EffectIntended.kind, EffectAnswered.kind, EffectEnded.kind
SIGNS: dict[str, tuple[str, ...]] = {
    "before_intent": (),
    "after_intent": (INTENT,),
    "after_effect": (INTENT,),
    "after_receipt": (INTENT, RECEIPT),
    "during_read_back": (INTENT, RECEIPT),
    "before_outcome": (INTENT, RECEIPT),
    "after_outcome": (INTENT, RECEIPT, OUTCOME),
}
"""What the journal holds of an effect when the engine died at a point, in order."""


async def nothing() -> None:
    """Nothing to prepare."""


@dataclass(frozen=True)
class Target:
    """A change to be killed: how it is asked for, what of the lab it needs, what is true once it happened.

    `commands` is how many commands one effect is made of, `seconds` what classifying it may take after the restart.
    `own` are sections that the estate has besides, asked for when all is prepared; 0 commands are not recorded.
    A `risky` change (B3) that sent nothing is held after a restart until a person goes on.
    """

    kind: str
    args: dict[str, Any]
    sections: tuple[str, ...]
    truth: Callable[[], Awaitable[Any]]
    after: Callable[[Any], Any]
    commands: int = 1
    seconds: float = 5.0
    risky: bool = False
    own: Callable[[], Tree] = dict
    prepare: Callable[[], Awaitable[None]] = nothing
    reset: Callable[[], Awaitable[None]] = nothing


@asynccontextmanager
async def recorded(truth: Truth, tree: Tree, recorder: Recorder) -> AsyncIterator[None]:
    """Put the recorder between the engine and everything it may change; `tree` leads through it from now on."""
    async with AsyncExitStack() as stack:
        place = stack.enter_context(folder())

        async def through(upstream: ProxyAddress, name: str = "") -> str:
            return await stack.enter_async_context(recording(recorder, upstream, place / name if name else None))

        for name, balancer in tree["balancers"].items():
            own = Path(balancer["socket"]) if balancer.get("maps") else None  # a target brought it
            balancer["socket"] = await through(own or truth.socket(balancer["site"]), name)
            for command in tree.get("commands", {}).values():
                command["argv"] = [
                    balancer["socket"] if each == f"socket of {name}" else each for each in command["argv"]
                ]
        for call in tree.get("http_calls", {}).values():
            origin = URL(call["url"]).origin()
            at = await through((origin.host or "", origin.port or 80))
            for part in (call, call["read"]):
                part["url"] = part["url"].replace(str(origin), f"http://{at}")
        for database in tree["databases"].values():
            for node in (each for each in database["nodes"].values() if "api" in each):
                host, port = node["api"].removeprefix("http://").split(":")
                node["api"] = "http://" + await through((host, int(port)))
        tree["faults"]["control"] = await through(Path(tree["faults"]["control"]), "control")
        yield


async def crash(lab: LabClient, truth: Truth, target: Target, point: str) -> None:
    """Kill the engine at `point` of one change, restart it, and hold what it says against the target."""
    await target.prepare()
    before = await target.truth()
    tree, recorder = lab_estate(lab, *target.sections) | target.own(), Recorder()
    try:
        async with recorded(truth, tree, recorder):
            with engine_home(tree) as engine:
                await _crash(engine, recorder, target, point, before)
                engine.end()
                assert engine.chain() == ""
    finally:
        await target.reset()


async def _crash(engine: RealEngine, recorder: Recorder, target: Target, point: str, before: Any) -> None:
    early: list[str] = []

    def on_effect(command: str) -> None:
        if INTENT not in engine.kinds():
            early.append(command)

    recorder.on_effect = on_effect
    await engine.start(point)
    run = await _begun(engine, target)
    assert await engine.died(90) == -signal.SIGKILL
    told = tuple(dict.fromkeys(kind for kind in engine.kinds(run) if kind in (INTENT, RECEIPT, OUTCOME)))
    assert told == SIGNS[point], f"it did not die at {point}: the journal holds {told}"
    sent = point not in ("before_intent", "after_intent")
    assert len(recorder.effects) == (target.commands if sent else 0)
    await engine.start()
    row = await engine.settled(run, target.seconds)
    await _judge(engine, recorder, target, point, before, run, row.state)
    assert early == [], f"sent before their intent was durable: {early}"


async def _begun(engine: RealEngine, target: Target) -> str:
    """Submit it; on a busy machine the target may not be read in time, then nothing was begun."""
    end = time.monotonic() + 60
    while True:
        try:
            return await engine.act(target.kind, **target.args)
        except Refused:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.5)


async def _judge(
    engine: RealEngine, recorder: Recorder, target: Target, point: str, before: Any, run: str, state: str
) -> None:
    """What the engine says, what is true, how often it was sent, and what the journal holds of it."""
    step = await engine.step(run)
    held = point == "before_intent" and target.risky
    expected = "pending" if held else "not-done" if point == "after_intent" else "done"
    ends = {"done": "done", "not-done": "failed", "pending": "paused"}
    assert (step.state, state) == (expected, ends[expected]), step.message
    now = await target.truth()
    assert now == (target.after(before) if expected == "done" else before)
    assert max(recorder.counts.values(), default=0) <= 1, f"sent twice: {recorder.effects}"
    assert len(recorder.effects) == (target.commands if expected == "done" else 0)
    kinds = engine.kinds(run)
    assert kinds.count(INTENT) == kinds.count(OUTCOME) == (0 if held else 1)
    if point not in ("before_intent", "after_outcome"):
        answers = [e.body for e in engine.entries() if isinstance(e.body, EffectAnswered)]
        assert answers[-1].code == "interrupted"
        outcome = next(e.body for e in engine.entries() if isinstance(e.body, EffectEnded))
        assert outcome.evidence, "a finding without a reading"
