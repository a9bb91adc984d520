"""Stands between this program and another one: `python -I -S warden.py STARTER SECONDS MEMORY -- PROGRAM ARGUMENT…`.

Whatever the other program starts, however it leaves its group, its session or its environment, becomes a child of this
process when its parents are gone (PR_SET_CHILD_SUBREAPER), and is killed when the program has ended, at the limit in
seconds, and when this process is asked to end. Standard library only: it is run by its path, isolated.

Exit code: the program's own; 128 and the signal that ended it; LATE at the limit, NOT_STARTED where it is no program.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from typing import NoReturn

LATE, NOT_STARTED = 124, 127
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SWEEP = 2.0
"""Seconds in which everything is killed again and again, until nothing is left."""
ADDRESSES = 16 << 30
"""Bytes of addresses that a program may take, used or not: some reserve many."""


class _Over(Exception):
    """The limit, or the request to end."""


def _over(_number: int, _frame: object) -> NoReturn:
    raise _Over


def children() -> list[int]:
    """Every living process below this one."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
            except OSError:
                continue
            if state not in (b"Z", b"X"):
                parents[int(name)] = int(parent)
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return sorted(found - {os.getpid()})


def sweep() -> bool:
    """Kill everything below this process; whether nothing is left."""
    until = time.monotonic() + SWEEP
    while time.monotonic() < until:
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:  # gone, or of another account
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(0.005)
    return False


def _become(program: str, argv: list[str], memory: int) -> NoReturn:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for limit, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_AS, ADDRESSES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(program, argv)  # noqa: S606 no shell is wanted
    except OSError:
        os._exit(NOT_STARTED)


def _ended(pid: int) -> int:
    while True:
        done, status = os.waitpid(-1, 0)
        if done == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Run the program and take everything with it."""
    starter, seconds, memory, _, program, *argv = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1) or libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM):
        return NOT_STARTED
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _over)
    if os.getppid() != int(starter):
        return LATE
    signal.setitimer(signal.ITIMER_REAL, float(seconds))
    try:
        pid = os.fork()
        if pid == 0:
            _become(program, argv, int(memory))
        code = _ended(pid)
    except _Over:
        code = LATE
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    sweep()
    return code


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
