"""`recovery db prepare`: the SQL for the console's own accounts at a cluster, printed, or applied on request."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import click

from console.cli.db_verify import place_of
from console.cli.reach import estate_option, json_option, run_there
from console.cli.shown import neutral, say, say_json
from state.errors import ExitCode


@click.command()
@click.argument("database")
@click.option("--major", type=click.IntRange(15, 18), help="Of this version, without asking a server.")
@click.option("--apply", "applies", is_flag=True, help="Run it in every database of the cluster.")
@click.option("--as", "admin", default="postgres", metavar="ROLE", help="With --apply: a superuser; postgres.")
@click.option("--password-file", metavar="FILE", help="With --apply: a file (mode 0600) that has its password.")
@estate_option
@json_option
def prepare(
    database: str,
    major: int | None,
    applies: bool,
    admin: str,
    password_file: str | None,
    estate: str | None,
    as_json: bool,
) -> int:
    """Print the SQL that prepares a cluster for grants: its accounts, and functions that do only what they are for.

    Reviewed and run by an administrator in each database, or with --apply by this verb. It may be run again. Exit code
    1 when a database could not be prepared.
    """
    if (code := run_there()) is not None:
        return code
    place = place_of(estate, quiet=as_json)
    from adapters.access.preparing import Preparing
    from console.engine.loading import load
    from state.estate.entry import SecretRef

    assert place.file is not None
    preparing = Preparing(load(place.file).estate, place.file.parent, database)
    if not applies:
        version = major or asyncio.run(preparing.major())
        text = preparing.text(version)
        if as_json:
            say_json({"database": database, "major": version, "sql": text})
        else:
            say(text)
        return ExitCode.DONE
    done = asyncio.run(
        preparing.apply(admin, None if password_file is None else SecretRef(file=str(Path(password_file).absolute())))
    )
    if as_json:
        say_json({"database": database, "databases": [asdict(each) for each in done]})
    else:
        for each in done:
            say(neutral(f"{each.name}: {each.error or 'prepared'}"))
    return ExitCode.FAILED if any(each.error for each in done) else ExitCode.DONE
