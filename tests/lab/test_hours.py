"""Hours of faults, runs and reloads under two consoles that look: nothing of the engine grows. Figures are printed.

RECOVERY_SOAK_HOURS says for how long, 8 without it. It begins with as many runs as an engine holds in memory. What is
there after the first hour (of less than four hours: after the first quarter) is held against what is there at the end.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from adapters.lab.client import LabClient
from console.client.engine_client import Connected, EngineClient, Line, Lost
from state.capabilities import topics
from state.runs.fold import HELD, SLACK
from tests.lab.disturbances import Disturbances, Work
from tests.lab_fixture import running_lab
from tests.support.ports import free_port
from tests.support.proc_figures import HEAD, Taken, line, middle, taken
from tests.support.real_engine import RealEngine, engine_home, folder, lab_estate
from tests.terminal.ptys import Terminal

pytestmark = pytest.mark.lab

T = TypeVar("T")

HOURS = float(os.environ.get("RECOVERY_SOAK_HOURS", "8"))
CONSOLE = "import sys; from console import tui; sys.exit(tui.run(sys.argv[1]))"
SHARE = 0.02
"""The most that memory may grow, as a share of what it was."""
FEW = 4
"""The most descriptors or tasks more than there were: connections come and go."""


@pytest.fixture
def own_lab() -> Iterator[LabClient]:
    """A lab of its own: hours of faults are nobody else's."""
    with folder() as place, running_lab(place / "lab") as client:
        yield client


async def watch(engine: RealEngine, counts: Counter[str]) -> None:
    """A console that follows every topic at the observers' socket."""
    async for told in EngineClient(str(engine.place.observe), "aaaa0001").follow(list(topics())):
        match told:
            case Connected():
                counts["connected"] += 1
            case Line():
                counts["lines"] += 1
            case Lost():
                counts["lost"] += 1


@contextmanager
def console(engine: RealEngine) -> Iterator[Terminal]:
    """The real console, as a process on a terminal, at the observers' socket."""
    argv = [sys.executable, "-P", "-c", CONSOLE, str(engine.place.observe)]
    with Terminal(argv, size=(120, 40)) as terminal:
        terminal.wait("live", 60)
        yield terminal


async def use(terminal: Terminal, chance: random.Random) -> None:
    """Go from screen to screen as somebody does who looks; what is drawn is taken and forgotten."""
    loop = asyncio.get_running_loop()
    loop.add_reader(terminal.master, lambda: os.read(terminal.master, 1 << 16))
    try:
        while True:
            terminal.press(chance.choice(("1", "2", "3", "4", "9", "j", "k", "\x1b", "?", "\x1b")))
            await asyncio.sleep(chance.uniform(0.5, 4.0))
            assert terminal.process.poll() is None, "the console ended"
    finally:
        loop.remove_reader(terminal.master)


async def measure(engine: RealEngine, port: int, terminal: Terminal, seconds: float) -> tuple[list[Taken], list[Taken]]:
    """The figures of engine and console each minute (of a short time: sixty times), printed as they come."""
    assert engine.process is not None
    began, every = time.monotonic(), min(60.0, seconds / 60)
    engines: list[Taken] = []
    consoles: list[Taken] = []
    print(f"\n{HEAD} {'console RSS':>12} {'its descriptors':>16}", flush=True)
    while time.monotonic() - began < seconds:
        await asyncio.sleep(every)
        assert engine.alive, "the engine ended"
        engines.append(await asyncio.to_thread(taken, engine.process.pid, port, engine.place.journal))
        consoles.append(taken(terminal.process.pid))
        print(f"{line(engines[-1], began)} {consoles[-1].rss:12} {consoles[-1].descriptors:16}", flush=True)
    return engines, consoles


def held(rows: list[Taken]) -> tuple[Taken, Taken]:
    """The middle figures of the time after the first hour (quarter), and of as long a time at the end."""
    began, length = rows[0].at, rows[-1].at - rows[0].at
    warm = [r for r in rows if r.at - began >= min(3600.0, length / 4)]
    some = max(1, len(warm) // 4)
    return middle(warm[:some]), middle(warm[-some:])


async def beside(main: Coroutine[Any, Any, T], *works: Coroutine[Any, Any, None]) -> T:
    """The result of the first; the others go on meanwhile, and what one of them raises is raised here at once."""
    first = asyncio.ensure_future(main)
    tasks = [first, *map(asyncio.ensure_future, works)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        assert first in done
        return first.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def soak(lab: LabClient, hours: float, seed: int) -> tuple[list[Taken], list[Taken]]:
    """Everything at once for so long; the figures of the engine and of the console. The journal's chain is whole."""
    chance, port, watched = random.Random(seed), free_port(), Counter[str]()
    with engine_home(lab_estate(lab)) as engine:
        await engine.start(metrics=port)
        disturbances, work = Disturbances(lab, engine, chance), Work(engine, random.Random(seed + 1))
        await work.fill(HELD + SLACK)
        with console(engine) as terminal:
            rows = await beside(
                measure(engine, port, terminal, hours * 3600),
                watch(engine, watched),
                use(terminal, random.Random(seed + 2)),
                work.go_on(),
                disturbances.go_on(),
            )
        for name, counts in ("disturbed", disturbances.counts), ("people", work.counts), ("watching", watched):
            print(f"{name}: " + ", ".join(f"{what} {n}" for what, n in sorted(counts.items())), flush=True)
        assert engine.alive
        engine.end()
        assert engine.chain() == ""
        assert engine.kinds().count("engine.started") == 1
    assert disturbances.counts.total() > 0
    assert work.counts["run done"] > 0
    assert watched["lines"] > 0
    return rows


@pytest.mark.torture
async def test_nothing_grows_in_hours_of_faults_and_runs(own_lab: LabClient) -> None:
    engines, consoles = await soak(own_lab, HOURS, 8)
    before, after = held(engines)
    shown, shown_after = held(consoles)
    print(f"engine  {line(before, before.at)}\n        {line(after, before.at)}")
    print(f"console {line(shown, shown.at)}\n        {line(shown_after, shown.at)}")
    assert after.rss <= before.rss * (1 + SHARE), f"memory: {before.rss} kB, then {after.rss} kB"
    assert after.descriptors <= before.descriptors + FEW
    assert after.threads <= before.threads + FEW
    assert after.tasks <= before.tasks + FEW
    assert shown_after.descriptors <= shown.descriptors + FEW
