"""`recovery db compare`: whether two PostgreSQL databases hold the same rows, and which differ."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.cli.numbers import SECONDS, Above, Whole
from console.cli.proving import write_export
from console.cli.reach import estate_option, json_option, run_there, used_estate
from console.cli.shown import neutral, note, say, say_json
from console.cli.streams import ENDS
from state.errors import NotFound

if TYPE_CHECKING:
    from state.comparing.request import CompareProgress, CompareRequest
    from state.comparing.results import Comparison

MOST_CORES = 64
MOST_LISTED = 100_000


@click.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--tables", metavar="PATTERN", multiple=True, help="Only these, as orders or 'public.*'; may be repeated."
)
@click.option("--except", "left_out", metavar="PATTERN", multiple=True, help="Not these; may be repeated.")
@click.option("--list", "listed", type=Whole(0, MOST_LISTED), default=100, help="Differences listed per table; 100.")
@click.option("--concurrency", type=Whole(1, MOST_CORES), default=1, help="Cores of each server for a query; 1.")
@click.option("--throttle", type=Above(100), metavar="PERCENT", default="100", help="Share of the time they work; 100.")
@click.option("--md5", is_flag=True, help="Sums of md5 of text, not of the servers' own hashes: slower.")
@click.option("--patience", type=SECONDS, default="30", metavar="SECONDS", help="For changes on their way; 30.")
@click.option("--out", type=click.Path(path_type=Path), help="The JSON report to a new file too (mode 0600).")
@click.option("--repair", type=click.Path(path_type=Path), help="SQL that makes B like A, to a new file; never run.")
@click.option("--state", type=click.Path(path_type=Path), help="Keep in this file what is done.")
@click.option("--resume", is_flag=True, help="Go on with the comparison that --state has kept.")
@estate_option
@json_option
def compare(
    a: str,
    b: str,
    tables: tuple[str, ...],
    left_out: tuple[str, ...],
    listed: int,
    concurrency: int,
    throttle: float,
    md5: bool,
    patience: float,
    out: Path | None,
    repair: Path | None,
    state: Path | None,
    resume: bool,
    estate: str | None,
    as_json: bool,
) -> int:
    """Compare the rows of two databases, each DATABASE/NODE of the estate, or DATABASE/NODE/DBNAME. Only reads.

    Sums are made in the servers; ranges that differ are narrowed to rows, and each row is looked at again until it is
    certain that no change was on its way. Exit code 1 when a row or a definition differs, 3 when not all is known.
    """
    from state.comparing.request import Burden, CompareRequest, DatabasePlace
    from state.comparing.shapes import TableSelection

    if (code := run_there()) is not None:
        return code
    if resume and state is None:
        raise click.UsageError("--resume needs --state with the file of the comparison to go on with")
    if resume and repair is not None:
        raise click.UsageError("--repair with --resume would lack what was found before: compare anew")
    try:
        places = DatabasePlace.parse(a), DatabasePlace.parse(b)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    pace = Burden(concurrency, throttle / 100, patience=patience)
    request = CompareRequest(*places, TableSelection(tables, left_out), pace, listed, md5)
    whole = _compared(estate, request, repair, state, resume=resume, quiet=as_json)
    told = as_document(whole)
    if out is not None:
        import json

        write_export(out, json.dumps(told, indent=2).encode() + b"\n")
    if as_json:
        say_json(told)
    else:
        from console.cli.db_compare_text import report

        for line in report(whole):
            say(neutral(line))
    return whole.code


def _compared(
    estate: str | None, request: CompareRequest, repair: Path | None, state: Path | None, *, resume: bool, quiet: bool
) -> Comparison:
    """Run it in this process, with the estate's secrets, as its owner."""
    from console.cli.installation import installation
    from console.cli.trusted import require_yes
    from console.places import find

    installation().require_own()
    place = find(estate)
    if place.file is None:
        raise NotFound("the running engine does not report its estate file: name it with --estate FILE")
    if not (quiet or estate):
        note(used_estate(place))
    require_yes(place)
    from adapters.databases.comparing.kept import StateFile
    from adapters.databases.comparing.repairing import RepairFile
    from adapters.databases.comparing.work import CompareWatch, compare
    from console.engine.loading import load

    loaded = load(place.file).estate
    kept = None if state is None else StateFile(state, request, resume=resume)
    written = None if repair is None else RepairFile(repair)
    watch = CompareWatch(progress=_progress_line())
    if kept is not None:
        watch.kept, watch.earlier = kept.keep, kept.earlier
    if written is not None:
        watch.found = written.found
    whole: Comparison | None = None
    try:
        whole = asyncio.run(compare(loaded, place.file.parent, request, watch))
    except KeyboardInterrupt:
        _end_line()
        note(_interrupted(state))
        raise
    finally:
        _end_line()
        if written is not None:
            written.close(whole)
    return whole


def _interrupted(state: Path | None) -> str:
    if state is None:
        return "No query runs any more. Nothing was kept: --state FILE keeps what is done, to go on there"
    if not state.exists():
        return f"No query runs any more. No part of a table was done: {state} was not written"
    return f"No query runs any more. What is done is kept: the same command with --state {state} --resume goes on there"


def _progress_line() -> Any:
    """On a terminal one line that is written again; else nothing."""
    if not sys.stderr.isatty():
        return lambda _: None

    def show(progress: CompareProgress) -> None:
        from state.units import short_duration

        left = "" if progress.left is None else f", about {short_duration(progress.left)} left"
        found = f", {progress.differences} different" if progress.differences else ""
        line = f"{progress.share:4.0%}  table {progress.done + 1} of {progress.tables} {progress.table}{left}{found}"
        ENDS.write(sys.stderr, f"\r\x1b[K{neutral(line)[:100]}")

    return show


def _end_line() -> None:
    if sys.stderr.isatty():
        ENDS.write(sys.stderr, "\r\x1b[K")


def as_document(whole: Comparison) -> dict[str, Any]:
    """The report for scripts: nothing in it is shortened."""
    tables = [
        {**asdict(each), "apart": {how.value: number for how, number in each.apart.items()}, "code": int(each.code)}
        for each in whole.tables
    ]
    for table in tables:
        table.pop("done_to")
    return {**asdict(whole), "tables": tables, "code": int(whole.code)}
