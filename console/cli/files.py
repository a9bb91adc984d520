"""`recovery check` and `recovery schema`: the files; with `--connect` the targets too, without any effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.cli.numbers import SECONDS
from console.cli.reach import host_option, json_option, run_there, used_estate
from console.cli.shown import complain, neutral, note, say, say_json
from state.diagnosis.model import Diagnosis, counts, exit_code
from state.errors import ExitCode, NotFound
from state.text import cells
from state.units import counted

if TYPE_CHECKING:
    from console.engine.loading import Checked
    from console.places import EnginePlace


WITHIN = 5.0
"""Seconds for each target unless told otherwise."""


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--connect", is_flag=True, help="Also ask every target, without effect: reached, who it is, what may be done."
)
@click.option(
    "--within", type=SECONDS, metavar="SECONDS", help=f"With --connect: for each target; {WITHIN:g} if not given."
)
@host_option
@json_option
def check(file: Path | None, connect: bool, within: float | None, as_json: bool) -> int:
    """Validate an estate and its runbooks and list every problem. Exit code 2 when there is one.

    Without FILE: the estate that the other verbs would use. With --connect every target is asked as well, with the
    estate's secrets and without effect: exit code 1 when an answer fails, 3 when one is unknown.
    """
    if (code := run_there()) is not None:
        return code
    if within is not None and not connect:
        raise click.UsageError("--within is for --connect")
    place, files = _checked(file)
    if not connect or files.problems:
        return report(files, f"{place.file}: valid", as_json=as_json)
    found = _asked(place, within or WITHIN, quiet=as_json)
    if as_json:
        numbers = {health.value: number for health, number in counts(found).items()}
        told = [asdict(diagnosis) for diagnosis in found]
        say_json(
            {"ok": not files.problems, "problems": [], "runbooks": files.runbooks, "counts": numbers, "answers": told}
        )
    else:
        for line in diagnosis_lines(found):
            say(line)
    return exit_code(found)


def examined(file: Path | None, within: float, *, quiet: bool) -> tuple[Checked, list[Diagnosis]]:
    """The files, and every answer about every target; none where the files have problems."""
    place, files = _checked(file)
    return files, [] if files.problems else _asked(place, within, quiet=quiet)


def _checked(file: Path | None) -> tuple[EnginePlace, Checked]:
    from console.cli.installation import installation
    from console.engine.loading import checked
    from console.places import find

    installation().require_own()
    place = find(str(file) if file else None, "FILE")
    if place.file is None:
        raise NotFound("the running engine does not report its estate file: give FILE")
    return place, checked(place.file)


def _asked(place: EnginePlace, within: float, *, quiet: bool) -> list[Diagnosis]:
    from console.cli.trusted import require_yes
    from console.engine.connecting import connect_all

    assert place.file is not None, "it was checked"
    if place.by_itself and not quiet:
        note(used_estate(place))
    require_yes(place)
    return connect_all(place.file, within)


def diagnosis_lines(found: Sequence[Diagnosis]) -> list[str]:
    """The answers by target, then how many there are of each kind."""
    width = max((cells(each.asked) for each in found), default=0)
    lines: list[str] = []
    for target, rows in groupby(found, lambda each: each.target):
        lines += [*([""] if lines else []), neutral(target)]
        for row in rows:
            sign = f"{row.health.value.upper():<7}"
            lines.append(f"  {sign}  {row.asked:<{width}}  {diagnosis_text(row)}")
    numbers = ", ".join(f"{number} {health}" for health, number in counts(found).items() if number)
    nothing = "nothing to connect to: the estate has no database, balancer, zone, monitor or anchor"
    return [*lines, "", numbers or nothing]


def diagnosis_text(row: Diagnosis) -> str:
    """The reason and what to do, in one line."""
    stop = "" if row.reason.endswith((".", "?", "!")) else "."
    return neutral(f"{row.reason}{stop} Next: {row.next}" if row.next else row.reason)


def report(found: Checked, good: str, *, as_json: bool) -> int:
    """Print the problems, or `good` and how many runbooks that is about when there are none."""
    problems = found.problems
    if as_json:
        told = [asdict(problem) for problem in problems]
        notes = list(found.notes)
        say_json({"ok": not problems, "problems": told, "runbooks": found.runbooks, "notes": notes})
    elif problems:
        for problem in problems:
            complain(neutral(str(problem)))
        complain(counted(len(problems), "problem"))
    else:
        say(f"{good}, {counted(found.runbooks, 'runbook')}")
        for each in found.notes:
            say(neutral(f"  {each}"))
    return ExitCode.USAGE if problems else ExitCode.DONE


@click.command()
@click.option("--runbook", is_flag=True, help="Of a runbook file instead.")
def schema(runbook: bool) -> int:
    """Print the JSON Schema of an estate file, for completion in editors."""
    if runbook:
        from state.changes.registry import change_kinds
        from state.checks.registry import check_kinds
        from state.runbooks.schema import runbook_schema

        say_json(runbook_schema(change_kinds(), check_kinds()))
        return ExitCode.DONE
    from adapters.registry import kinds
    from state.estate.schema import estate_schema

    say_json(estate_schema(kinds()))
    return ExitCode.DONE
