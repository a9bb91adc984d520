"""`recovery journal`: what happened, whether the chain is valid, and an export."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from console.cli.groups import Tailing
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import complain, note, say, say_json
from console.client.engine_client import EngineClient
from state.api.views.header import HeaderView
from state.api.views.journal import JournalRow
from state.api.wire import named
from state.engine.events import Heartbeat
from state.errors import ExitCode, NotFound
from state.units import utc_date

PAGE = 1000  # entries per request
FOLLOW_EVERY = 0.5  # seconds


@click.group(cls=Tailing)
def journal() -> None:
    """Every decision and effect, append-only and hash-chained."""


@journal.command()
@click.option("-n", "--lines", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many entries.")
@click.option("-f", "--follow", is_flag=True, help="Follow new entries until interrupted.")
@estate_option
@json_option
def tail(estate: str | None, as_json: bool, lines: int, follow: bool) -> int:
    """The newest entries; with --json one object a line."""
    ask(_tail(client_of(estate, quiet=as_json), lines, follow, as_json))
    return ExitCode.DONE


async def _tail(client: EngineClient, lines: int, follow: bool, as_json: bool) -> None:
    """First the newest entries without heartbeats, then every new entry."""
    header: HeaderView = await client.view("header")
    after = max(0, header.journal_seq - PAGE)
    rows = await client.journal(after, PAGE)
    for row in [r for r in rows if r.kind != Heartbeat.kind][-lines:]:
        _print(row, as_json)
    after = rows[-1].seq if rows else after
    while follow:
        sys.stdout.flush()
        await asyncio.sleep(FOLLOW_EVERY)
        for row in await client.journal(after, PAGE):
            after = row.seq
            _print(row, as_json)


def _print(row: JournalRow, as_json: bool) -> None:
    if as_json:
        say_json(named(row))
    else:
        say(_line(row))


def _line(row: JournalRow) -> str:
    where = " ".join(part for part in (row.run, row.step) if part)
    return f"{row.seq:>6}  {utc_date(row.at)}  {row.actor:<8}  {row.kind:<18}  {where:<16}  {row.message}"


@journal.command()
@click.option("--file", "exported", type=click.Path(path_type=Path), help="An export to check, without an engine.")
@click.option("--head", default="", metavar="HASH", help="With --file: the hash the chain must end with.")
@estate_option
@json_option
def verify(estate: str | None, as_json: bool, exported: Path | None, head: str) -> int:
    """Check the hash chain from the first entry. Exit code 1 names the first bad entry."""
    if exported is not None:
        problem, message = _verify_file(exported, head)
    else:
        problem = ask(client_of(estate, quiet=as_json).journal_verify())
        message = "the chain is valid"
    if as_json:
        say_json({"ok": not problem, "problem": problem, "message": message})
    elif problem:
        complain(f"Journal broken: {problem}")
    else:
        say(message)
    return ExitCode.FAILED if problem else ExitCode.DONE


def _verify_file(exported: Path, head: str) -> tuple[str, str]:
    """What is wrong with an exported journal (empty when nothing), and the result as text."""
    from state.journal.format import verify_export

    try:
        wanted = bytes.fromhex(head) if head else None
    except ValueError as error:
        raise click.UsageError(f"--head must be a hash in hexadecimal, not {head!r}") from error
    try:
        with exported.open("rb") as file:
            result = verify_export((line.rstrip(b"\n") for line in file), head=wanted)
    except OSError as error:
        raise NotFound(f"{exported}: {error.strerror}") from error
    ending = f", torn at the end: {result.torn}" if result.torn else ""
    return result.problem, f"the chain is valid: {result.entries} entries, head {result.head.hex()}{ending}"


@journal.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here (mode 0600), not to stdout.")
@estate_option
def export(estate: str | None, output: Path | None) -> int:
    """Every entry's stored bytes, one a line, for `verify --file` on any machine."""
    raw = ask(client_of(estate, quiet=output is None).journal_export())
    if output is None:
        sys.stdout.buffer.write(raw)
        return ExitCode.DONE
    try:
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(raw)
    except OSError as error:
        raise click.FileError(str(output), error.strerror) from error
    entries = raw.count(b"\n")
    note(f"{entries} entries written to {output}")
    return ExitCode.DONE
