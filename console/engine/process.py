"""The engine's process: estate, secrets, adapters, journal, engine and front door, built once and ended in order.

`python -m console.engine.process --estate FILE`. It never imports a screen. It continues when its
terminal closes. SIGHUP reloads. SIGTERM and SIGINT end it once every open run has reached a safe point.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from console.engine.control import listens, require_same_file
from console.engine.host import EngineLock, claim_state, harden, make_private, require_own_files, write_index
from console.engine.log import log_to
from console.engine.memory import keep_what_is_there, return_memory, small_heaps
from console.engine.report import StartReport, notify_systemd, watched_by_systemd
from console.places import EnginePlace, of_file
from state.errors import ConfigError, Problem, RecoveryError, Refused

if TYPE_CHECKING:
    from adapters.api_server import LoopLag
    from state.engine.engine import Engine
    from state.runs.fault_points import Reach

LOOK_EVERY = 0.25  # seconds between two measurements of the loop
LATE = 0.25  # seconds; a loop later than this is written to the log

log = logging.getLogger("recovery.engine")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The options of the command line: extra socket group, metrics port (0 = none), detached from its starter, and
    the bond with which it ends when its starter is gone."""

    group: str = ""
    metrics: int = 0
    detached: bool = False
    bond: int | None = None


async def serve(place: EnginePlace, options: EngineOptions, report: StartReport) -> None:
    """Run the engine until it is asked to end. Raises RecoveryError when it cannot start."""
    from adapters.api_server import ApiServer, EngineMetrics, LoopLag, MetricsServer, Sockets
    from console.engine.door import keep_door
    from console.engine.outages import log_outages

    ending = asyncio.Event()
    handle_signals(ending, detached=options.detached)
    if options.bond is not None:
        end_with_starter(options.bond, ending)
    lag = LoopLag()
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(running_engine(place, report))
        reload_on_hangup(engine)
        write_index(place, engine.estate.environment)  # before the sockets: who connects finds whose they are
        stack.callback(place.index.unlink, missing_ok=True)
        door = ApiServer(engine, Sockets(place.runtime, options.group))
        stack.push_async_callback(door.stop)
        await door.start()
        if options.metrics:
            metrics = MetricsServer(EngineMetrics(engine, lag, lambda: door.streams), options.metrics)
            stack.push_async_callback(metrics.stop)
            await metrics.start()
        keeping = keep_door(door, place, engine.estate.environment)
        for watching in (watch_loop(lag), log_outages(engine), return_memory(), keeping):
            stack.callback(asyncio.create_task(watching).cancel)
        keep_what_is_there()
        report.ready(f"engine of {place.estate} serves on {place.engine}")
        log.info("serving %s", place.estate)
        await ended(engine, ending)
        notify_systemd("STOPPING=1")
        log.info("ending")


class HostClock:
    """This host's time. Monotonic time includes suspend, so that no reading from before it looks fresh."""

    _kind = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def mono(self) -> float:
        """Seconds since an arbitrary instant, never set back."""
        return time.clock_gettime(self._kind)

    def wall(self) -> float:
        """Seconds since 1970, by the host's clock."""
        return time.time()


def fault_point(environment: str, wanted: str) -> Reach:
    """In laboratories and drills: end this process at once when the named point is reached."""
    from state.runs.fault_points import ignore_point

    if not wanted or environment not in ("lab", "drill"):
        return ignore_point

    def reach(point: str) -> None:
        if point == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return reach


@asynccontextmanager
async def running_engine(place: EnginePlace, report: StartReport) -> AsyncIterator[Engine]:
    """The engine with everything it reaches; stopped and closed at the end. Raises RecoveryError."""
    from adapters.journals.keys import KeyFiles
    from adapters.journals.session_files import SessionFiles
    from adapters.journals.sqlite import SqliteJournal
    from console.engine.files import FilesOfEstate
    from console.engine.seats import Seats
    from state.engine.engine import Engine

    assert place.file is not None
    report.doing(f"reading {place.file}")
    seats = Seats()
    files = FilesOfEstate(place.file, seats)
    setup = files.first()
    estate = setup.estate
    report.doing(f"connecting: {len(estate.databases)} databases, {len(estate.balancers)} balancers")
    report.doing(f"opening the journal {place.journal}")
    engine = Engine(
        estate,
        setup.outside,
        SqliteJournal(place.journal, place.runtime),
        HostClock(),
        setup.library,
        node=socket.gethostname(),
        pid=os.getpid(),
        uid=os.getuid(),
        reach=fault_point(estate.environment, os.environ.get("RECOVERY_FAULT_POINT", "")),
        setup=setup,
        files=files,
        keys=KeyFiles(place.journal.with_suffix(".keys")),
        sessions=SessionFiles(place.state / "sessions"),
    )
    await engine.start()
    letting_go = asyncio.create_task(seats.let_go())
    try:
        yield engine
    finally:
        letting_go.cancel()
        await engine.stop()
        seats.release()


