"""Kills at random instants, of the engine and of those who watch it."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from typing import Any

import pytest

from adapters.lab.client import LabClient
from console.client.engine_client import Connected, Line, Lost
from state.api.requests import PlanUndo, Stop
from state.runs.events import EffectEnded, EffectIntended
from tests.crash.recorder import Recorder
from tests.crash.targets import Truth
from tests.crash.trials import recorded
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

pytestmark = pytest.mark.lab

COLOURS = {"blue": (100, 0), "green": (0, 100)}
LONGEST = 1.6  # seconds from submitting a flip to the last instant of a kill: the flip is read back by then


async def weights(truth: Truth) -> tuple[int, int]:
    servers = await truth.servers("east", "checkout")
    return servers["blue"][0], servers["green"][0]


def spent(engine: RealEngine) -> tuple[int, int]:
    """How many effects were intended and how many have an outcome; no effect has two."""
    intents = [e.body.effect for e in engine.entries() if isinstance(e.body, EffectIntended)]
    outcomes = [e.body.effect for e in engine.entries() if isinstance(e.body, EffectEnded)]
    assert len(set(intents)) == len(intents)
    assert len(set(outcomes)) == len(outcomes)
    return len(intents), len(outcomes)


async def one_kill(engine: RealEngine, truth: Truth, recorder: Recorder, chance: random.Random) -> str:
    """Flip to the other colour, kill in between, restart; the step's state, proven against the balancer."""
    before = await weights(truth)
    to = "green" if before[0] else "blue"
    recorder.effects.clear()
    run = await engine.act("backend.flip", balancer="edge-east", backend="checkout", to=to)
    await asyncio.sleep(chance.uniform(0.0, LONGEST))
    engine.kill()
    await engine.start()
    row = await engine.settled(run, 8.0)
    state, now = (await engine.step(run)).state, await weights(truth)
    told = {"done": now == COLOURS[to], "not-done": now == before, "failed": now not in (before, COLOURS[to])}
    assert told[state], f"it says {state} while the weights went from {before} to {now}"
    assert max(recorder.counts.values(), default=0) <= 1, f"sent twice: {recorder.effects}"
    intents, outcomes = spent(engine)
    assert intents == outcomes
    if row.state not in ("done", "failed"):
        await engine.client.control(run, Stop("the soak goes on"))
        await engine.settled(run, 5.0)
    if state == "failed":
        for server, weight in zip(("blue", "green"), COLOURS[to], strict=True):
            await truth.haproxy("east", f"set server checkout/{server} weight {weight}")
    return str(state)


async def soak(lab: LabClient, truth: Truth, kills: int, seed: int) -> list[str]:
    """Many kills over one journal; the states that were found."""
    chance, recorder = random.Random(seed), Recorder()
    tree, early = lab_estate(lab, "balancers", "services"), []
    for server, weight in (("blue", 100), ("green", 0)):
        await truth.haproxy("east", f"set server checkout/{server} weight {weight}")
    try:
        async with recorded(truth, tree, recorder):
            with engine_home(tree) as engine:

                def on_effect(command: str) -> None:
                    intents, outcomes = spent(engine)
                    if intents != outcomes + 1:
                        early.append(command)

                recorder.on_effect = on_effect
                await engine.start()
                found = [await one_kill(engine, truth, recorder, chance) for _ in range(kills)]
                engine.end()
                assert engine.chain() == ""
                assert early == [], f"sent without a durable intent of their own: {early}"
                assert engine.kinds().count("engine.started") == kills + 1
    finally:
        for server, weight in (("blue", 100), ("green", 0)):
            await truth.haproxy("east", f"set server checkout/{server} weight {weight}")
    return found


async def test_random_kills(lab: LabClient, truth: Truth) -> None:
    found = await soak(lab, truth, kills=15, seed=20260101)
    assert found.count("done") >= 3, found


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(10))
async def test_many_random_kills(lab: LabClient, truth: Truth, seed: int) -> None:
    await soak(lab, truth, kills=100, seed=seed)


def verb(engine: RealEngine, *argv: str) -> subprocess.Popen[bytes]:
    """A console verb as a process of its own."""
    program = [sys.executable, "-P", "-m", "console.cli", *argv, "--estate", str(engine.place.file)]
    return subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


async def test_a_killed_console_changes_nothing_of_its_run(lab: LabClient, truth: Truth) -> None:
    """The verb that started a run is killed while it waits; the run goes on to its end, in the same engine."""
    tree, recorder = lab_estate(lab, "balancers", "services"), Recorder()
    async with recorded(truth, tree, recorder):
        with engine_home(tree) as engine:
            await engine.start()
            pid = (await engine.client.hello()).engine_pid
            with verb(engine, "traffic", "drain", "edge-west", "catalog", "a", "--yes-nonce") as console:
                await until(lambda: sent(recorder), 15, "nothing was sent")
                console.send_signal(signal.SIGKILL)
                assert console.wait(5) == -signal.SIGKILL
            row = await engine.settled("R-1", 8.0)
            assert row.state == "done", row.message
            assert (await engine.client.hello()).engine_pid == pid
            assert (await truth.servers("west", "catalog"))["a"][1]
            assert recorder.effects == ["set server catalog/a state drain"]
            undone = await engine.submit(await engine.plan(PlanUndo("R-1")))
            assert (await engine.settled(undone, 8.0)).state == "done"
    assert not (await truth.servers("west", "catalog"))["a"][1]


async def sent(recorder: Recorder) -> bool:
    return bool(recorder.effects)


async def test_a_watching_console_finds_the_new_engine_by_itself(lab: LabClient, truth: Truth) -> None:
    """A stream is lost with the engine and comes back with the next one, with the run classified."""
    tree = lab_estate(lab, "balancers", "services")
    with engine_home(tree) as engine:
        await engine.start("after_intent")
        pids: list[int] = []
        seen: list[Any] = []

        async def watch() -> None:
            async for told in engine.client.follow(["runbooks"]):
                match told:
                    case Connected(hello):
                        pids.append(hello.engine_pid)
                    case Line(content):
                        seen.append(json.dumps(content))
                    case Lost():
                        seen.append("lost")

        watching = asyncio.create_task(watch())
        run = await engine.act("server.weight", balancer="edge-west", backend="catalog", server="a", weight=60)
        await engine.died()
        await engine.start()
        await engine.settled(run, 8.0)

        async def told() -> bool:
            return "lost" in seen and any("not-done" in line for line in seen[seen.index("lost") :])

        await until(told, 8.0, "the watcher was not told")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert len(set(pids)) == 2
