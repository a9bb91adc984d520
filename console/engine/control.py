"""Finding, starting and stopping an estate's engine. Standard library only until a request is made.

A started engine has its own session: it survives the console, the terminal and a hang-up. It reports its start
through a pipe, so a person sees its errors where the start was requested.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from console.client.peer import connect_engine, peer_of
from console.places import EnginePlace, lock_holder, no_engine, other_file, read_index
from state.errors import ExitCode, NotFound, RecoveryError, Refused
from state.host.processes import HeldProcess, end_holder
from state.text import clean

START_DEADLINE = 60.0
PROBE = 1.0
STOP_DEADLINE = 30.0
_STARTED: list[subprocess.Popen[bytes]] = []
"""Engines that this process started. They keep running after it, so nothing here waits for them."""


class EngineNotStarted(RecoveryError):
    """The engine ended while it started; its own message, title and exit code."""

    title = "Engine not started"
    kind = "engine-not-started"
    multiline = True

    def __init__(self, message: str, title: str = title, exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.title = title
        self.exit_code = exit_code


class EngineStatus(NamedTuple):
    """Whether an engine answers on its socket, its process, and a message."""

    running: bool
    pid: int | None
    message: str


def status(place: EnginePlace) -> EngineStatus:
    """Look at the sockets, not at the process table: only a listener counts as running."""
    index = read_index(place) or {}
    pid = index.get("pid") if isinstance(index.get("pid"), int) else None
    if listens(place):
        return EngineStatus(True, pid, f"running since {index.get('started', 'an unknown time')}")
    if (holder := lock_holder(place)) is not None:
        return EngineStatus(False, holder, no_engine(place))
    if index:
        return EngineStatus(False, None, f"not running; process {pid} ended without cleaning up")
    return EngineStatus(False, None, f"not running: {no_engine(place)}")


def listens(place: EnginePlace) -> bool:
    """Whether an engine accepts connections on one of the sockets. Raises Refused for one of a foreign account, and for
    one of another estate file."""
    if (connected := _connected(place)) is None:
        return False
    connected.close()
    return True


def require_same_file(place: EnginePlace) -> None:
    """Raise Refused when the engine that listens here is of another estate file with the same name."""
    if other_file(place) is not None:
        listens(place)


def _connected(place: EnginePlace) -> socket.socket | None:
    """A connection to the place's engine; None when nobody listens. Raises Refused."""
    for path in (place.engine, place.observe):
        try:
            connected = connect_engine(path, PROBE)
        except OSError:
            continue
        if (other := other_file(place)) is None:
            return connected
        with connected:
            pid = peer_of(connected).pid
        raise Refused(
            "same estate file",
            f"the engine in {place.runtime}, process {pid}, is that of {clean(str(other))}, not of"
            f" {clean(str(place.file))}: both say `estate: {place.estate}`",
            f"To use that engine, name it: --estate {place.estate}; to have one of this file, give it another name",
        )
    return None


