"""Goal 5: from a key to the screen's answer, under the load of goal 4, at random phases of the refresh."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

from tests.bench.big_site import big_site
from tests.bench.dolphie import READY, TOGGLE, dolphie, why
from tests.bench.figures import Figure, Pairs, Target, missing, quantile
from tests.bench.pty_driver import Driven, taken
from tests.bench.servers import haproxy
from tests.bench.setting import Setting
from tests.bench.start import LIVE
from tests.bench.steady import table

GOAL = "5"
DOWN, UP = "\x1b[B", "\x1b[A"
QUIET = 0.12
"""Seconds of draining before a key, plus a random part of the refresh: what was on its way has come."""


def latencies(driven: Driven, keys: tuple[str, ...], count: int, *beside: Driven) -> list[float]:
    """Milliseconds of each key until the program writes; the keys are taken in turn. Others are read meanwhile."""
    found = []
    for number in range(count):
        for _ in taken([driven, *beside], QUIET + random.random() * 0.25):
            pass
        found.append(driven.key_ms(keys[number % len(keys)]))
    return found


def compared(
    ours: Driven, theirs: Driven, keys: tuple[tuple[str, ...], tuple[str, ...]], n: int, count: int
) -> tuple[Pairs, Pairs]:
    """p50 and p95, round by round in turn."""
    p50, p95 = Pairs(), Pairs()
    for _ in range(n):
        a = latencies(ours, keys[0], count, theirs)
        b = latencies(theirs, keys[1], count, ours)
        p50.add(quantile(a, 0.5), quantile(b, 0.5))
        p95.add(quantile(a, 0.95), quantile(b, 0.95))
    return p50, p95


def console_keys(setting: Setting, folder: Path) -> Iterator[Figure]:
    """The cursor among the servers of one backend of the big site."""
    n, count = setting.pick(9, 5), setting.pick(40, 15)
    hatop = setting.peers.program("hatop")
    small = folder / "h"
    small.mkdir(mode=0o755)
    with contextlib.ExitStack() as stack:
        site, _, _ = stack.enter_context(big_site(folder))
        plain = stack.enter_context(haproxy(small, 1, 100))
        stack.enter_context(site.engine())
        with site.console() as console:
            console.wait(LIVE)
            console.press("4")
            console.wait(r"srv050")
            console.press("\t")
            console.drain(1.0)
            note = f"{n * count} keys, cursor among 100 servers, while 3,000 are watched"
            if hatop is None:
                found = [each for _ in range(n) for each in latencies(console, (DOWN, UP), count)]
                yield Figure(GOAL, "key to repaint p50", quantile(found, 0.5), "ms", n=len(found), note=note)
                yield missing(GOAL, "key to repaint p50 / hatop", setting.peers.why("hatop"), Target(1.3))
            else:
                with Driven([hatop, "-s", str(plain.runtime), "-i", "1"]) as peer:
                    peer.wait("srv00")
                    p50, p95 = compared(console, peer, ((DOWN, UP), ("3", "1")), n, count)
                yield p50.figure(GOAL, "key to repaint p50 / hatop on 100 servers", Target(1.3), note=note)
                yield p95.figure(GOAL, "key to repaint p95 / hatop on 100 servers")
            yield from beside_dolphie(setting, console, n, count)


def beside_dolphie(setting: Setting, console: Driven, n: int, count: int) -> Iterator[Figure]:
    """The same cursor, and dolphie's list hidden and shown while 30 sessions are watched."""
    with dolphie(setting, "key-peer") as watching:
        if watching is None:
            yield missing(GOAL, "key to repaint p95 / dolphie", why(setting), Target(0.25))
            return
        with watching.shown() as peer:
            peer.wait(READY)
            peer.drain(2, model=False)
            p50, p95 = compared(console, peer, ((DOWN, UP), (TOGGLE, TOGGLE)), n, count)
    note = f"{n * count} keys; dolphie has no cursor: its list of 30 sessions is hidden and shown"
    yield p50.figure(GOAL, "key to repaint p50 / dolphie", note=note)
    yield p95.figure(GOAL, "key to repaint p95 / dolphie", Target(0.25))


def table_keys(setting: Setting, folder: Path) -> Iterator[Figure]:
    n, count = setting.pick(9, 5), setting.pick(40, 12)
    with table(folder, "line", 5000) as many, table(folder, "line", 100) as few:
        _, p95 = compared(many.shown, few.shown, ((DOWN, UP), (DOWN, UP)), n, count)
        ticks = many.ticks()
    yield p95.figure(GOAL, "key to repaint p95, 5,000 rows / 100 rows", Target(2))
    yield Figure(GOAL, "longest change of 5,000 rows", max(ticks), "ms", Target(16), len(ticks))


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    yield from console_keys(setting, setting.folder("keys"))
    yield from table_keys(setting, setting.folder("key-tables"))
