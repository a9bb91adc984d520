"""Kills at random instants, of the engine and of those who watch it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from statistics import median
from typing import Any

import pytest

from adapters.lab.client import LabClient
from console.client.engine_client import Connected, Line, Lost
from state.api.requests import PlanUndo
from tests.crash.kills import Tally, killing
from tests.crash.lanes import Backend, Cluster, Lane
from tests.crash.recorder import Recorder
from tests.crash.targets import Truth
from tests.crash.trials import recorded
from tests.support.nursery import nursery
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

pytestmark = pytest.mark.lab

ROUNDS = int(os.environ.get("RECOVERY_KILL_ROUNDS", "10"))
"""Rounds of the long programme, of 206 kills each."""
SETTLED = 10.0
"""Seconds in which everything is known again; the longest of all is printed, as it is the machine's load too."""


async def round_of_kills(lab: LabClient, truth: Truth, each: int, switchovers: int, seed: int) -> dict[str, Tally]:
    """So many kills at each of four backends, and of switchovers, all at once; what was counted by kind of target."""
    backends = [Backend(truth, site, backend) for site in ("east", "west") for backend in ("checkout", "catalog")]
    lanes: list[tuple[Lane, int]] = [*((lane, each) for lane in backends), (Cluster(lab, truth), switchovers)]
    with nursery() as ready:
        async with asyncio.TaskGroup() as group:
            tasks = [
                (lane.name, group.create_task(killing(lab, truth, ready, lane, kills, 100 * seed + n)))
                for n, (lane, kills) in enumerate(lanes)
            ]
    found: dict[str, Tally] = {}
    for name, task in tasks:
        found.setdefault(name, Tally()).add(task.result())
    return found


def told(found: Mapping[str, Tally]) -> None:
    for name, tally in found.items():
        print(f"{name}: {tally}", flush=True)


async def test_random_kills(lab: LabClient, truth: Truth) -> None:
    found = await round_of_kills(lab, truth, each=4, switchovers=1, seed=20260101)
    told(found)
    assert sum(tally.kills for tally in found.values()) == 17
    assert found["HAProxy"].states["done"] >= 3
    assert sum(found["Patroni"].states.values()) >= 1


@pytest.mark.torture
async def test_many_random_kills(lab: LabClient, truth: Truth) -> None:
    """RECOVERY_KILL_ROUNDS says how many rounds, 10 without it: 2,060 kills, 300 of them during switchovers."""
    found: dict[str, Tally] = {}
    for seed in range(ROUNDS):
        for name, tally in (await round_of_kills(lab, truth, each=44, switchovers=30, seed=seed)).items():
            found.setdefault(name, Tally()).add(tally)
        print(f"\nafter round {seed + 1}:")
        told(found)
    for name, tally in found.items():
        assert median(tally.seconds) <= SETTLED, f"{name}: {tally}"


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
