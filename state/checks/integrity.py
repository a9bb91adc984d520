"""The integrity suite of a database as a check: it is run while the step waits for it, never polled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from state.checks.database import OneDatabase
from state.checks.hands import database_by_hand
from state.checks.model import Answer, CheckKind, answered, unknown
from state.config_files.suggestions import not_found
from state.estate.entry import Seconds
from state.estate.model import Estate
from state.health import Health
from state.verdicts.evidence import WAITING, no_data_reason, rank
from state.world.integrity_parts import IntegrityLine, IntegrityReading
from state.world.world import World

KIND = "database.integrity"
SHOWN = 20
"""Findings that are evidence, the worst first."""
RUNNING = "the suite has not ended yet"
Skippable = Literal["amcheck", "frontends", "settings", "unlogged"]


class IntegrityArgs(OneDatabase):
    """Which cluster, what of the suite is left out, and how long each question about rows may take."""

    skip: tuple[Skippable, ...] = Field(default=(), max_length=4)
    within: Seconds = 60.0


def suite_key(args: IntegrityArgs) -> str:
    """Where the findings of a suite stand in the world of a check."""
    return f"integrity:{args.database}/{','.join(sorted(args.skip))}/{args.within:g}"


def sound(args: IntegrityArgs, world: World, estate: Estate, now_mono: float) -> Answer:
    """Nothing fails, and nothing could not be checked; warnings are evidence. Raises NotFound for an unknown name."""
    if args.database not in estate.databases:
        raise not_found("database", args.database, estate.databases)
    key = suite_key(args)
    reading = world.fresh(key, IntegrityReading, now_mono)
    if reading is None:
        seen = world.observed.get(key)
        error = seen.error if seen is not None else None
        waits = error is None or error.message == WAITING
        why = f"{RUNNING}, {WAITING}" if waits else no_data_reason(seen)
        return unknown(f"{args.database}: {why}")
    if not reading.lines:
        return unknown(f"{args.database}: the suite found nothing to look at")
    kinds = {each.health for each in reading.lines}
    evidence = told(reading)
    if Health.FAIL not in kinds and Health.UNKNOWN in kinds:
        return unknown(*evidence)
    return answered(Health.FAIL not in kinds, *evidence)


def told(reading: IntegrityReading) -> tuple[str, ...]:
    """How many of each, the worst findings, and what was left out."""
    bad = sorted(
        (each for each in reading.lines if each.health is not Health.PASS), key=lambda each: -rank(each.health)
    )
    more = (f"and {len(bad) - SHOWN} more",) if len(bad) > SHOWN else ()
    left = tuple(f"left out: {each}" for each in reading.left_out)
    return (summary(reading.lines), *(line_text(each) for each in bad[:SHOWN]), *more, *left)


def summary(lines: Iterable[IntegrityLine]) -> str:
    """`1 fail, 2 warn, 9 pass`."""
    kinds = [each.health for each in lines]
    order = (Health.FAIL, Health.UNKNOWN, Health.WARN, Health.PASS)
    return ", ".join(f"{kinds.count(each)} {each.value}" for each in order if each in kinds) or "nothing was asked"


def line_text(each: IntegrityLine) -> str:
    """One finding as text."""
    return f"{each.health.value}: {each.where}: {each.fact}"


KINDS = (CheckKind(KIND, "the integrity suite finds nothing", IntegrityArgs, sound, by_hand=database_by_hand),)
