"""`recovery db verify`: whether a database cluster is sound, and what is different from before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.cli.numbers import SECONDS
from console.cli.reach import estate_option, json_option, run_there, used_estate
from console.cli.shown import note, say, say_json
from state.errors import NotFound
from state.text import cells, clean

if TYPE_CHECKING:
    from console.places import EnginePlace
    from state.integrity.model import IntegrityFinding

SKIPPABLE = ("amcheck", "frontends", "settings", "unlogged")
"""What may be left out, and then is said to be."""


@click.command()
@click.argument("database")
@click.option("--within", type=SECONDS, default="60", metavar="SECONDS", help="For each question about rows; 60.")
@click.option("--skip", type=click.Choice(SKIPPABLE), multiple=True, help="Leave this out; may be repeated.")
@click.option("--save", type=click.Path(path_type=Path), help="Keep what was seen in a new file (mode 0600).")
@click.option("--against", type=click.Path(path_type=Path), help="Tell what is different from what --save has kept.")
@estate_option
@json_option
def verify(
    database: str,
    within: float,
    skip: tuple[str, ...],
    save: Path | None,
    against: Path | None,
    estate: str | None,
    as_json: bool,
) -> int:
    """Look whether a cluster is sound: one writer, timelines, slots, settings, libraries, keys, sequences, indexes.

    Only reads. Exit code 1 when something fails, 3 when something could not be checked. Warnings do not count.
    """
    if (code := run_there()) is not None:
        return code
    place = place_of(estate, quiet=as_json)
    from adapters.databases.integrity.kept import read_snapshot, snapshot
    from adapters.databases.integrity.work import verify as verified
    from console.cli.proving import write_export
    from console.engine.loading import load
    from state.integrity.model import IntegrityAsked, integrity_code
    from state.integrity.snapshot import changes

    assert place.file is not None
    before = None if against is None else read_snapshot(against)
    loaded = load(place.file).estate
    left_out = [IntegrityAsked(each) for each in skip]
    cluster, found = asyncio.run(verified(loaded, place.file.parent, database, within=within, skip=left_out))
    if before is not None:
        found += changes(before, cluster)
    if save is not None:
        write_export(save, snapshot(cluster))
    code = integrity_code(found)
    if as_json:
        told = [asdict(each) for each in found]
        say_json({"database": database, "code": int(code), "left_out": skip, "findings": told})
    else:
        for line in lines_of(found, skip):
            say(line)
    return code


def place_of(estate: str | None, *, quiet: bool) -> EnginePlace:
    """The estate, whose secrets are read in this process, as its owner."""
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
    return place


def lines_of(found: Iterable[IntegrityFinding], skip: tuple[str, ...]) -> Iterable[str]:
    """The findings by what was asked, then how many of each kind."""
    rows = list(found)
    width = max((cells(clean(row.where)) for row in rows), default=0)
    for asked, group in groupby(rows, lambda row: row.asked):
        yield asked.value
        for row in group:
            told = clean(f"{row.fact}. Next: {row.way_out}" if row.way_out else row.fact)
            gap = " " * (width - cells(clean(row.where)))
            yield f"  {row.health.value.upper():<7}  {clean(row.where)}{gap}  {told}"
    yield ""
    for each in skip:
        yield f"left out: {each}"
    kinds = [row.health.value for row in rows]
    yield ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("fail", "unknown", "warn", "pass") if kind in kinds)
