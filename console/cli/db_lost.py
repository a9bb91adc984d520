"""`recovery db lost`: what each of two servers that parted has for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from console.cli.db_verify import place_of
from console.cli.reach import estate_option, json_option, run_there
from console.cli.shown import neutral, say, say_json
from state.units import counted, megabytes

if TYPE_CHECKING:
    from state.verdicts.lost_commits import LostPair, LostSide


@click.command()
@click.argument("database")
@estate_option
@json_option
def lost(database: str, estate: str | None, as_json: bool) -> int:
    """Where the servers of a cluster parted, and which commits only one of two has.

    By their histories, else by comparing their WAL. Commits and tables are listed where pg_walinspect is installed.
    Only reads. Exit code 1 when two servers part, 3 when it is not known whether they do.
    """
    if (code := run_there()) is not None:
        return code
    place = place_of(estate, quiet=as_json)
    from adapters.databases.lost.work import lost as found_lost
    from console.engine.loading import load
    from state.verdicts.lost_commits import lost_code

    assert place.file is not None
    pairs, silent = asyncio.run(found_lost(load(place.file).estate, place.file.parent, database))
    code = lost_code(pairs, list(silent))
    if as_json:
        told = [{**asdict(pair), "place": pair.place} for pair in pairs]
        say_json({"database": database, "code": int(code), "pairs": told, "silent": silent})
    else:
        for line in lines_of(pairs, silent):
            say(neutral(line))
    return code


def lines_of(pairs: Sequence[LostPair], silent: Mapping[str, str]) -> Iterable[str]:
    """Pair by pair: whether they part, and both sides."""
    for pair in pairs:
        a, b = pair.nodes
        how = f" ({pair.why})" if pair.why else ""
        if pair.fork is not None:
            yield f"{a} and {b} part at {pair.place}{how}"
        elif pair.known:
            yield f"{a} and {b} do not part: one WAL, as far as both have it"
        else:
            yield f"{a} and {b}: cannot be told: {pair.why}"
        for side in pair.sides:
            yield f"  {side.node}: {_side(side)}"
            for table in side.tables:
                counts = f"{table.inserts} inserts, {table.updates} updates, {table.deletes} deletes"
                yield f"    {table.name}: {counts} (records)"
    for node, why in silent.items():
        yield f"{node} does not answer: {why}"


def _side(side: LostSide) -> str:
    size = "an unknown size" if side.past is None else megabytes(side.past)
    if side.commits is None or side.writing is None:
        return f"{size} past it; commits not listed: {side.why}"
    told = f"{size} past it, {counted(side.commits, 'commit')}, {side.writing} of them in tables"
    return f"{told}; {side.why}" if side.why else told
