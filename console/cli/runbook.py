"""`recovery runbook`: the engine's library, and a lint of files without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from console.cli.given import named_values
from console.cli.groups import Listing
from console.cli.look import SeenView, gather
from console.cli.reach import ask, client_of, estate_option, json_option, run_there
from console.cli.shown import NOTHING, neutral, say, say_json, table
from state.api.requests import PlanRunbook
from state.api.views.runbooks import RunbookRow, RunbooksView
from state.api.wire import named
from state.config_files.suggestions import not_found
from state.errors import ConfigError, ExitCode, NotFound


@click.group(cls=Listing)
def runbook() -> None:
    """The library of runbooks: list, show, score, lint, new."""


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
            row.lint or ("does not apply" if row.applies else "clean"),
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
@click.argument("params", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--markdown", is_flag=True, help="A page to follow by hand; from the files, without an engine.")
@estate_option
@json_option
def show(estate: str | None, as_json: bool, name: str, params: tuple[str, ...], markdown: bool) -> int:
    """One runbook: parameters and steps as text; or, with its parameters, as a page for people without the console."""
    if markdown:
        return _page(estate, name, params)
    if params:
        raise click.UsageError(
            "parameters are for --markdown; the card of a run: recovery run start NAME … --plan-only"
        )
    library = _library(estate, as_json)
    if name not in library:
        raise not_found("runbook", name, library)
    row = library[name]
    if as_json:
        say_json(named(row))
        return ExitCode.DONE
    say(f"{row.name}   {row.title}")
    say(f"  hash {row.hash}   lint {row.lint or 'clean'}   last {row.last or NOTHING}")
    if row.applies:
        say(f"  does not apply here: {row.applies}")
    for param in row.params:
        choices = f" one of {', '.join(param.choices)}" if param.choices else ""
        need = "required" if param.required else f"default {param.default or 'empty'}"
        say(f"  {param.name}={param.kind.upper()}   {need}{choices}")
    for line, words in zip(row.outline, row.words or ((),) * len(row.outline), strict=True):
        say(f"  {line}")
        for word in words:
            say(f"      {word}")
    return ExitCode.DONE


def _page(estate: str | None, name: str, params: tuple[str, ...]) -> int:
    """Print a runbook as Markdown."""
    from console.cli.runbook_page import page
    from console.engine.loading import load

    if (code := run_there()) is not None:
        return code
    loaded = load(_estate_file(estate))
    if name in loaded.broken:
        raise ConfigError(loaded.broken[name])
    if name not in loaded.runbooks:
        raise not_found("runbook", name, loaded.runbooks)
    for line in page(loaded.runbooks[name], named_values(params), loaded.estate, loaded.runbooks):
        say(line)
    return ExitCode.DONE


def _estate_file(estate: str | None) -> Path:
    from console.places import find

    place = find(estate)
    if place.file is None:
        raise NotFound(f"the estate file of {place.estate} is not known here: give --estate FILE")
    return place.file


@runbook.command()
@click.argument("name")
@click.option("--from", "template", default="service", help="A template, or a runbook to begin with.", metavar="NAME")
@estate_option
@json_option
def new(estate: str | None, as_json: bool, name: str, template: str) -> int:
    """Write a new runbook, commented and valid, into the estate's first folder of runbooks.

    Templates: service (ask, check, decide), loop (over the balancers of a service), database.
    """
    from console.cli.runbook_new import write_new

    if (code := run_there()) is not None:
        return code
    path = write_new(_estate_file(estate), name, template)
    if as_json:
        say_json({"file": str(path)})
        return ExitCode.DONE
    say(neutral(f"{path}: written; recovery runbook lint {path} checks it, recovery engine reload loads it"))
    return ExitCode.DONE


@runbook.command()
@click.argument("name")
@click.argument("params", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--change", default="", metavar="ID", help="The id of its change, which a high score needs.")
@estate_option
@json_option
def score(estate: str | None, as_json: bool, name: str, params: tuple[str, ...], change: str) -> int:
    """What makes a run of it risky now, point by point: from its plan, and from what was done here before.

    Exit code 4 when the points are above the estate's limit and no change id is given.
    """
    from console.cli.score import told

    card = ask(client_of(estate, quiet=as_json, acting=True).preview(PlanRunbook(name, named_values(params))))
    return told(card, change, as_json=as_json)


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

    if (code := run_there()) is not None:
        return code
    known = _estate_file(estate)
    found = checked_runbooks(known) if file is None else checked_runbook(known, file.absolute())
    return report(found, f"{file or known}: valid", as_json=as_json)
