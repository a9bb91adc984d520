"""`recovery db restore-window` and `restore-command`: to what a database can be restored, and by which command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import click

from console.cli.db_restore_command import command_lines
from console.cli.db_restore_text import choice_document, told_choice, told_window
from console.cli.look import SeenView, gather, heading
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import neutral, say, say_json
from state.api.views.restore import RestoreRow, RestoreView
from state.config_files.suggestions import not_found
from state.errors import ExitCode
from state.health import Health
from state.restoring.choosing import Obstacle, choose
from state.restoring.targets import WAYS, parse_target

FOLDER = re.compile(r"/[^\x00-\x1f\x7f'\"\\]{0,250}")
MOST_TIMELINE = (1 << 32) - 1
UNREAD = (Obstacle.NO_STORE, Obstacle.NOT_READ, Obstacle.NO_BRANCH, Obstacle.NEEDS_SET)
"""Where nothing says that it cannot be done: it is not known."""


@click.command("restore-window")
@click.argument("database", required=False)
@estate_option
@json_option
def restore_window(database: str | None, estate: str | None, as_json: bool) -> int:
    """To what times databases can be restored, gaps, damaged backups, archiving, and the last proven restore.

    Exit code 1 when something fails, 3 when it is unknown or old, also without any backups in the estate.
    """
    seen: SeenView[RestoreView] = ask(gather(client_of(estate, quiet=as_json), "restore"))
    rows = dict(seen.view.databases)
    if database is not None:
        rows = {database: _row(rows, database)}
    if as_json:
        say_json(replace(seen, view=RestoreView(rows)).as_json())
    else:
        for line in heading(seen):
            say(line)
        for row in rows.values():
            for line in told_window(row, seen.age(row.sources[:1]), seen.hello.mono):
                say(neutral(line))
    return seen.code([row.health for row in rows.values()], [row.sources[0] for row in rows.values() if row.sources])


@click.command("restore-command")
@click.argument("database")
@click.option("--to", "to", required=True, metavar="TARGET", help=f"{WAYS[0].upper()}{WAYS[1:]}.")
@click.option("--timeline", type=click.IntRange(1, MOST_TIMELINE), help="Restore along this one, not the primary's.")
@click.option("--set", "label", metavar="LABEL", help="Begin with this backup; refused where it is known to be wrong.")
@click.option("--into", metavar="FOLDER", help="A scratch copy there: the command turns its archiving off.")
@estate_option
@json_option
def restore_command(
    database: str, to: str, timeline: int | None, label: str | None, into: str | None, estate: str | None, as_json: bool
) -> int:
    """Print the command that restores DATABASE to a time, an LSN, a named point or a transaction. Never runs it.

    It begins with the last backup that ended before the target, and names the timeline. Exit code 1 when the target
    cannot be reached, 3 when that is not known.
    """
    try:
        target = parse_target(to)
    except ValueError as error:
        raise click.UsageError(f"--to {error}") from error
    if into is not None and not FOLDER.fullmatch(into):
        raise click.UsageError(f"--into {into!r}: an absolute path without quotes and backslashes")
    seen: SeenView[RestoreView] = ask(gather(client_of(estate, quiet=as_json), "restore"))
    row = _row(seen.view.databases, database)
    made = choose(row, target, timeline, label)
    lines = command_lines(row, made, into)
    if as_json:
        say_json(choice_document(row, made, lines))
    else:
        for line in told_choice(row, made, lines):
            say(neutral(line))
    if made.obstacle is not None:
        return ExitCode.UNKNOWN if made.obstacle in UNREAD else ExitCode.FAILED
    return seen.code([Health.UNKNOWN if made.doubts else Health.PASS], row.sources[:1])


def _row(rows: Mapping[str, RestoreRow], database: str) -> RestoreRow:
    if database not in rows:
        raise not_found("database", database, rows)
    return rows[database]
