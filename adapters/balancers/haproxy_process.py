"""One HAProxy process: what it says of itself, and the older ones that a reload left behind."""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from state.errors import ReadFailure, Trouble

PRODUCT = re.compile(r"HAProxy|hapee(-[a-z0-9]+)?")
"""What `show info` calls itself: HAProxy, or HAProxy Enterprise (`hapee-lb`)."""
LONGEST_COUNT = 18
"""Digits of a number of a process or a time."""
LONGEST_INFO = 64 << 10
"""Bytes of an answer to `show info`."""
LOADING = 10.0
"""Seconds for a new process to read its configuration and tell the old one to finish; its age counts from before."""
FINISH = (b"-sf", b"-st")
"""Options that name the processes which a new one takes over from (HAProxy management guide, 3)."""

CONTAINERS = (b"docker", b"libpod", b"kubepods", b"lxc", b"containerd", b"crio")
"""Words in the names of control groups of containers."""
NEAR = 2.0
"""Seconds by which two ages of one process may differ: HAProxy tells whole ones."""
GONE = (b"Z", b"X")
"""States of a process that has ended and was not collected yet."""


def is_count(text: str) -> bool:
    """Whether it is a number as HAProxy writes one: other signs are digits too, as the raised 2."""
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_COUNT


def text_of(answer: bytes) -> str:
    """What is said of an answer that is not understood."""
    return answer[:1200].decode("utf-8", "replace").strip()[:300]


def process_info(answer: bytes) -> dict[str, str]:
    """The lines of `show info`, also of HAProxy Enterprise. Raises ReadFailure when the answer is not HAProxy's."""
    pairs = (line.partition(": ") for line in answer[:LONGEST_INFO].decode("utf-8", "replace").splitlines())
    info = {name: value for name, colon, value in pairs if colon}
    if not PRODUCT.fullmatch(info.get("Name", "")) or not {"Version", "Pid", "Start_time_sec"} <= info.keys():
        raise ReadFailure(Trouble.ERROR, f"not an answer of HAProxy: {text_of(answer)[:80]}")
    if not is_count(info["Start_time_sec"]):
        raise ReadFailure(Trouble.ERROR, "HAProxy does not report when it started")
    if info.get("Stopping", "0") != "0":  # it takes no new connection: what it says of its servers is the past
        raise ReadFailure(Trouble.ERROR, f"HAProxy's process {info['Pid'][:LONGEST_COUNT]} is stopping")
    return info


def alive(info: dict[str, str]) -> float:
    """Seconds that the process runs; endless where it does not say."""
    text = info.get("Uptime_sec", "")
    return float(text) if is_count(text) else math.inf


def parent_of(pid: int) -> int:
    """The process that started another one of this machine; 0 when that is not known."""
    try:
        return int(Path("/proc", str(pid), "stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def old_workers(pid: int) -> int | None:
    """Processes on this machine that a reload left behind, which serve until their last connection ends: the other
    workers of the same master, or without one those that the process was started to take over from, and those from
    before them: of a chain of reloads each names the last one only. None where that is not known."""
    master = parent_of(pid)
    try:
        name = _name(pid)
        if master and _name(master) == name:
            children = Path("/proc", str(master), "task", str(master), "children").read_bytes().split()
            others = [int(each) for each in children if int(each) != pid]
        else:
            others = list({*_taken_over(pid), *_before(pid, _began(pid))})
        return sum(_serves(each, name) for each in others)
    except (OSError, ValueError):
        return None


def _name(pid: int) -> bytes:
    return Path("/proc", str(pid), "comm").read_bytes()


def _taken_over(pid: int) -> list[int]:
    """The processes that stand behind `-sf` or `-st` of its command."""
    found: list[int] = []
    taking = False
    for word in Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0"):
        taking = word in FINISH or (taking and word.isdigit())
        found += [int(word)] if taking and word.isdigit() else []
    return found


@lru_cache(maxsize=64)
def _before(pid: int, began: int) -> tuple[int, ...]:
    """Older processes of this machine that were started as this one was: nothing else names those that the one before
    took over from. Looked for once: none of them is younger."""
    name, words, place = _name(pid), _words(pid), _group(pid)
    found: list[int] = []
    for each in os.listdir("/proc"):
        if not each.isdecimal() or int(each) == pid:
            continue
        with suppress(OSError, ValueError):
            other = int(each)
            alike = _name(other) == name and _words(other) == words and _began(other) <= began
            if alike and parent_of(pid) != other and not _apart(place, _group(other)):
                found.append(other)
    return tuple(found)


def _words(pid: int) -> tuple[bytes, ...]:
    """How it was started, but for what is another one at each reload."""
    found: list[bytes] = []
    skipped = b""
    for word in Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0"):
        if word in (*FINISH, b"-x"):
            skipped = word
        elif skipped in FINISH and word.isdigit():
            continue
        elif skipped == b"-x":
            skipped = b""
        else:
            skipped = b""
            found.append(word)
    return tuple(found)


def _began(pid: int) -> int:
    """When it was started, in ticks since the machine was."""
    return int(Path("/proc", str(pid), "stat").read_bytes().rpartition(b")")[2].split()[19])


def _group(pid: int) -> bytes:
    return Path("/proc", str(pid), "cgroup").read_bytes()


def _apart(one: bytes, other: bytes) -> bool:
    """Whether at least one of two processes is in a container of its own."""
    return one != other and any(kind in group for kind in CONTAINERS for group in (one, other))


def runs_here(pid: int, listener: int, age: float) -> bool:
    """Whether a process that says to have this number and to run for so many seconds is one of this machine, where the
    one that began to listen for it is gone: HAProxy started with `-D` does that before it goes to the background."""
    try:
        if not listener or Path("/proc", str(listener)).exists() or _name(pid).strip() != b"haproxy":
            return False
        runs = float(Path("/proc/uptime").read_bytes().split()[0]) - _began(pid) / os.sysconf("SC_CLK_TCK")
        return age - LOADING - NEAR <= runs <= age + NEAR
    except (OSError, ValueError, IndexError):
        return False


def _serves(pid: int, name: bytes) -> bool:
    """Whether a process is there and is HAProxy still: numbers are used again."""
    try:
        state = Path("/proc", str(pid), "stat").read_bytes().rpartition(b")")[2].split()[0]
        return _name(pid) == name and state not in GONE
    except FileNotFoundError:
        return False