async def ended(engine: Engine, ending: asyncio.Event) -> None:
    """Wait for a signal, or for a request that ended the engine."""
    waits = [asyncio.create_task(ending.wait()), asyncio.create_task(engine.run())]
    done, open_ones = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in open_ones:
        wait.cancel()
    await asyncio.gather(*open_ones, return_exceptions=True)
    for wait in done:
        wait.result()


async def watch_loop(lag: LoopLag) -> None:
    """Measure how late the loop is, and send the service manager its watchdog signal."""
    clock = asyncio.get_running_loop().time
    while True:
        before = clock()
        await asyncio.sleep(LOOK_EVERY)
        late = max(0.0, clock() - before - LOOK_EVERY)
        lag.record(late)
        if watched_by_systemd():
            notify_systemd("WATCHDOG=1")
        if late > LATE:
            log.warning("the event loop was %.0f ms late", late * 1000)


async def reload(engine: Engine) -> None:
    """What SIGHUP asks for; the outcome is in the log."""
    try:
        log.info("reloaded: %s", await engine.reload_by_signal())
    except RecoveryError as error:
        log.warning("not reloaded: %s: %s", error.title, error)


def reload_on_hangup(engine: Engine) -> None:
    """From now on SIGHUP reloads, except where it means that the engine's own terminal was closed."""
    if sys.stdin is not None and sys.stdin.isatty():
        return
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def hangup() -> None:
        tasks.add(task := asyncio.create_task(reload(engine)))
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, hangup)


def handle_signals(ending: asyncio.Event, *, detached: bool) -> None:
    """SIGTERM and SIGINT end in order; until an engine is ready a hang-up ends it, except a detached one."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    if detached:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    else:
        loop.add_signal_handler(signal.SIGHUP, ending.set)


def end_with_starter(bond: int, ending: asyncio.Event) -> None:
    """End as SIGTERM does when the process that started this one is gone."""
    from adapters.bond import starter_is_gone

    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(bond)
        if starter_is_gone(bond):
            ending.set()

    loop.add_reader(bond, ended)


def starter_left(options: EngineOptions) -> bool:
    """Whether the starter was gone before this process has made anything."""
    from adapters.bond import starter_is_gone

    return options.bond is not None and starter_is_gone(options.bond)


def run(place: EnginePlace, options: EngineOptions, report: StartReport) -> None:
    """Take the lock and the folders, then serve. Raises RecoveryError, OSError from the kernel."""
    if starter_left(options):
        return
    harden()
    small_heaps()
    make_private(place.state)
    require_own_files(place.state)
    make_private(place.runtime)
    require_same_file(place)
    lock = EngineLock(place.lock, place.runtime)
    lock.take(place.estate)
    try:
        if listens(place):
            raise Refused(
                "one engine per estate",
                f"another process already listens in {place.runtime}",
                "Attach with `recovery console`, or end it with `recovery engine stop`",
            )
        claim_state(place)
        log_to(place.log)
        asyncio.run(serve(place, options, report))
    finally:
        lock.release()


def main(argv: Sequence[str] | None = None) -> int:
    """The process: exit code 0 after an orderly end, else the error's own."""
    parser = argparse.ArgumentParser(prog="recovery engine run", description="The engine of one estate.")
    parser.add_argument("--estate", type=Path, required=True)
    parser.add_argument(
        "--group", default="", help="group whose accounts may use engine.sock, besides the engine's own"
    )
    parser.add_argument("--metrics", type=int, default=0, metavar="PORT", help="serve /metrics on 127.0.0.1:PORT")
    parser.add_argument("--report", type=int, default=None, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--bond", type=int, default=None, metavar="FD", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.bond is not None:
        os.set_inheritable(arguments.bond, False)
    report = StartReport(arguments.report)
    try:
        run(
            of_file(arguments.estate, "--estate"),
            EngineOptions(arguments.group, arguments.metrics, arguments.detached, arguments.bond),
            report,
        )
    except RecoveryError as error:
        log.error("%s: %s", error.title, error)
        report.failed(error)
        return int(error.exit_code)
    except OSError as error:
        log.exception("the operating system refused")
        message = ConfigError((Problem(error.filename or "host", 0, 0, error.strerror or "", "a host that allows it"),))
        report.failed(message)
        return int(message.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
