"""`recovery lab`: real components on loopback, and faults in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.cli.groups import Reporting, Suggesting
from console.cli.numbers import SECONDS, Above, Whole
from console.cli.reach import ask, json_option
from console.cli.shown import NOTHING, neutral, note, say, say_json, table
from console.cli.streams import ENDS
from state.api.wire import with_utc
from state.errors import EffectUnknown, ExitCode, NotFound, ReadFailure, RecoveryError, Trouble

if TYPE_CHECKING:
    from adapters.lab.client import LabClient
    from adapters.lab.options import LabOptions
    from adapters.lab.progress import LabProgress

MOST_RATE = 100_000.0  # orders a second
DIRECTORY = click.option("--dir", "directory", type=click.Path(path_type=Path), help="Where the lab is.")


class LabTrouble(RecoveryError):
    """The lab could not carry out the request."""

    title = "Lab"
    multiline = True
    kind = "lab"


class LabExtraMissing(LabTrouble):
    """The packages of the extra `lab` are not installed."""

    kind = "no-extra"
    exit_code = ExitCode.USAGE


def require_extra(options: LabOptions) -> None:
    """Raises LabExtraMissing with the command that brings what the lab needs and this Python does not have."""
    from adapters.lab.process.binaries import missing_packages

    if lacking := missing_packages(options):
        from console.cli.installation import installation

        raise LabExtraMissing(
            f"{', '.join(lacking)} of the extra [lab] {'is' if len(lacking) == 1 else 'are'} not installed: "
            f"{installation().bring('lab')}"
        )


class LabAbsent(LabTrouble):
    """No lab runs there."""

    kind = "no-lab"
    hint = "Start one with `recovery lab up`."
    exit_code = ExitCode.UNREACHABLE


@contextmanager
def lab_errors(*, acting: bool = False) -> Iterator[None]:
    """Turns the lab's errors into RecoveryError; without a reliable answer an acting verb's outcome is unknown."""
    ENDS.acted = ENDS.acted or acting
    from adapters.lab.errors import LabError, LabNotRunningError, LabUnknownError, NoSuchFaultError

    try:
        yield
    except NoSuchFaultError as error:
        raise NotFound(str(error)) from error
    except LabNotRunningError as error:
        raise LabAbsent(str(error)) from error
    except LabUnknownError as error:
        raise (EffectUnknown(str(error)) if acting else ReadFailure(Trouble.ERROR, str(error))) from error
    except LabError as error:
        raise LabTrouble(str(error)) from error


def print_progress(step: LabProgress) -> None:
    """One step of the lab's start."""
    if step.state in ("found", "missing", "ready", "live", "running", "failed"):
        note(f"  {step.seconds:6.2f} s  {step.component:<14} {step.state:<8} {neutral(step.detail)}".rstrip())


@click.group(cls=Reporting)
def lab() -> None:
    """Real components on loopback: PostgreSQL under Patroni, HAProxy, DNS, Prometheus, applications, load."""


