"""Goal 4: CPU at fleet size. Programs run side by side and their CPU is read over the same windows, so noise is shared."""

from __future__ import annotations

import contextlib
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator

import psutil

from tests.bench.big_site import WORDS, big_site
from tests.bench.figures import Figure, Pairs, Target, missing
from tests.bench.pty_driver import Driven, cpu_of
from tests.bench.servers import role
from tests.bench.setting import PYTHON, ROOT, Setting
from tests.bench.site import Site
from tests.bench.start import LIVE
from tests.contract.components import PASSWORD, Pair

GOAL = "4"
TICK = re.compile(r"tick ([\d.]+) ms worst ([\d.]+) ms")


def shares(drivens: list[Driven], uses: list[Callable[[], float]], seconds: float, n: int) -> list[list[float]]:
    """Percent of a core of each program in n windows; what they write is taken, not drawn."""
    taken: list[list[float]] = [[] for _ in uses]
    for _ in range(n):
        before, started = [use() for use in uses], time.perf_counter()
        while (left := started + seconds - time.perf_counter()) > 0:
            for driven in drivens:
                driven.pump(min(left, 0.05))
        span = time.perf_counter() - started
        for into, use, was in zip(taken, uses, before, strict=True):
            into.append(100 * (use() - was) / span)
    return taken


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
    with role("sessions", 600, pair.primary, "recovery", PASSWORD):
        with Driven(argv, {**os.environ, "PGPASSWORD": PASSWORD}) as shown:
            shown.wait("RUNNING QUERIES")
            yield shown


def fleet(setting: Setting, site: Site, pair: Pair) -> Iterator[Figure]:
    seconds, n = setting.pick(20, 4), 5
    with site.engine() as engine, site.console() as console, pg_activity(setting, pair) as peer:
        console.wait(LIVE)
        process = psutil.Process(engine.pid)

        def both() -> float:
            return console.cpu() + cpu_of(process)

        def engine_alone() -> float:
            return cpu_of(process)

        for key, name in (("1", "overview"), ("4", "traffic")):
            console.press(key)
            console.drain(2)
            drivens, uses = [console], [both, engine_alone]
            if peer is not None:
                drivens, uses = [console, peer], [*uses, peer.cpu]
            whole, alone, *other = shares(drivens, uses, seconds, n)
            engine_share, rest = statistics.median(alone), statistics.median(whole) - statistics.median(alone)
            words = f"engine {engine_share:.1f} %, console {rest:.1f} %; {WORDS}"
            percent = statistics.median(whole)
            yield Figure(GOAL, f"CPU of engine and console, {name}", percent, "% of a core", Target(5), n, note=words)
            if other:
                figure = paired(whole, other[0])
                yield figure.figure(GOAL, f"CPU, {name} / pg_activity on one server", of="%")
    if peer is None:
        yield missing(GOAL, "CPU / pg_activity", setting.peers.why("pg_activity"))
    why = "dolphie watches MariaDB, which the benchmark does not start"
    yield missing(GOAL, "CPU / dolphie watching one server", why, Target(0.3))


def table_of(kind: str, rows: int) -> Driven:
    argv = [PYTHON, "-m", "tests.bench.table_app", kind, str(rows)]
    return Driven(argv, {**os.environ, "PYTHONPATH": str(ROOT)})


def tick_of(driven: Driven) -> tuple[float, float]:
    """Milliseconds the last change took the loop, and the worst so far, as the app shows them."""
    driven.drain(0.4)
    found = TICK.search(driven.text())
    assert found, driven.text()
    return float(found[1]), float(found[2])


def tables(setting: Setting) -> Iterator[Figure]:
    seconds, n = setting.pick(20, 3), 5
    with table_of("line", 100) as few, table_of("line", 5000) as many, table_of("data", 5000) as data:
        for each in (few, many, data):
            each.wait("TABLE-READY")
        time.sleep(1)
        drivens = [few, many, data]
        for each in drivens:
            each.drain(1.5, model=False)
        taken = shares(drivens, [each.cpu for each in drivens], seconds, n)
        yield paired(taken[1], taken[0]).figure(GOAL, "CPU of a table, 5,000 rows / 100 rows", Target(2), of="%")
        yield paired(taken[1], taken[2]).figure(GOAL, "CPU of 5,000 rows / DataTable", of="%")
        ticks = Pairs()
        for _ in range(n):
            for each in drivens:
                each.screen.reset()
            for each in (many, data):
                each.press("\x1b[B")
            time.sleep(1.0)
            ticks.add(tick_of(many)[0], tick_of(data)[0])
    yield ticks.figure(GOAL, "loop time of a change of 4,000 cells, 5,000 rows / DataTable", Target(0.2))


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    with big_site(setting.folder("steady")) as (site, pair, _):
        yield from fleet(setting, site, pair)
    yield from tables(setting)
