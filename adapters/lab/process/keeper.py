"""The keeper: the supervisor's small parent process. It ends last and removes everything the lab has left.

It is a child subreaper (prctl(2)): orphans of the supervisor and of Patroni become its children. When the
supervisor ends, for whatever reason, SIGKILL included, the keeper ends every process below it and removes the files.
It imports only what that needs. When the keeper itself is killed, the supervisor gets a signal (PR_SET_PDEATHSIG) and
does the same.

With a bond (`adapters.bond`) it also ends the supervisor when the process that started the lab is gone. Then nobody is
there to stop the engine that was started for this lab, nor to remove its files: the keeper waits for its end, and
removes everything that is the lab's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from adapters.bond import starter_gone
from adapters.lab.process.directory import LOCK, LOG, PROGRESS
from adapters.lab.process.processes import command_of, descendants, postgres_family, send, shared_segment
from state.host.processes import end_holder, is_held

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE = 3.0  # seconds PostgreSQL has to end by itself and free its shared memory
ENDING = 5.0  # seconds the supervisor has to end by itself when its starter is gone
ENGINE_LOCK = Path("state", "engine.lock")
"""In a lab's directory: locked by the engine that was started for it, whose process it names."""
ENGINE_ENDING = 20.0  # seconds that engine has to end by itself
WRITTEN = ("LAB.json", "estate.yaml", "LAB.json.new", "estate.yaml.new")


def _prctl(option: int, argument: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Watch:
    """Waits in a thread for the end of the bond, and then ends the supervisor."""

    def __init__(self, bond: int, child: int) -> None:
        self.gone = False
        self._over = threading.Event()
        threading.Thread(target=self._watch, args=(bond, child), daemon=True).start()

    def _watch(self, bond: int, child: int) -> None:
        if not starter_gone(bond):
            return
        self.gone = True
        send([child], signal.SIGCONT)
        send([child], signal.SIGTERM)
        if not self._over.wait(ENDING):
            send([child], signal.SIGKILL)

    def stop(self) -> None:
        """The supervisor has ended; its number may be another process's from now on."""
        self._over.set()


def keep(supervise: Callable[[], int], directory: Path, root: Path, bond: int | None = None) -> int:
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
    watch = Watch(bond, child) if bond is not None else None
    code = _wait_for(child)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if watch is not None:
        watch.stop()
    end_all(root)
    remove_files(directory, root)
    if watch is not None and watch.gone:
        end_engine(directory)
        forget(directory)
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
    for name in ("secrets", "keys"):
        shutil.rmtree(directory / name, ignore_errors=True)
    for name in WRITTEN:
        (directory / name).unlink(missing_ok=True)


def end_engine(directory: Path) -> None:
    """Wait until the engine of this lab has ended, which has a bond of its own; SIGKILL it when it does not."""
    ending = time.monotonic() + ENGINE_ENDING
    while is_held(directory / ENGINE_LOCK):
        if time.monotonic() > ending and end_holder(directory / ENGINE_LOCK, signal.SIGKILL, GRACE) is None:
            return  # another process than the one that was recorded: it is not ours to end
        time.sleep(0.05)


def forget(directory: Path) -> None:
    """Remove what a lab and its engine have written into its directory, the lock last, and the directory if empty."""
    for name in ("run", "state"):
        shutil.rmtree(directory / name, ignore_errors=True)
    for name in (LOG, PROGRESS, LOCK):
        (directory / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()
