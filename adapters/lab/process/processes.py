"""Processes as the kernel shows them in /proc: descendants, state, memory, and the postmaster of a data directory."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from state.host.processes import HeldProcess


def _stat(pid: int) -> tuple[str, str, int] | None:
    """(command, state letter, parent) of a process, or None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    command, _, rest = text.partition("(")[2].rpartition(")")
    state, parent = rest.split()[:2]
    return command, state, int(parent)


def command_of(pid: int) -> str:
    """The short command name, empty when the process is gone."""
    stat = _stat(pid)
    return stat[0] if stat else ""


def state_of(pid: int) -> str:
    """`running`, `stopped` (SIGSTOP), `zombie` or `gone`."""
    stat = _stat(pid)
    if stat is None or stat[1] == "X":
        return "gone"
    return {"T": "stopped", "t": "stopped", "Z": "zombie"}.get(stat[1], "running")


def descendants(root: int) -> list[int]:
    """Every process below `root`, nearest first, `root` not included."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(int(entry))) is not None:
            children.setdefault(stat[2], []).append(int(entry))
    found: list[int] = []
    front = [root]
    while front:
        front = [child for parent in front for child in children.get(parent, [])]
        found += front
    return found


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal each of the lab's processes, as they were just listed; those already gone are skipped."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError), HeldProcess(pid) as process:
            process.send(number)


def postmaster_of(data: Path) -> int | None:
    """The pid in `postmaster.pid` when that process lives and is the PostgreSQL server of these data, else None.

    The file may be old: a server works in its data directory, and no other process does.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError):
        if command_of(pid) == "postgres" and os.path.samefile(f"/proc/{pid}/cwd", data):
            return pid if state_of(pid) != "zombie" else None
    return None


def postgres_family(data: Path) -> list[int]:
    """The postmaster of a data directory and all its children; empty when it does not run."""
    pid = postmaster_of(data)
    return [] if pid is None else [pid, *descendants(pid)]


def shared_segment(data: Path) -> int | None:
    """The System V segment recorded in `postmaster.pid` (line 7, second number); None when there is none."""
    try:
        line = (data / "postmaster.pid").read_text().split("\n")[6].split()
        return int(line[1])
    except (OSError, ValueError, IndexError):
        return None


def memory_mb(root: int) -> float:
    """Proportional set size (MB) of a process and all below it."""
    total = 0
    for pid in [root, *descendants(root)]:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return round(total * 1024 / 1e6, 1)
