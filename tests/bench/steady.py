"""Goal 4: CPU at fleet size. Programs run side by side; their CPU is read over the same windows."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.big_site import WORDS, big_site
from tests.bench.dolphie import READY, dolphie, why
from tests.bench.figures import Figure, Pairs, Target, missing
from tests.bench.pty_driver import Driven, cpu_of, taken
from tests.bench.servers import role
from tests.bench.setting import PYTHON, ROOT, Setting
from tests.bench.site import Site
from tests.bench.start import LIVE
from tests.contract.components import PASSWORD, Pair

GOAL = "4"
PEERS = {"pg_activity": None, "dolphie": Target(0.3)}
"""Who is measured beside the product, and what is held against it."""


def shares(drivens: list[Driven], uses: list[Callable[[], float]], seconds: float, n: int) -> list[list[float]]:
    """Percent of a core of each program in n windows; what they write is taken, not drawn."""
    found: list[list[float]] = [[] for _ in uses]
    for _ in range(n):
        before, started = [use() for use in uses], time.perf_counter()
        for _ in taken(drivens, seconds):
            pass
        span = time.perf_counter() - started
        for into, use, was in zip(found, uses, before, strict=True):
            into.append(100 * (use() - was) / span)
    return found


def paired(a: list[float], b: list[float]) -> Pairs:
    pairs = Pairs()
    for one, other in zip(a, b, strict=True):
        pairs.add(one, max(other, 1e-9))
    return pairs


@contextlib.contextmanager
def pg_activity(setting: Setting, pair: Pair) -> Iterator[Driven | None]:
    """pg_activity watching one server with 30 sessions; None when it is not installed."""
    program = setting.peers.program("pg_activity")
    if program is None:
        yield None
        return
    argv = [program, "-h", "127.0.0.1", "-p", str(pair.primary), "-U", "recovery", "-d", "postgres", "--refresh", "1"]
    busy = role("sessions", 600, pair.primary, "recovery", PASSWORD)
    with busy, Driven(argv, {**os.environ, "PGPASSWORD": PASSWORD}) as shown:
        shown.wait("RUNNING QUERIES")
        yield shown


@contextlib.contextmanager
def peers(setting: Setting, pair: Pair) -> Iterator[dict[str, Driven]]:
    """The peers that are installed, each watching one server with 30 sessions."""
    with contextlib.ExitStack() as stack:
        found = {}
        if (shown := stack.enter_context(pg_activity(setting, pair))) is not None:
            found["pg_activity"] = shown
        if (watching := stack.enter_context(dolphie(setting, "steady-peer"))) is not None:
            found["dolphie"] = stack.enter_context(watching.shown())
            found["dolphie"].wait(READY)
        yield found


def fleet(setting: Setting, site: Site, pair: Pair) -> Iterator[Figure]:
    seconds, n = setting.pick(20, 3), 5
    with site.engine() as engine, site.console() as console, peers(setting, pair) as found:
        console.wait(LIVE)
        process = psutil.Process(engine.pid)

        def both() -> float:
            return console.cpu() + cpu_of(process)

        def engine_alone() -> float:
            return cpu_of(process)

        for key, name in (("1", "overview"), ("4", "traffic")):
            console.press(key)
            drivens = [console, *found.values()]
            uses = [both, engine_alone, *(shown.cpu for shown in found.values())]
            shares(drivens, uses, 2, 1)
            whole, alone, *others = shares(drivens, uses, seconds, n)
            engine_share, rest = statistics.median(alone), statistics.median(whole) - statistics.median(alone)
            message = f"engine {engine_share:.1f} %, console {rest:.1f} %; {WORDS}"
            percent = statistics.median(whole)
            yield Figure(GOAL, f"CPU of engine and console, {name}", percent, "% of a core", Target(5), n, note=message)
            for peer, other in zip(found, others, strict=True):
                figure = paired(whole, other)
                yield figure.figure(GOAL, f"CPU, {name} / {peer} on one server", PEERS[peer], of="%")
    told = {"pg_activity": setting.peers.why("pg_activity"), "dolphie": why(setting)}
    for peer in PEERS.keys() - found.keys():
        yield missing(GOAL, f"CPU / {peer} on one server", told[peer], PEERS[peer])


@dataclass(frozen=True, slots=True)
class Table:
    """A running table app, and the file it tells its ticks to."""

    shown: Driven
    told: Path

    def ticks(self) -> list[float]:
        """Milliseconds each change took the loop so far."""
        return [float(line) for line in self.told.read_text().split()]


@contextlib.contextmanager
def table(folder: Path, kind: str, rows: int) -> Iterator[Table]:
    """The product's table (`line`) or Textual's (`data`) with so many rows, ready."""
    told = folder / f"{kind}-{rows}"
    argv = [PYTHON, "-m", "tests.bench.table_app", kind, str(rows), str(told)]
    with Driven(argv, {**os.environ, "PYTHONPATH": str(ROOT)}) as shown:
        shown.wait("TABLE-READY")
        shown.drain(2.2, model=False)
        yield Table(shown, told)


def tables(setting: Setting, folder: Path) -> Iterator[Figure]:
    seconds, n = setting.pick(20, 3), 5
    with table(folder, "line", 100) as few, table(folder, "line", 5000) as many, table(folder, "data", 5000) as data:
        apps = [few, many, data]
        used = shares([app.shown for app in apps], [app.shown.cpu for app in apps], seconds, n)
        ours, theirs = many.ticks()[-n * seconds :], data.ticks()[-n * seconds :]
    yield paired(used[1], used[0]).figure(GOAL, "CPU of a table, 5,000 rows / 100 rows", Target(2), of="%")
    yield paired(used[1], used[2]).figure(GOAL, "CPU of 5,000 rows / DataTable", of="%")
    n = min(len(ours), len(theirs))
    name = "loop time of a change of 4,000 cells, 5,000 rows / DataTable"
    yield paired(ours[-n:], theirs[-n:]).figure(GOAL, name, Target(0.2))


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    with big_site(setting.folder("steady")) as (site, pair, _):
        yield from fleet(setting, site, pair)
    yield from tables(setting, setting.folder("tables"))
