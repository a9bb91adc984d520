"""`recovery db comparisons`: what the engine compares, and what it found last."""

from __future__ import annotations

from collections.abc import Sequence

import click

from console.cli.look import SeenView, gather, heading
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import neutral, say, say_json
from console.compare_text import comparison_words
from state.api.views.comparisons import CompareOutcome, ComparisonRow, ComparisonsView
from state.errors import ExitCode
from state.units import ago

FRESH = 3600.0
"""Seconds for which rows that were equal count as equal."""


@click.command()
@estate_option
@json_option
def comparisons(estate: str | None, as_json: bool) -> int:
    """Comparisons of nodes that the engine makes when asked on the Replication screen, the newest last.

    Exit code of the newest: 0 when it found all rows equal within the last hour, 1 when they differ, else 3.
    """
    seen: SeenView[ComparisonsView] = ask(gather(client_of(estate, quiet=as_json), "comparisons"))
    rows = list(seen.view.comparisons.values())
    if as_json:
        say_json(seen.as_json())
    else:
        for line in [*heading(seen), "", *(_line(row, seen.hello.wall) for row in rows)]:
            say(neutral(line))
        if not rows:
            say("no comparison was asked for")
    return code_of(rows, seen.hello.wall)


def _line(row: ComparisonRow, now: float) -> str:
    asked = f"asked for by {row.actor} {ago(now - row.started_at)} ago"
    return f"{row.id}  {comparison_words(row, now)}  ({asked})"


def code_of(rows: Sequence[ComparisonRow], now: float) -> ExitCode:
    """That of the newest one; `now` is the wall clock in seconds."""
    newest = rows[-1] if rows else None
    if newest is None or newest.ended_at is None:
        return ExitCode.UNKNOWN
    if newest.outcome is CompareOutcome.DIFFERS:
        return ExitCode.FAILED
    equal = newest.outcome is CompareOutcome.EQUAL and 0 <= now - newest.ended_at <= FRESH
    return ExitCode.DONE if equal else ExitCode.UNKNOWN