def start(
    place: EnginePlace, *, tell: Callable[[str], None], more: tuple[str, ...] = (), bond: int | None = None
) -> int:
    """Start an engine in its own session and wait until it serves; returns its process id.

    `tell` is called with each step of the start; `more` are further flags of the engine process. With the reading end
    of a bond (`adapters.bond`) the engine ends when this process is gone. Raises EngineNotStarted with the engine's own
    error, Refused when one runs already, NotFound without an estate file.
    """
    if place.file is None:
        raise NotFound(f"the estate file of {place.estate} is not known here: give --estate FILE")
    reading, writing = os.pipe()
    argv = [sys.executable, "-P", "-m", "console.engine.process", "--estate", str(place.file)]
    passed: tuple[int, ...] = (writing,)
    if bond is not None:
        more, passed = (*more, "--bond", str(bond)), (writing, bond)
    try:
        child = subprocess.Popen(
            [*argv, "--report", str(writing), "--detached", *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=passed,
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(writing)
    _STARTED.append(child)
    try:
        return _await_start(child, reading, tell)
    finally:
        os.close(reading)


def _await_start(child: subprocess.Popen[bytes], reading: int, tell: Callable[[str], None]) -> int:
    end = time.monotonic() + START_DEADLINE
    rest = b""
    while (left := end - time.monotonic()) > 0:
        if not select.select([reading], [], [], left)[0]:
            break
        chunk = os.read(reading, 4096)
        if not chunk:
            child.wait(timeout=5)
            raise EngineNotStarted(f"the engine ended with code {child.returncode} before it was ready")
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if _started(json.loads(line), child, tell):
                return child.pid
    raise EngineNotStarted(f"the engine (process {child.pid}) is not ready after {START_DEADLINE:.0f} s")


def _started(report: dict[str, Any], child: subprocess.Popen[bytes], tell: Callable[[str], None]) -> bool:
    """Whether the report says that the engine is ready. Raises the error that it reports."""
    if "error" in report:
        child.wait(timeout=10)
        error = report["error"]
        if error["rule"]:
            raise Refused(error["rule"], error["fact"], error["way_out"], error["who"])
        raise EngineNotStarted(error["message"], error["title"], ExitCode(error["exit_code"]))
    if report.get("doing"):
        tell(str(report["doing"]))
    return bool(report.get("ready"))


def ensure(place: EnginePlace, *, tell: Callable[[str], None], bond: int | None = None) -> bool:
    """Start an engine unless one answers; returns whether one was started."""
    if listens(place):
        return False
    start(place, tell=tell, bond=bond)
    return True


def stop(place: EnginePlace, *, tell: Callable[[str], None]) -> None:
    """Ask the engine to end once every open run has reached a safe point; wait until its process has ended.

    One that has lost its sockets is asked by signal, which only its own account may send. Raises EngineUnreachable when
    there is none, Refused as the engine decides, EngineNotStopped after the deadline.
    """
    import asyncio

    from console.client.engine_client import EngineClient
    from console.client.engine_errors import EngineUnreachable

    process = _listener(place)
    if process is None:
        holder = lock_holder(place)
        if holder is None:
            raise EngineUnreachable(no_engine(place))
        tell(f"engine {holder} has no sockets; it is asked to end by signal")
        terminate(place)
        return
    with process:
        accepted = asyncio.run(EngineClient(str(place.engine)).shut_down())
        tell(accepted.message)
        if not process.ends_within(STOP_DEADLINE):
            raise EngineNotStopped(
                f"the engine accepted to stop, but process {process.pid} still runs after {STOP_DEADLINE:.0f} s"
            )


def _listener(place: EnginePlace) -> HeldProcess | None:
    """The process that listens on one of the sockets, as the kernel names it; None when nobody listens."""
    if (probe := _connected(place)) is None:
        return None
    with probe:
        try:
            return HeldProcess(peer_of(probe).pid)
        except OSError:
            return None


def terminate(place: EnginePlace) -> None:
    """End an engine by signal, but only the process that has the estate's lock and proves to be what it wrote there.

    Raises EngineNotStopped.
    """
    ended = end_holder(place.lock, signal.SIGTERM, STOP_DEADLINE)
    if ended:
        return
    holder = lock_holder(place)
    if ended is None:
        raise EngineNotStopped(
            f"{place.lock} names process {holder}, which is not proven to be the engine: it got no signal; find out"
            f" what it is (ps -fp {holder}) and end it by hand"
        )
    raise EngineNotStopped(f"process {holder} got SIGTERM and still runs after {STOP_DEADLINE:.0f} s")


class EngineNotStopped(RecoveryError):
    """The engine was asked to stop and still answers; a run may not have reached a safe point."""

    title = "Engine not stopped"
    kind = "outcome-unknown"
    hint = "Look at its runs; it stops when they have reached a safe point."
    exit_code = ExitCode.OUTCOME_UNKNOWN
