"""A terminal that stalls, and a console that is stopped, must not move the engine's clock.

The lag of the engine's loop is read from its own metrics while one console stalls and while none does, in turn.
"""

from __future__ import annotations

import statistics
import time
import urllib.request
from collections.abc import Iterator

from tests.bench.big_site import big_site
from tests.bench.figures import Figure, Pairs
from tests.bench.pty_driver import Driven
from tests.bench.setting import Setting
from tests.bench.site import Engine
from tests.bench.start import LIVE

GOAL = "stall"
LAG = "recovery_loop_lag_seconds "


def lag_ms(engine: Engine) -> float:
    """How late the engine's loop was at its last look."""
    with urllib.request.urlopen(f"http://127.0.0.1:{engine.metrics}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.removeprefix(LAG)) for line in lines if line.startswith(LAG)) * 1e3


def lags(engine: Engine, seconds: float, console: Driven | None) -> list[float]:
    """Samples over a time; a console given is read meanwhile, so that it does not stall."""
    taken, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        if console is None:
            time.sleep(0.11)
        else:
            console.drain(0.11, model=False)
        taken.append(lag_ms(engine))
    return taken


def stalled(engine: Engine, console: Driven, seconds: float, rounds: int, *, stopped: bool) -> tuple[Pairs, float, int]:
    """Medians with a stall and without, in turn; the latest the loop ever was in a stall, and the samples taken."""
    medians, worst, count = Pairs(), 0.0, 0
    for _ in range(rounds):
        free = lags(engine, seconds, console)
        if stopped:
            console.stop(going=False)
        stuck = lags(engine, seconds, None)
        if stopped:
            console.stop(going=True)
        console.drain(1.5, model=False)
        medians.add(statistics.median(stuck), statistics.median(free))
        worst, count = max(worst, *stuck), count + len(stuck)
    return medians, worst, count


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures."""
    seconds, rounds = setting.pick(60, 10), setting.pick(5, 1)
    with big_site(setting.folder("stall")) as (site, _, _), site.engine() as engine, site.console() as console:
        console.wait(LIVE)
        console.drain(2)
        for message, stop in (("terminal not read", False), ("console stopped", True)):
            medians, worst, count = stalled(engine, console, seconds, rounds, stopped=stop)
            note = f"{seconds} s each, {count} samples in the stall; latest of them {worst:.1f} ms"
            if rounds < 5:
                note += "; reduced to one pair"
            name = f"engine loop lag, {message} / read"
            yield medians.figure(GOAL, name, note=note)
