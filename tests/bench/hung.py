"""Goal 2: targets that accept and never answer change nothing for the person and for the other targets."""

from __future__ import annotations

import contextlib
import statistics
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figures import Figure, Pairs, Target, quantile
from tests.bench.servers import postgres, role
from tests.bench.setting import Setting
from tests.bench.site import Engine, Site, database, pair_of, shop_on, small_site, write
from tests.bench.start import FRAME
from tests.support.ports import free_port

GOAL = "2"
NODES = 10


@contextlib.contextmanager
def hung_site(folder: Path) -> Iterator[Site]:
    """The small site with a black hole behind every address."""
    hole, socket = free_port(), folder / "hole.sock"
    with role("hole", hole, socket):
        databases = {"orders": database({"a": hole, "b": hole}, hole, "orders")}
        prometheus = {"prom": {"kind": "prometheus", "url": f"http://127.0.0.1:{hole}"}}
        yield write(folder, "hung", databases, [socket], prometheus, shop_on("edge-0"))


def frame_and_quit(site: Site) -> tuple[float, float | None]:
    """Milliseconds to the first frame, and from `q` until the process is gone."""
    with site.console() as console:
        frame = console.wait(FRAME)
        console.drain(0.7)
        return frame, console.quit_ms("q")


def frames(setting: Setting, folder: Path) -> Iterator[Figure]:
    pairs, quits = Pairs(), Pairs()
    with small_site(folder) as (healthy, _), hung_site(folder) as hung, healthy.engine(), hung.engine():
        frame_and_quit(healthy), frame_and_quit(hung)
        for _ in range(setting.pick(15, 5)):
            (stuck, stuck_quit), (well, well_quit) = frame_and_quit(hung), frame_and_quit(healthy)
            assert stuck_quit is not None, "`q` did not end a console with hung targets within 5 s"
            assert well_quit is not None, "`q` did not end a console within 5 s"
            pairs.add(stuck, well)
            quits.add(stuck_quit, well_quit)
    yield pairs.figure(GOAL, "first frame, every target hung / healthy", Target(1.1))
    yield quits.figure(GOAL, "`q` to process gone, hung / healthy")
    n = len(quits.a)
    yield Figure(GOAL, "`q` to process gone, every target hung", statistics.median(quits.a), "ms", Target(100), n)


def ages(engine: Engine) -> dict[str, float]:
    """Ages in seconds of the PostgreSQL sources, as the engine's own metrics tell them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{engine.metrics}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith('recovery_source_age_seconds{source="postgres:')]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in found}


def cluster_site(folder: Path, name: str, ports: list[int], farm: int) -> Site:
    """Ten nodes, two to a cluster."""
    names = ["orders", *(f"db{i}" for i in range(1, NODES // 2))]
    nodes = [{"a": ports[2 * i], "b": ports[2 * i + 1]} for i in range(NODES // 2)]
    databases = {scope: database(each, farm, scope) for scope, each in zip(names, nodes, strict=True)}
    return write(folder, name, databases, [], {}, {"depends_on": ["orders"]})


def one_of_ten(setting: Setting, folder: Path) -> Iterator[Figure]:
    """The ages of the nine others, with one hung and without."""
    farm, hole, pairs, tails = free_port(), free_port(), Pairs(), Pairs()
    with role("farm", farm, 1), role("hole", hole, folder / "h.sock"), postgres() as pair:
        ports = list(pair_of(pair).values()) * (NODES // 2)
        well = cluster_site(folder, "well", ports, farm)
        stuck = cluster_site(folder, "stuck", [*ports[:-1], hole], farm)
        with well.engine() as healthy, stuck.engine() as hung:
            time.sleep(3)
            for _ in range(setting.pick(9, 5)):
                seen: tuple[list[float], list[float]] = ([], [])
                for _ in range(setting.pick(40, 10)):
                    for engine, into in zip((hung, healthy), seen, strict=True):
                        told = ages(engine)
                        assert len(told) >= NODES - 1, told
                        into.extend(age for key, age in told.items() if key != f"postgres:db{NODES // 2 - 1}/b")
                    time.sleep(0.0937)
                pairs.add(statistics.median(seen[0]), statistics.median(seen[1]))
                tails.add(quantile(seen[0], 0.95), quantile(seen[1], 0.95))
    note = "both engines ran at once, read in turn; two real servers stand for the ten"
    yield pairs.figure(GOAL, "median age of nine nodes, one of ten hung / none", Target(1.1), of="s", note=note)
    yield tails.figure(GOAL, "p95 age of nine nodes, one of ten hung / none", of="s")


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    yield from frames(setting, setting.folder("hung"))
    yield from one_of_ten(setting, setting.folder("ten"))
