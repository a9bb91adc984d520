"""Drift on the real balancer: what the engine did by verb, by key and by runbook is its own; each change past it is
from outside."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from adapters.lab.client import LabClient
from state.detection.events import DriftDetected
from tests.crash.targets import Truth
from tests.lab.test_traps import begin, traffic, write_book
from tests.support.keyboard import console, press
from tests.support.real_engine import RealEngine, engine_home, until

BOOK = """
runbook: weigh
title: Weigh b
steps:
  - id: weigh
    change: server.weight
    with: {balancer: edge-west, backend: catalog, server: b, weight: 80}
  - id: serves
    check: server.serving
    with: {balancer: edge-west, backend: catalog, server: b}
    for: 4s
"""


def by_verb(engine: RealEngine, weight: int) -> None:
    argv = ["traffic", "weight", "edge-west", "catalog", "b", str(weight), "--yes-nonce", "--within", "15"]
    program = [sys.executable, "-P", "-m", "console.cli", *argv, "--estate", str(engine.place.file)]
    subprocess.run(program, check=True, capture_output=True, timeout=30)


def by_key(engine: RealEngine, weight: int) -> None:
    with console(engine, size=(120, 40)) as terminal:
        terminal.wait("Recover in this order", 15)
        press(terminal, ":", *"west/catalog/b")
        terminal.wait("edge-west/catalog/b")
        press(terminal, "\r")
        terminal.wait("Servers")
        press(terminal, "w")
        terminal.wait("Weight of b")
        press(terminal, *(["\x7f"] * 4), *str(weight), "\r")
        terminal.wait("to do it")
        terminal.read(0.7)
        press(terminal, "y")
        terminal.wait("R-2 started", 10)


def drifts(engine: RealEngine) -> list[str]:
    return [e.body.line for e in engine.entries() if e.kind == DriftDetected.kind]


async def test_effects_are_known_again_and_changes_past_the_engine_are_each_recorded(
    lab: LabClient,
) -> None:
    truth = Truth(lab)
    with engine_home({**traffic(lab), "runbooks": ["books"]}) as engine:
        write_book(engine, "weigh", BOOK)
        await engine.start()

        async def ended(count: int) -> bool:
            return engine.kinds().count("run.ended") == count

        await asyncio.to_thread(by_verb, engine, 60)
        await asyncio.to_thread(by_key, engine, 70)
        await until(lambda: ended(2), 15, "the run of the key did not end")
        assert (await engine.settled(await begin(engine, "weigh"), 20)).state == "done"
        await asyncio.sleep(2.5)
        assert (await truth.servers("west", "catalog"))["b"] == (80, False)
        assert drifts(engine) == []
        commands = (
            "set server catalog/b weight 33",
            "set server catalog/b state drain",
            "set server catalog/b weight 44",
        )
        for count, command in enumerate(commands, 1):
            await truth.haproxy("west", command)

            async def seen(count: int = count) -> bool:
                return len(drifts(engine)) == count

            await until(seen, 6, lambda command=command: f"{command}: {drifts(engine)}")
        assert "b weight 80 → 33" in drifts(engine)[0]
        assert "b ready → drain" in drifts(engine)[1]
        assert engine.chain() == ""
    await truth.haproxy("west", "set server catalog/b state ready")
    await truth.haproxy("west", "set server catalog/b weight 100")