@lab.command()
@DIRECTORY
@click.option("--embedded", is_flag=True, help="Use only what the Python packages contain.")
@click.option("--without", multiple=True, metavar="COMPONENT", help="Leave a component out; may be repeated.")
@click.option(
    "--postgres",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Another PostgreSQL: its bin folder.",
)
@click.option("--nodes", default=3, show_default=True, type=Whole(1, 3), help="PostgreSQL nodes.")
@click.option(
    "--shape",
    default="patroni",
    show_default=True,
    help="patroni; plain-pair: no manager, two nodes; standby-cluster: a second Patroni follows.",
)
@click.option("--rate", default=20.0, show_default=True, type=Above(MOST_RATE), help="Orders a second.")
@json_option
def up(
    directory: Path | None,
    embedded: bool,
    without: tuple[str, ...],
    postgres: Path | None,
    nodes: int,
    shape: str,
    rate: float,
    as_json: bool,
) -> int:
    """Start a lab that keeps running after this terminal closes; return when it is live."""
    from adapters.lab.client import start_lab
    from adapters.lab.options import LabOptions

    try:
        options = LabOptions(
            postgres=postgres, embedded=embedded, without=frozenset(without), nodes=nodes, rate=rate, shape=shape
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    require_extra(options)
    with lab_errors():
        client = ask(start_lab(directory, options, print_progress))
    if as_json:
        say_json({"directory": str(client.directory), "estate": str(client.estate)})
        return ExitCode.DONE
    say(neutral(f"lab in {client.directory}; estate {client.estate}"))
    say("next: recovery engine start · recovery console · recovery lab fault inject bad-release · recovery lab down")
    return ExitCode.DONE


def _client(directory: Path | None) -> LabClient:
    from adapters.lab.client import LabClient

    return LabClient(directory)


@lab.command()
@DIRECTORY
@json_option
def status(directory: Path | None, as_json: bool) -> int:
    """What runs in the lab, which faults are on."""
    with lab_errors():
        seen = ask(_client(directory).status())
    if as_json:
        say_json(with_utc(seen))
        return ExitCode.DONE
    for key, value in seen.items():
        if isinstance(value, dict):
            say(f"{neutral(key)}:")
            for name, inner in value.items():
                say(f"  {neutral(str(name)):<22} {neutral(str(inner))}")
        else:
            say(f"{neutral(key)}: {neutral(str(value))}")
    return ExitCode.DONE


@lab.command()
@DIRECTORY
@json_option
def down(directory: Path | None, as_json: bool) -> int:
    """Stop the lab's engine and the lab; none of its processes, files and journals stays."""
    with lab_errors():
        client = _client(directory)
        end_engine(client)
        ask(client.down())
    forget(client.directory)
    if as_json:
        say_json({"directory": str(client.directory), "state": "down"})
    else:
        note("the lab is down")
    return ExitCode.DONE


def end_engine(client: LabClient) -> None:
    """Stop the engine of a lab, if one runs; terminate it when it does not stop."""
    from console.engine.control import listens, stop, terminate
    from console.places import lock_holder, of_file

    if not client.estate.is_file():
        return
    place = of_file(client.estate, "the lab")
    if not listens(place) and lock_holder(place) is None:
        return
    try:
        stop(place, tell=note)
    except RecoveryError as error:
        note(f"{error.title}: {neutral(str(error))}; terminating it")
        terminate(place)


def forget(directory: Path) -> None:
    """Remove what an engine left in a lab's directory."""
    for name in ("run", "state"):
        shutil.rmtree(directory / name, ignore_errors=True)


@lab.group(cls=Suggesting)
def fault() -> None:
    """Inject faults: list, inject, lift. Each fault is lifted after its time."""


@fault.command("list")
@DIRECTORY
@json_option
def list_faults(directory: Path | None, as_json: bool) -> int:
    """Every fault this lab can inject, and which are on."""
    with lab_errors():
        seen = ask(_client(directory).faults())
    if as_json:
        say_json({**seen, "injected": [with_utc(row) for row in seen["injected"]]})
        return ExitCode.DONE
    on: dict[str, Any] = {row["name"]: row for row in seen["injected"]}
    rows = [
        [
            neutral(row["name"]),
            neutral(str(on[row["name"]]["state"])) if row["name"] in on else "off",
            f"{row['seconds']:.0f} s",
            f"lacks {', '.join(row['missing'])}" if row["missing"] else NOTHING,
            neutral(row["description"]),
        ]
        for row in seen["catalogue"]
    ]
    for line in table(("FAULT", "STATE", "LASTS", "POSSIBLE", "WHAT IT DOES"), rows, right=("LASTS",)):
        say(line)
    return ExitCode.DONE


@fault.command()
@click.argument("name")
@click.option("--target", help="The target, where there is a choice.")
@click.option("--seconds", type=SECONDS, help="After how many seconds it is lifted.")
@click.option("--within", type=SECONDS, default=90.0, metavar="SECONDS", help="How long to wait for the lab's answer.")
@DIRECTORY
@json_option
def inject(
    directory: Path | None, name: str, target: str | None, seconds: float | None, within: float, as_json: bool
) -> int:
    """Inject a fault into the lab directly, without the engine and its journal."""
    with lab_errors(acting=True):
        done = ask(_client(directory).inject(name, target, seconds, within=within))
    if as_json:
        say_json(with_utc(done))
        return ExitCode.DONE
    note(neutral(f"{name} is {done.get('state', 'on')} on {done.get('target', 'the lab')}"))
    return ExitCode.DONE


@fault.command()
@click.argument("name")
@click.option("--within", type=SECONDS, default=90.0, metavar="SECONDS", help="How long to wait for the reading.")
@DIRECTORY
@json_option
def lift(directory: Path | None, name: str, within: float, as_json: bool) -> int:
    """Undo a fault; return once a reading confirms it."""
    with lab_errors(acting=True):
        done = ask(_client(directory).undo(name, within=within))
    if as_json:
        say_json(with_utc(done))
        return ExitCode.DONE
    note(neutral(f"{name} is lifted"))
    return ExitCode.DONE
