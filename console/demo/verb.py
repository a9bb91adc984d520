"""`recovery demo`: a lab, an engine and the console on them; or the story without a screen."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.cli.lab import end_engine, forget, lab_errors, print_progress
from console.cli.reach import ask
from console.cli.shown import note, say, say_json
from console.places import EnginePlace, of_file
from state.errors import ExitCode

if TYPE_CHECKING:
    from adapters.lab.client import LabClient

TERMINATED = 128 + signal.SIGTERM


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
    with lab_errors():
        if headless:
            return ask(_headless(embedded=embedded, keep=keep, as_json=as_json))
        return _with_console(embedded=embedded, keep=keep, ascii_only=ascii_only, mouse=mouse)


async def _headless(*, embedded: bool, keep: bool, as_json: bool) -> int:
    from console.client.engine_client import EngineClient
    from console.demo.story import Story, summary

    terminated = _end_on_sigterm()
    directory = Path(tempfile.mkdtemp(prefix="recovery-demo-", dir="/tmp"))
    try:
        async with staged(directory, embedded=embedded, keep=keep) as stage:
            account = await Story(stage.lab, EngineClient(str(stage.place.engine)), note).run()
    except asyncio.CancelledError:
        if terminated.is_set():
            return TERMINATED
        raise
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
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
        note(f"a lab already runs in {directory}: it is used, and keeps running afterwards")
    stage_of = staged(directory, embedded=embedded, keep=keep or not ours)
    with asyncio.Runner() as runner:
        stage = runner.run(stage_of.__aenter__())
        try:
            return open_console(str(stage.place.engine), ascii_only=ascii_only, mouse=mouse)
        finally:
            runner.run(stage_of.__aexit__(*sys.exc_info()))


@asynccontextmanager
async def staged(directory: Path, *, embedded: bool, keep: bool) -> AsyncIterator[Stage]:
    """A lab and its engine, stopped at the end in any case. Raises LabError, RecoveryError."""
    from adapters.lab.client import LabClient, start_lab
    from adapters.lab.options import LabOptions
    from console.engine.control import ensure

    lab = LabClient(directory)
    try:
        note("-- start the lab: PostgreSQL under Patroni, HAProxy, DNS, applications, load")
        await to_its_end(start_lab(directory, LabOptions(embedded=embedded), print_progress))
        place = of_file(lab.estate, "the demonstration's lab")
        note("-- start the engine")
        ensure(place, tell=lambda message: note(f"  {message}"))
        yield Stage(lab, place)
    finally:
        if keep:
            note(f"kept: attach with recovery console --estate {lab.estate}")
            note(f"      end with recovery lab down --dir {directory}")
        else:
            note("-- stop the engine and the lab")
            await asyncio.shield(tear_down(lab))


async def to_its_end(work: Coroutine[Any, Any, object]) -> None:
    """Finish even when cancelled meanwhile: a half-started lab cannot be stopped. Then raise the cancellation."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def tear_down(lab: LabClient) -> None:
    """Stop engine and lab; a lab that has already ended is no error."""
    from adapters.lab.errors import LabNotRunningError

    await asyncio.to_thread(end_engine, lab)
    with contextlib.suppress(LabNotRunningError):
        await lab.down()
    forget(lab.directory)
