"""`recovery doctor`: what the accounts of the estate can do at each target, as `check --connect` finds it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from console.cli.files import WITHIN, examined, report
from console.cli.numbers import SECONDS
from console.cli.reach import host_option, json_option, run_there
from console.cli.shown import neutral, say, say_json, table
from state.diagnosis.abilities import ShownAbility, abilities
from state.diagnosis.model import Can, exit_code

HEAD = ("", "AS", "TARGET", "DO", "EVIDENCE")


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--within", type=SECONDS, default=f"{WITHIN:g}", metavar="SECONDS", help="For each target; 5.")
@host_option
@json_option
def doctor(file: Path | None, within: float, as_json: bool) -> int:
    """What the reading and the acting accounts can and cannot do at each target; nothing is done there.

    The answers of `check --connect`, and its exit codes: 1 when one fails, 3 when one is unknown, 2 for invalid files.
    """
    if (code := run_there()) is not None:
        return code
    files, found = examined(file, within, quiet=as_json)
    if files.problems:
        return report(files, "", as_json=as_json)
    rows = abilities(found)
    if as_json:
        say_json({"ok": True, "problems": [], "abilities": [asdict(row) for row in rows]})
    else:
        for line in ability_lines(rows):
            say(line)
    return exit_code(found)


def ability_lines(rows: Sequence[ShownAbility]) -> list[str]:
    """The abilities as a table, what can not be done with its way out, then how many there are of each kind."""
    if not rows:
        return ["nothing to ask: the estate has no database, balancer, zone, monitor, anchor or host"]
    body = [[row.can.value.upper(), row.identity, row.target, row.does, row.evidence] for row in rows]
    lines = [neutral(line) for line in table(HEAD, body)]
    ways = [neutral(f"{row.target}, {row.does}: {row.next}") for row in rows if row.can is not Can.YES and row.next]
    numbers = ", ".join(f"{sum(row.can is can for row in rows)} {can.value}" for can in Can)
    return [*lines, *(["", "Next:"] if ways else []), *(f"  {way}" for way in dict.fromkeys(ways)), "", numbers]
