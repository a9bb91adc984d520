"""`recovery check` and `recovery schema`: the files, without any connection."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.cli.reach import host_option, json_option, run_there
from console.cli.shown import complain, neutral, say, say_json
from state.errors import ExitCode, NotFound
from state.units import counted

if TYPE_CHECKING:
    from console.engine.loading import Checked


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@host_option
@json_option
def check(file: Path | None, as_json: bool) -> int:
    """Validate an estate and its runbooks and list every problem. Exit code 2 when there is one.

    Without FILE: the estate that the other verbs would use.
    """
    from console.engine.loading import checked
    from console.places import find

    if (code := run_there()) is not None:
        return code
    estate = find(str(file) if file else None, "FILE").file
    if estate is None:
        raise NotFound("the running engine does not report its estate file: give FILE")
    return report(checked(estate), f"{estate}: valid", as_json=as_json)


def report(found: Checked, good: str, *, as_json: bool) -> int:
    """Print the problems, or `good` and how many runbooks that is about when there are none."""
    problems = found.problems
    if as_json:
        told = [asdict(problem) for problem in problems]
        say_json({"ok": not problems, "problems": told, "runbooks": found.runbooks})
    elif problems:
        for problem in problems:
            complain(neutral(str(problem)))
        complain(counted(len(problems), "problem"))
    else:
        say(f"{good}, {counted(found.runbooks, 'runbook')}")
    return ExitCode.USAGE if problems else ExitCode.DONE


@click.command()
def schema() -> int:
    """Print the JSON Schema of an estate file, for completion in editors."""
    from adapters.registry import kinds
    from state.estate.schema import estate_schema

    say_json(estate_schema(kinds()))
    return ExitCode.DONE
