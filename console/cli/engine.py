"""`recovery engine`: run one in the foreground, start one in the background, stop it, show its status."""

from __future__ import annotations

import click

from console.cli.files import diagnosis_text
from console.cli.groups import Reporting
from console.cli.numbers import PORT
from console.cli.reach import ask, client_of, estate_option, host_of, json_option, run_there, used_estate
from console.cli.shown import neutral, note, say, say_json
from console.cli.trusted import require_yes
from console.places import EnginePlace, find
from state.errors import ExitCode, NotFound

BEFORE_START = 2.0
"""Seconds that each target is asked before a start."""


@click.group(cls=Reporting)
def engine() -> None:
    """The engine of an estate; without a verb: status."""


def _place(estate: str | None, quiet: bool = False) -> EnginePlace:
    place = find(estate)
    if not quiet:
        note(used_estate(place))
    return place


@engine.command()
@estate_option
@click.option("--group", default="", help="Group whose accounts may use engine.sock, besides the engine's own.")
@click.option("--metrics", type=PORT, metavar="PORT", help="Serve /metrics on 127.0.0.1:PORT.")
def run(estate: str | None, group: str, metrics: int | None) -> int:
    """Run the engine in the foreground, as a service manager expects."""
    from console.cli.installation import installation
    from console.engine.process import main

    if host_of():
        raise click.UsageError("a service manager runs it on its own host; from here: engine start --host")
    installation().require_own()
    place = _place(estate)
    if place.file is None:
        raise NotFound(f"the estate file of {place.estate} is not known here: give --estate FILE")
    require_yes(place)
    return main(["--estate", str(place.file), "--group", group, "--metrics", str(metrics or 0)])


@engine.command()
@estate_option
@json_option
def start(estate: str | None, as_json: bool) -> int:
    """Start an engine that keeps running after this terminal closes.

    Before it, every target is asked without effect for a few seconds (see check --connect). What is no pass is printed;
    it does not prevent the start.
    """
    from console.cli.installation import installation
    from console.engine.connecting import before_start
    from console.engine.control import start as start_engine

    if (code := run_there()) is not None:
        return code
    installation().require_own()
    place = _place(estate, quiet=as_json)
    require_yes(place)
    for row in before_start(place.file, BEFORE_START):
        note(f"{row.health.value.upper()} {neutral(row.target)} {row.asked}: {diagnosis_text(row)}")
    pid = start_engine(place, tell=note)
    if as_json:
        say_json({"estate": place.estate, "pid": pid, "log": str(place.log), "socket": str(place.engine)})
    else:
        say(neutral(f"process {pid}, log {place.log}"))
    return ExitCode.DONE


@engine.command()
@estate_option
@json_option
def reload(estate: str | None, as_json: bool) -> int:
    """Take a changed estate file and changed runbooks, without a restart. Open runs continue.

    Exit code 2 when a file is invalid, 4 when an open run stands on what was changed; then nothing is taken.
    """
    accepted = ask(client_of(estate, quiet=as_json, acting=True).reload())
    if as_json:
        say_json({"message": accepted.message})
    else:
        say(accepted.message)
    return ExitCode.DONE


@engine.command()
@estate_option
@json_option
def stop(estate: str | None, as_json: bool) -> int:
    """Stop the engine once every open run has reached a safe point."""
    from console.engine.control import stop as stop_engine

    if (code := run_there()) is not None:
        return code
    place = _place(estate, quiet=as_json)
    stop_engine(place, tell=note)
    if as_json:
        say_json({"estate": place.estate, "running": False})
    return ExitCode.DONE


@engine.command()
@estate_option
@json_option
def status(estate: str | None = None, as_json: bool = False) -> int:
    """Whether an engine answers. Exit code 6 when none does."""
    from console.engine.control import status as engine_status

    if (code := run_there()) is not None:
        return code
    place = find(estate)
    seen = engine_status(place)
    if as_json:
        say_json(
            {
                "estate": place.estate,
                "running": seen.running,
                "pid": seen.pid,
                "message": seen.message,
                "socket": str(place.engine),
                "state": str(place.state),
            }
        )
    else:
        pid = f", process {seen.pid}" if seen.pid else ""
        say(neutral(f"{place.estate}: {seen.message}{pid}"))
        say(neutral(f"  estate {place.file or 'file not known'} ({place.chosen})"))
        say(neutral(f"  sockets {place.runtime}, state {place.state}"))
    return ExitCode.DONE if seen.running else ExitCode.UNREACHABLE
