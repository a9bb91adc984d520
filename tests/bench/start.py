"""Goal 1: from the command to a frame, and to live data of two PostgreSQL servers and one HAProxy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from tests.bench.dolphie import dolphie, why
from tests.bench.figures import Figure, Pairs, Target, missing
from tests.bench.pty_driver import Driven
from tests.bench.setting import PYTHON, ROOT, Setting
from tests.bench.site import Site, engine_gone, small_site
from tests.contract.components import PASSWORD, Pair

GOAL = "1"
FRAME = r"1 Overview"
LIVE = r"(?s)risk [\d.]+ .*srv000 v41"
"""On the overview: the data at risk comes from both PostgreSQL servers, the release from HAProxy."""


def product(site: Site) -> tuple[float, float]:
    """Milliseconds to the first frame and to live data, of a console that attaches to a running engine."""
    with site.console() as console:
        return console.wait(FRAME), console.wait(LIVE)


def product_alone(site: Site) -> float:
    """Milliseconds to live data when the console has to start the engine first."""
    with site.console() as console:
        taken = console.wait(LIVE)
    engine_gone(site)
    return taken


def hello() -> float:
    with Driven([PYTHON, "-m", "tests.bench.hello"], {**os.environ, "PYTHONPATH": str(ROOT)}) as shown:
        return shown.wait("HELLO-READY")


def pg_activity(program: str, pair: Pair) -> float:
    argv = [program, "-h", "127.0.0.1", "-p", str(pair.primary), "-U", "recovery", "-d", "postgres"]
    with Driven(argv, {**os.environ, "PGPASSWORD": PASSWORD}) as shown:
        return shown.wait("RUNNING QUERIES")


def against(setting: Setting, site: Site, other: Callable[[], float]) -> tuple[Pairs, Pairs]:
    """First frame and live data beside another program's start, in turn."""
    frames, live = Pairs(), Pairs()
    product(site), other()
    for _ in range(setting.pick(15, 5)):
        frame, data = product(site)
        yardstick = other()
        frames.add(frame, yardstick)
        live.add(data, yardstick)
    return frames, live


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    with small_site(setting.folder("start")) as (site, pair):
        with site.engine():
            with site.console() as console:
                console.wait(LIVE)
            frames, live = against(setting, site, hello)
            yield live.figure(GOAL, "console to live data / hello Textual", Target(1.5))
            yield frames.figure(GOAL, "console to first frame / hello Textual", Target(1.15))
            peer = setting.peers.program("pg_activity")
            if peer is None:
                message = setting.peers.why("pg_activity")
                yield missing(GOAL, "console to live data / pg_activity", message, Target(1.1))
            else:
                _, live = against(setting, site, lambda: pg_activity(peer, pair))
                yield live.figure(GOAL, "console to live data / pg_activity", Target(1.1))
            with dolphie(setting, "start-peer") as watching:
                if watching is None:
                    yield missing(GOAL, "console to live data / dolphie", why(setting), Target(0.2))
                else:
                    _, live = against(setting, site, watching.start_ms)
                    yield live.figure(GOAL, "console to live data / dolphie", Target(0.2))
        alone = Pairs()
        for _ in range(setting.pick(9, 5)):
            alone.add(product_alone(site), hello())
        yield alone.figure(GOAL, "engine and console from nothing to live data / hello Textual")
