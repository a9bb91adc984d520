"""Goal 3: bytes on the wire at 1 Hz, beside the ideal: what a writer needs that knows both screens and no colours.

The ideal is one byte a changed character and six a run of them, a move of the cursor; equal stretches of up to six
characters are written over rather than skipped. It is told once a second, from the screen model of the same run.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tests.bench.big_site import BACKENDS, SERVERS, big_site
from tests.bench.figures import Figure, Pairs, Target
from tests.bench.pty_driver import COLUMNS, ROWS, Driven, taken
from tests.bench.servers import role
from tests.bench.setting import Setting
from tests.bench.site import small_site
from tests.bench.start import LIVE
from tests.bench.steady import table

GOAL = "3"
MOVE = 6
"""Bytes of one move of the cursor, and the longest equal stretch that is cheaper written over."""
TABLE_ROWS = 1000
FILLS_IN = 90.0
"""Seconds within which the charts of a screen are full."""
PARTS = re.compile(
    rb"(?P<marks>\x1b\[\?2026[hl])|(?P<colours>\x1b\[[0-9;]*m)|(?P<moves>\x1b\[[0-9;]*[A-HJKf])"
    rb"|(?P<other>\x1b\[[0-9;?<>=]*[a-zA-Z])|(?P<text>[^\x1b]+|\x1b)"
)

Cells = list[list[str]]


def cells_of(driven: Driven) -> Cells:
    """The characters the terminal shows, cell by cell."""
    return [[driven.screen.buffer[y][x].data for x in range(COLUMNS)] for y in range(ROWS)]


def ideal(before: Cells, after: Cells) -> int:
    """Bytes of the ideal writer between two screens."""
    total = 0
    for old, new in zip(before, after, strict=True):
        last = None
        for x, pair in enumerate(zip(old, new, strict=True)):
            if pair[0] != pair[1]:
                total += x - last if last is not None and x - last <= MOVE else 1 + MOVE
                last = x
    return total


@dataclass(slots=True)
class Wire:
    """What one program wrote, and what the ideal would have, per second in each window."""

    written: list[float] = field(default_factory=list)
    ideals: list[float] = field(default_factory=list)
    parts: Counter[str] = field(default_factory=Counter)

    def count(self, data: bytes) -> None:
        """What the bytes are for. One cut in two by the reading is counted as text, once in a while."""
        for part in PARTS.finditer(data):
            self.parts[part.lastgroup or "other"] += len(part[0])

    def ratio(self, name: str, bound: float, note: str) -> Figure:
        """Written beside the ideal, and what the bytes were for."""
        whole = sum(self.parts.values())
        shares = ", ".join(f"{part} {100 * count / whole:.0f} %" for part, count in self.parts.most_common())
        pairs = Pairs(self.written, self.ideals)
        return pairs.figure(GOAL, f"{name}: bytes / ideal", Target(bound), of="B/s", note=f"{note}; {shares}")


def quiet_moment(drivens: list[Driven]) -> float:
    """Read until the middle of the longest silence of the first one's second; that instant.

    Looking then, once a second, neither misses nor doubles a repaint that comes a little late.
    """
    phases = []
    for driven, data in taken(drivens, 2.5):
        driven.feed(data)
        if driven is drivens[0]:
            phases.append(time.perf_counter() % 1.0)
    phases = sorted(phases) or [0.0]
    before, after = max(pairwise([*phases, phases[0] + 1.0]), key=lambda gap: gap[1] - gap[0])
    now = time.perf_counter()
    wait = ((before + after) / 2 - now) % 1.0
    for driven, data in taken(drivens, wait):
        driven.feed(data)
    return now + wait


def watched(drivens: list[Driven], seconds: int, n: int) -> list[Wire]:
    """Programs side by side in n windows; their screens are looked at once a second."""
    wires = {driven: Wire() for driven in drivens}
    for _ in range(n):
        started = quiet_moment(drivens)
        screens = {driven: cells_of(driven) for driven in drivens}
        written, needed = dict.fromkeys(drivens, 0), dict.fromkeys(drivens, 0)
        for second in range(1, seconds + 1):
            for driven, data in taken(drivens, started + second - time.perf_counter()):
                driven.feed(data)
                written[driven] += len(data)
                wires[driven].count(data)
            for driven in drivens:
                now = cells_of(driven)
                needed[driven] += ideal(screens[driven], now)
                screens[driven] = now
        for driven, wire in wires.items():
            wire.written.append(written[driven] / seconds)
            wire.ideals.append(max(needed[driven], 1) / seconds)
    return list(wires.values())


def filled(console: Driven) -> None:
    """Wait until the chart is full: before, each second adds a column, which is no calm."""
    end, before = time.monotonic() + FILLS_IN, ""
    while time.monotonic() < end:
        told = re.search(r"\d+ readings", console.text())
        if told is not None and told[0] == before:
            return
        before = told[0] if told else ""
        console.drain(2.5)
    raise RuntimeError(f"the chart is not full after {FILLS_IN:g} s:\n{console.text()}")


def tables(setting: Setting, seconds: int, n: int) -> Iterator[Figure]:
    folder = setting.folder("wire-tables")
    with table(folder, "line", TABLE_ROWS) as line, table(folder, "data", TABLE_ROWS) as data:
        ours, theirs = watched([line.shown, data.shown], seconds, n)
    note = f"{TABLE_ROWS} rows, a tenth of the cells changed a second"
    yield ours.ratio("table under change", 1.5, note)
    pairs = Pairs(ours.written, theirs.written)
    yield pairs.figure(GOAL, "table under change: bytes / DataTable", Target(0.05), of="B/s")


def calm(setting: Setting, console: Driven, seconds: int, n: int) -> Figure:
    """Nothing changes on the overview but clocks and ages."""
    console.wait(LIVE)
    filled(console)
    (wire,) = watched([console], seconds, n)
    return wire.ratio("overview, calm", 2, "2 PostgreSQL and 1 HAProxy; only clocks and ages change")


def changing(setting: Setting, seconds: int, n: int) -> Figure:
    """The traffic screen while every server's weight changes once a second."""
    with big_site(setting.folder("wire")) as (site, _, sockets), site.engine(), site.console() as console:
        console.wait(LIVE)
        console.press("4")
        console.wait("srv000")
        with role("weights", BACKENDS, SERVERS, *sockets):
            console.drain(3)
            (wire,) = watched([console], seconds, n)
    return wire.ratio("whole dashboard under change", 2, "traffic screen, 3,000 servers get another weight a second")


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal. The tables are looked at while the calm site fills its charts."""
    seconds, n = setting.pick(20, 3), 5
    with small_site(setting.folder("calm"), still=True) as (site, _), site.engine():
        yield from tables(setting, seconds, n)
        with site.console() as console:
            yield calm(setting, console, seconds, n)
    yield changing(setting, seconds, n)
