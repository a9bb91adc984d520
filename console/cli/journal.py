"""`recovery journal`: what happened, and what of it is erased; `journal_proofs.py` has what proves it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from console.cli.entries import PAGE, Entries, EntryFilter, instant, known_kind, newest, read_journal
from console.cli.groups import Tailing
from console.cli.numbers import Whole
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import say, say_json, say_json_line
from console.cli.streams import ENDS, OUTPUT_CLOSED
from state.api.views.journal import JournalRow
from state.api.wire import named
from state.errors import ExitCode, NotFound, Refused
from state.journal.events import DECIDED, OBSERVED
from state.units import utc_date

F = TypeVar("F", bound=Callable[..., Any])
FOLLOW_EVERY = 0.5  # seconds


@click.group(cls=Tailing)
def journal() -> None:
    """Every decision and effect, append-only and hash-chained. Without an engine it is read from its file."""


def filter_options(verb: F) -> F:
    """Which entries: `--run`, `--kind`, `--since`, `--observed` or `--decided`."""
    verb = click.option("--observed", "origin", flag_value=OBSERVED, help="What the engine noticed by itself.")(verb)
    verb = click.option("--decided", "origin", flag_value=DECIDED, default="", help="Decisions and effects.")(verb)
    verb = click.option("--run", "run_id", default="", metavar="RUN", help="Entries about one run.")(verb)
    verb = click.option("--kind", default="", help="Entries of one kind, or of all whose kind starts so: run.")(verb)
    return click.option("--since", default="", metavar="TIME", help="From an age (30m) or a time (RFC 3339) on.")(verb)


@journal.command()
@click.option("-n", "--lines", default=20, show_default=True, type=Whole(1, 1000), help="How many entries.")
@click.option("-f", "--follow", is_flag=True, help="Follow new entries until interrupted.")
@filter_options
@estate_option
@json_option
def tail(
    estate: str | None, as_json: bool, lines: int, follow: bool, run_id: str, kind: str, since: str, origin: str
) -> int:
    """The newest entries; with --json one object a line."""
    wanted = EntryFilter(run_id, known_kind(kind), instant(since), origin or "")

    async def work(entries: Entries) -> int:
        last = await entries.head()
        for row in await newest(entries, wanted, lines):
            _print(row, as_json)
        while follow:
            ENDS.flush()
            if ENDS.unread():
                return OUTPUT_CLOSED
            await asyncio.sleep(FOLLOW_EVERY)
            for row in await entries.rows(last, PAGE):
                last = row.seq
                if wanted.takes(row):
                    _print(row, as_json)
        return ExitCode.DONE

    return read_journal(estate, work, quiet=as_json)


def _print(row: JournalRow, as_json: bool) -> None:
    if as_json:
        say_json_line(named(row))
    else:
        say(_line(row))


def _line(row: JournalRow) -> str:
    where = " ".join(part for part in (row.run, row.step) if part)
    return f"{row.seq:>6}  {utc_date(row.at)}  {row.actor:<8}  {row.kind:<20}  {where:<16}  {row.message}"


@journal.command()
@click.argument("seq", type=Whole(1))
@estate_option
@json_option
def show(estate: str | None, as_json: bool, seq: int) -> int:
    """One entry by its number, with the facts that were recorded where the journal's file can be read."""

    async def work(entries: Entries) -> tuple[JournalRow, dict[str, Any]]:
        rows = await entries.rows(seq - 1, 1)
        if not rows or rows[0].seq != seq:
            raise NotFound(f"no entry {seq}; the newest is {await entries.head()}")
        return rows[0], await entries.detail(seq)

    row, detail = read_journal(estate, work, quiet=as_json)
    if as_json:
        say_json({**_fields(row), **detail})
        return ExitCode.DONE
    say(_line(row))
    for name, value in {**detail, **detail.pop("facts", {})}.items():
        say(f"  {name}: {value}")
    return ExitCode.DONE


def _fields(row: JournalRow) -> dict[str, Any]:
    fields = named(row)
    assert isinstance(fields, dict)
    return fields


@journal.command()
@click.option("--dry-run", is_flag=True, help="Say what would be erased, and erase nothing.")
@click.option("--yes", is_flag=True, help="For scripts: erase without asking.")
@estate_option
@json_option
def retain(estate: str | None, as_json: bool, dry_run: bool, yes: bool) -> int:
    """Erase the details of old entries by the estate's policies.retain.

    Headers, hashes and commitments stay: the chain is still valid. What was erased, and what was kept and why, is an
    entry of its own.
    """
    client = client_of(estate, quiet=as_json, acting=True)
    found = ask(client.journal_retain(dry_run=True))
    if not (dry_run or not found.erased):
        if not yes and not (sys.stdin.isatty() and click.confirm(f"{found.message}: erase?", err=True)):
            raise Refused("confirmation", "nothing was erased", "Answer on a terminal, or give --yes")
        found = ask(client.journal_retain(dry_run=False))
    if as_json:
        say_json(named(found))
    else:
        say(("would be: " if found.dry_run and found.erased else "") + found.message)
    return ExitCode.DONE
