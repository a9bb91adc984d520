"""The keeper: the supervisor's small parent process. It ends last and removes everything the lab has left.

It is a child subreaper (prctl(2)): orphans of the supervisor and of Patroni become its children. When the
supervisor ends, for whatever reason, SIGKILL included, the keeper ends every process below it and removes the files.
It imports only what that needs. When the keeper itself is killed, the supervisor gets a signal (PR_SET_PDEATHSIG) and
does the same.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from adapters.lab.process.processes import command_of, descendants, postgres_family, send, shared_segment

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE = 3.0  # seconds PostgreSQL has to end by itself and free its shared memory
WRITTEN = ("LAB.json", "estate.yaml", "LAB.json.new", "estate.yaml.new")


def _prctl(option: int, argument: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def keep(supervise: Callable[[], int], directory: Path, root: Path) -> int:
    """Fork, run `supervise` in the child, and clean up after it. Returns its exit code (128 + n for a signal)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != keeper:
            os._exit(1)
        os.setsid()
        code = supervise()
        if os.getppid() != keeper:  # the keeper was killed: this process does its work
            end_all(root)
            remove_files(directory, root)
        os._exit(code)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: send([child], signal.SIGTERM))
    code = _wait_for(child)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_all(root)
    remove_files(directory, root)
    return code


def _wait_for(child: int) -> int:
    """Reap until the supervisor ends; orphans of the lab are reaped on the way."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _reap() -> None:
    """Collect the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            continue
    except ChildProcessError:
        return


def _left(root: Path) -> list[int]:
    """What still runs: everything below this process, and servers that lost their Patroni."""
    _reap()
    families = [pid for data in root.glob("*/data") for pid in postgres_family(data)]
    return [*dict.fromkeys([*families, *descendants(os.getpid())])]


def end_all(root: Path) -> None:
    """End every process of the lab: PostgreSQL by immediate shutdown, everything else by SIGKILL."""
    ending = time.monotonic() + GRACE
    while (left := _left(root)) and time.monotonic() < ending:
        servers = [pid for pid in left if command_of(pid) == "postgres"]
        send([pid for pid in left if pid not in servers], signal.SIGKILL)
        send(servers, signal.SIGCONT)
        send(servers, signal.SIGQUIT)
        time.sleep(0.02)
    while left := _left(root):
        send(left, signal.SIGKILL)
        time.sleep(0.02)
    for data in root.glob("*/data"):
        segment = shared_segment(data)
        if segment is not None:  # left by a killed server: nothing else removes it
            subprocess.run(["ipcrm", "-m", str(segment)], check=False, capture_output=True, timeout=5)


def remove_files(directory: Path, root: Path) -> None:
    """Remove the temporary directory, and what the supervisor wrote for others to find."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(directory / "secrets", ignore_errors=True)
    for name in WRITTEN:
        (directory / name).unlink(missing_ok=True)
