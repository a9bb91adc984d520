"""An operator's session on a real terminal against the real lab: seen, decided, done, proven; and what an observer
and a dying terminal can do to it, which is nothing."""

from __future__ import annotations

import asyncio
import re
import signal
import time

import pytest

from adapters.lab.client import LabClient
from state.api.requests import Decide, PlanRunbook
from state.api.run_states import RunState
from tests.support.keyboard import console, press
from tests.support.real_engine import RealEngine
from tests.terminal.ptys import Terminal


def confirm(terminal: Terminal) -> None:
    """Read the code off the card and type it."""
    terminal.wait("type the code")
    terminal.read(0.7)
    found = re.search(r"code ([A-Z0-9]{4})", terminal.text())
    assert found, terminal.text()
    press(terminal, *found[1])


def start_roll_back(terminal: Terminal) -> None:
    press(terminal, "3")
    terminal.wait("Library")
    press(terminal, ":")
    press(terminal, *"roll-back-release")
    press(terminal, "\r")
    press(terminal, "s")
    terminal.wait("Start Roll a release back")
    press(terminal, *"checkout", "\r", *"blue", "\r")
    confirm(terminal)


def test_a_bad_release_is_rolled_back_by_keyboard_while_an_observer_watches(lab: LabClient, engine: RealEngine):
    with console(engine) as mine, console(engine, "--observe", size=(120, 40)) as theirs:
        mine.wait("Recover in this order", 15)
        theirs.wait("OBSERVER", 15)
        asyncio.run(lab.inject("bad-release", seconds=120))
        began = time.monotonic()
        mine.wait(lambda: re.search(r"FAIL +checkout", mine.text()), 15)
        assert time.monotonic() - began < 5
        start_roll_back(mine)
        press(theirs, "3")
        mine.wait("R-1", 10)
        theirs.wait(lambda: re.search(r"(RUNNING|DONE) +R-1", theirs.text()), 10)
        press(theirs, *"spuntde.y", "\r", "\x1b")
        mine.wait(lambda: re.search(r"DONE +R-1", mine.text()), 90)
        theirs.wait(lambda: re.search(r"DONE +R-1", theirs.text()), 10)
        press(mine, "1")
        mine.wait(lambda: re.search(r"PASS +checkout +within", mine.text()), 30)
        press(mine, "9")
        mine.wait(lambda: "run.ended" in mine.text(), 10)
    kinds = engine.kinds("R-1")
    assert kinds.count("effect.intended") == kinds.count("effect.ended") == 2
    assert kinds.index("effect.intended") < kinds.index("effect.ended")
    started = next(e for e in engine.entries() if e.kind == "run.started")
    assert started.event.actor == "you"
    assert not [e for e in engine.entries() if e.event.run == "R-2"]
    assert engine.chain() == ""
    asyncio.run(lab.undo("bad-release"))


LIVES = (pytest.param("killed", marks=pytest.mark.torture), "hung up", "stalled")


@pytest.mark.parametrize("how", LIVES)
def test_a_terminal_that_dies_or_stalls_changes_nothing_about_a_run(lab: LabClient, engine: RealEngine, how: str):
    with console(engine) as terminal:
        terminal.wait("Recover in this order", 15)
        asyncio.run(_run_while(engine, terminal, how))
        if how == "hung up":
            assert terminal.ended(8) == 129
        elif how == "killed":
            assert terminal.ended(8) == -signal.SIGKILL
        else:
            assert terminal.process.poll() is None
            assert terminal.cpu() < 50


async def _run_while(engine: RealEngine, terminal: Terminal, how: str) -> None:
    gaps = asyncio.create_task(_widest_gap(engine, 8.0))
    plan = await engine.plan(
        PlanRunbook("drain-server", {"service": "catalog", "balancer": "edge-west", "server": "a"})
    )
    run = await engine.submit(plan)
    await asyncio.sleep(0.3)
    if how == "killed":
        terminal.process.kill()
    elif how == "hung up":
        terminal.hang_up()
    row = await engine.settled(run, 40)
    while row.state == RunState.WAITING:
        choice = row.options[0]
        await engine.client.control(run, Decide(choice))
        await asyncio.sleep(0.3)
        row = await engine.settled(run, 40)
    assert row.state == "done", row
    assert await gaps < 2.0


async def _widest_gap(engine: RealEngine, seconds: float) -> float:
    """The longest time between two ticks of the engine's stream, which come at least every second."""
    widest, last, end = 0.0, time.monotonic(), time.monotonic() + seconds
    async for _ in engine.client.stream(("header",)):
        now = time.monotonic()
        widest, last = max(widest, now - last), now
        if now > end:
            break
    return widest
