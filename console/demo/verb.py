"""`recovery demo`: a lab, an engine and the console on them; or the story without a screen."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.cli.lab import lab_errors, print_progress, require_extra
from console.cli.reach import ask
from console.cli.shown import neutral, note, say, say_json
from console.cli.streams import ENDS
from console.places import EnginePlace, of_file
from state.errors import ExitCode

if TYPE_CHECKING:
    from adapters.bond import Bond
    from adapters.lab.client import LabClient
    from adapters.lab.progress import LabProgress

TERMINATED = 128 + signal.SIGTERM
STOP_DEADLINE = 30.0  # seconds the engine has to end before the lab is taken from it


@dataclass(frozen=True, slots=True)
class Stage:
    """A running lab with its engine."""

    lab: LabClient
    place: EnginePlace


@click.command()
@click.option("--headless", is_flag=True, help="Run the story without a screen: break, detect, recover, measure.")
@click.option("--json", "as_json", is_flag=True, help="With --headless: the measured figures as one JSON document.")
@click.option("--embedded", is_flag=True, help="Use only what the Python packages contain, no system programs.")
@click.option("--keep", is_flag=True, help="Leave the lab and its engine running at the end.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII characters only.")
@click.option("--mouse", is_flag=True, help="Use the mouse.")
def demo(headless: bool, as_json: bool, embedded: bool, keep: bool, ascii_only: bool, mouse: bool) -> int:
    """Real databases, balancers and applications on loopback, and the command center on them.

    Nothing is installed and nothing stays. With --headless the exit code is 0 only if every verification passed.
    """
    if as_json and not headless:
        raise click.UsageError("--json needs --headless")
    if not headless:
        require_terminal()
    from adapters.lab.options import LabOptions

    require_extra(LabOptions(embedded=embedded))
    with lab_errors():
        if headless:
            return ask(_headless(embedded=embedded, keep=keep, as_json=as_json))
        return _with_console(embedded=embedded, keep=keep, ascii_only=ascii_only, mouse=mouse)


def require_terminal() -> None:
    """Raise UsageError where no screens can be drawn, before anything is started."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("this is not a terminal; recovery demo --headless plays the tour without screens")


def heard(line: str) -> None:
    """A line of progress. Raises BrokenPipeError when nobody reads it any more: then the demonstration ends."""
    note(line)
    if ENDS.closed:
        raise BrokenPipeError


async def _headless(*, embedded: bool, keep: bool, as_json: bool) -> int:
    from adapters.lab.process.directory import scratch
    from console.client.engine_client import EngineClient
    from console.demo.story import Story, summary

    terminated = _end_on_sigterm()
    directory = scratch() / f"recovery-demo-{secrets.token_hex(4)}"
    try:
        async with staged(directory, embedded=embedded, keep=keep) as stage:
            account = await Story(stage.lab, EngineClient(str(stage.place.engine)), heard).run()
    except asyncio.CancelledError:
        if terminated.is_set():
            return TERMINATED
        raise
    if as_json:
        say_json(account.as_json())
    else:
        for line in summary(account):
            say(line)
    return ExitCode.DONE if account.passed else ExitCode.FAILED


def _end_on_sigterm() -> asyncio.Event:
    """SIGTERM stops everything as Ctrl-C does; the event is set for SIGTERM."""
    task, terminated = asyncio.current_task(), asyncio.Event()
    assert task is not None

    def end() -> None:
        terminated.set()
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    return terminated


def _with_console(*, embedded: bool, keep: bool, ascii_only: bool, mouse: bool) -> int:
    from adapters.lab.options import default_directory
    from adapters.lab.process.directory import is_locked
    from console.cli.console_verb import open_console

    directory = default_directory()
    ours = not is_locked(directory)
    if not ours:
        note(neutral(f"a lab already runs in {directory}: it is used, and keeps running afterwards"))
    stage_of = staged(directory, embedded=embedded, keep=keep or not ours)
    with asyncio.Runner() as runner:
        stage = runner.run(stage_of.__aenter__())
        try:
            return open_console(str(stage.place.engine), ascii_only=ascii_only, mouse=mouse)
        finally:
            runner.run(stage_of.__aexit__(*sys.exc_info()))


@asynccontextmanager
async def staged(directory: Path, *, embedded: bool, keep: bool) -> AsyncIterator[Stage]:
    """A lab and its engine, stopped at the end in any case. Raises LabError, RecoveryError.

    Both have a bond to this process: when it is killed, or its terminal closes, they end and leave nothing.
    """
    from adapters.bond import Bond
    from adapters.lab.client import LabClient, start_lab
    from adapters.lab.options import LabOptions
    from adapters.lab.releases import RECORDS
    from console.client.engine_client import EngineClient
    from console.engine.control import ensure

    lab, of_lab, of_engine = LabClient(directory), Bond(), Bond()
    started = False
    try:
        heard("-- start the lab: PostgreSQL under Patroni, HAProxy, DNS, applications, load")
        await start_lab(directory, LabOptions(embedded=embedded), print_heard, of_lab)
        place = of_file(lab.estate, "the demonstration's lab")
        heard("-- start the engine")
        await asyncio.to_thread(ensure, place, tell=lambda told: heard(f"  {told}"), bond=of_engine.reading)
        heard("-- record the releases, as a pipeline does")
        for each in RECORDS:
            await EngineClient(str(place.engine)).record_release(each)
        started = True
        yield Stage(lab, place)
    finally:
        if keep and started:
            of_lab.let_go()
            of_engine.let_go()
            note(neutral(f"kept: attach with recovery console --estate {lab.estate}"))
            note(neutral(f"      end with recovery lab down --dir {directory}"))
        elif of_lab.held:
            note("-- stop the engine and the lab")
            await asyncio.shield(tear_down(lab, of_lab, of_engine))


def print_heard(step: LabProgress) -> None:
    """One step of the lab's start, for somebody who reads it. Raises BrokenPipeError else."""
    print_progress(step)
    if ENDS.closed:
        raise BrokenPipeError


async def tear_down(lab: LabClient, of_lab: Bond, of_engine: Bond) -> None:
    """End the engine, then the lab, which removes its files. Raises LabError when something is left."""
    from adapters.lab.waiting import until
    from console.places import lock_holder

    of_engine.cut()
    if lab.estate.is_file():
        place = of_file(lab.estate, "the demonstration's lab")

        async def ended() -> bool:
            return lock_holder(place) is None

        await until("the engine has ended", ended, STOP_DEADLINE, every=0.05)
    of_lab.cut()
    await lab.ended()
