"""What a process takes of its host, as /proc tells it."""

from __future__ import annotations

import re
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import NamedTuple

_TASKS = re.compile(r"^recovery_tasks (\d+)", re.MULTILINE)


class Taken(NamedTuple):
    """Memory in kB, numbers of descriptors, threads and tasks of the event loop, and the journal's size in kB."""

    at: float
    rss: int
    pss: int
    descriptors: int
    threads: int
    tasks: int
    journal: int


HEAD = f"{'minute':>7} {'RSS kB':>8} {'PSS kB':>8} {'descriptors':>11} {'threads':>8} {'tasks':>6} {'journal kB':>11}"


def line(taken: Taken, since: float) -> str:
    """One line of the table under HEAD."""
    return (
        f"{(taken.at - since) / 60:7.1f} {taken.rss:8} {taken.pss:8} {taken.descriptors:11} {taken.threads:8}"
        f" {taken.tasks:6} {taken.journal:11}"
    )


def taken(pid: int, metrics: int = 0, journal: Path | None = None) -> Taken:
    """Figures of a process now; tasks from its own /metrics at that port, 0 without."""
    status = Path(f"/proc/{pid}/status").read_text()
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    files = journal.parent.iterdir() if journal is not None else ()
    return Taken(
        time.monotonic(),
        _number(status, "VmRSS"),
        _number(rollup, "Pss"),
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        _number(status, "Threads"),
        _tasks(metrics) if metrics else 0,
        sum(each.stat().st_size for each in files if each.name.startswith("journal")) // 1024,
    )


def middle(rows: list[Taken]) -> Taken:
    """The median of every figure."""
    return Taken(*(median(column) for column in zip(*rows, strict=True)))


def _number(text: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
    assert found, f"no {name}"
    return int(found[1])


def _tasks(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        found = _TASKS.search(answer.read().decode())
    assert found, "the engine tells no number of tasks"
    return int(found[1])
