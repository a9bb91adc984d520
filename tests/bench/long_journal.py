"""A start on the journal of a year: beside a start on an empty one, in seconds and in memory."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from adapters.journals.layout import make
from adapters.journals.sqlite import SqliteJournal
from tests.bench.figures import Figure, Pairs, Target
from tests.bench.setting import PYTHON, ROOT, Setting
from tests.support.small_estate import small
from tests.support.year import Year

GOAL = "long-journal"
BATCH = 20_000
MEGABYTE = 1024  # of what `ru_maxrss` tells


def written(path: Path, count: int) -> int:
    """A journal of so many entries, all runs ended; how many entries it has."""
    year = Year()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        make(db)
        while year.seq < count:
            entries = [*year.entries(min(BATCH, count - year.seq))]
            if year.seq >= count:
                entries += year.finish()
            db.execute("BEGIN")
            rows = [(e.seq, e.header, e.hash, e.salt, e.payload) for e in entries]
            db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
            db.execute("COMMIT")
    return year.seq


async def start(path: Path) -> dict[str, float]:
    """Open the journal and start an engine on it: seconds until it serves, and until every entry is verified."""
    began = time.perf_counter()
    store = SqliteJournal(path)
    opened = time.perf_counter() - began
    async with small(store=store) as lab:
        serves, busy = time.perf_counter() - began, time.process_time()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
        assert not lab.engine.journal.unavailable, lab.engine.journal.unavailable
        while not lab.engine.view("header").journal_verified_seq:
            await asyncio.sleep(0.02)
        verified = time.perf_counter() - began
        asked = time.perf_counter()
        await lab.engine.run_view("R-1") if lab.engine.history.let_go("R-1") else None
        found = time.perf_counter() - asked
        lag = lab.engine.lag
    whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    return {
        "opened": opened,
        "serves": serves,
        "busy": busy,
        "verified": verified,
        "run": found,
        "memory": memory,
        "whole": whole,
        "lag": lag,
    }


def started(path: Path) -> dict[str, float]:
    """The same in a process of its own."""
    done = subprocess.run(
        [PYTHON, "-m", "tests.bench.long_journal", str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    folder = setting.folder("long-journal")
    long, empty = folder / "long" / "journal.db", folder / "empty" / "journal.db"
    for path in (long, empty):
        path.parent.mkdir()
    count = written(long, setting.pick(1_000_000, 100_000))
    first = started(long)
    of = f"{count} entries, {long.stat().st_size // 1_000_000} MB"
    yield Figure(GOAL, "first start, without a checkpoint", first["serves"], "s", n=1, note=of)
    yield Figure(GOAL, "memory of it", first["memory"], "MB", n=1)
    seconds, memory = Pairs(), Pairs()
    later: list[dict[str, float]] = []
    for _ in range(setting.pick(5, 3)):
        later.append(started(long))
        shutil.rmtree(empty.parent)
        empty.parent.mkdir()
        other = started(empty)
        seconds.add(later[-1]["serves"], other["serves"])
        memory.add(later[-1]["memory"], other["memory"])
    worst = {name: max(each[name] for each in later) for name in later[0]}
    yield seconds.figure(GOAL, "start / start on an empty journal", of="s", note=of)
    yield memory.figure(GOAL, "memory at the start / on an empty journal", Target(3), of="MB")
    yield Figure(GOAL, "start", worst["serves"], "s", Target(5), len(later))
    yield Figure(GOAL, "processor time of it, with the imports", worst["busy"], "s", n=len(later))
    yield Figure(GOAL, "memory", worst["whole"], "MB", Target(300), len(later))
    yield Figure(GOAL, "every entry verified, beside everything else", worst["verified"], "s", n=len(later))
    yield Figure(GOAL, "a run that is not in memory, read", worst["run"], "s", n=len(later))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(start(Path(sys.argv[1])))))
