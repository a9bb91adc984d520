"""`recovery runbook`: the engine's library, and a lint of files without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from console.cli.groups import Listing
from console.cli.look import SeenView, gather
from console.cli.reach import ask, client_of, estate_option, json_option, run_there
from console.cli.shown import NOTHING, say, say_json, table
from state.api.views.runbooks import RunbookRow, RunbooksView
from state.api.wire import named
from state.config_files.suggestions import not_found
from state.errors import ExitCode, NotFound


@click.group(cls=Listing)
def runbook() -> None:
    """The library of runbooks: list, show, lint."""


def _library(estate: str | None, quiet: bool) -> Mapping[str, RunbookRow]:
    seen: SeenView[RunbooksView] = ask(gather(client_of(estate, quiet=quiet), "runbooks"))
    return seen.view.library


@runbook.command("list")
@estate_option
@json_option
def list_runbooks(estate: str | None, as_json: bool) -> int:
    """Every runbook with its pinned hash and when it last ran."""
    library = _library(estate, as_json)
    if as_json:
        say_json(named(list(library.values())))
        return ExitCode.DONE
    rows = [
        [
            row.name,
            row.title,
            str(row.steps),
            str(row.changes),
            row.hash[:8],
            row.lint or "clean",
            row.last or NOTHING,
        ]
        for row in library.values()
    ]
    for line in table(
        ("RUNBOOK", "TITLE", "STEPS", "CHANGES", "HASH", "LINT", "LAST"), rows, right=("STEPS", "CHANGES")
    ):
        say(line)
    return ExitCode.DONE


@runbook.command()
@click.argument("name")
@estate_option
@json_option
def show(estate: str | None, as_json: bool, name: str) -> int:
    """One runbook: parameters and steps as text."""
    library = _library(estate, as_json)
    if name not in library:
        raise not_found("runbook", name, library)
    row = library[name]
    if as_json:
        say_json(named(row))
        return ExitCode.DONE
    say(f"{row.name}   {row.title}")
    say(f"  hash {row.hash}   lint {row.lint or 'clean'}   last {row.last or NOTHING}")
    for param in row.params:
        choices = f" one of {', '.join(param.choices)}" if param.choices else ""
        need = "required" if param.required else f"default {param.default or 'empty'}"
        say(f"  {param.name}={param.kind.upper()}   {need}{choices}")
    for line in row.outline:
        say(f"  {line}")
    return ExitCode.DONE


@runbook.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@estate_option
@json_option
def lint(estate: str | None, as_json: bool, file: Path | None) -> int:
    """Check runbook files against the estate, without connecting; all of them, or one FILE.

    Exit code 2 when one is invalid, and when there is none.
    """
    from console.cli.files import report
    from console.engine.loading import checked_runbook, checked_runbooks
    from console.places import find

    if (code := run_there()) is not None:
        return code
    place = find(estate)
    if place.file is None:
        raise NotFound(f"the estate file of {place.estate} is not known here: give --estate FILE")
    found = checked_runbooks(place.file) if file is None else checked_runbook(place.file, file.absolute())
    return report(found, f"{file or place.file}: valid", as_json=as_json)
