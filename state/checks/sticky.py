"""A check on sessions: what one balancer remembers of whom it led where, another one knows too."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from state.checks.model import Answer, CheckArgs, CheckKind, answered, unknown
from state.checks.traffic import balancer_reading
from state.estate.model import Estate, HandStep, Name, ObjectName
from state.units import counted, percent
from state.world.balancer_parts import StickTable
from state.world.world import World


class Kept(CheckArgs):
    """The stick table of one balancer, the other balancer, and how many percent must be known there too."""

    balancer: Name
    table: ObjectName
    at: Name
    percent: int = Field(default=95, ge=1, le=100)


def kept(args: Kept, world: World, estate: Estate, now_mono: float) -> Answer:
    """So many of the entries lead to the same server at the other balancer: these people stay where they are when they
    come by it. A table without an entry proves nothing."""
    tables: list[StickTable] = []
    for name in (args.balancer, args.at):
        found = _table(name, args.table, world, estate, now_mono)
        if isinstance(found, Answer):
            return found
        tables.append(found)
    one, other = tables
    if one.entries is None or other.entries is None:
        many = ", ".join(counted(each.used, "entry", "entries") for each in tables)
        return unknown(f"table {args.table} is too large to be compared: {many}")
    if not one.entries:
        return unknown(f"table {args.table} of {args.balancer} has no entry: there is nothing to compare")
    share = len(one.entries & other.entries) / len(one.entries)
    told = f"{args.at} knows {percent(share)} of {counted(len(one.entries), 'entry', 'entries')} of {args.balancer}"
    return answered(share * 100 >= args.percent, f"{told} in {args.table}, at least {args.percent}% is wanted")


def _table(name: str, table: str, world: World, estate: Estate, now_mono: float) -> StickTable | Answer:
    reading = balancer_reading(name, world, estate, now_mono)
    if isinstance(reading, Answer):
        return reading
    found = reading.tables.get(table)
    return found or unknown(f"{name}: no table {table} is read; name it in stick_tables of the balancer")


def sticky_by_hand(args: Any, estate: Estate) -> list[HandStep]:
    """The table at both balancers."""
    del estate
    return [HandStep(f"on {name}: show table {args.table}; compare the keys") for name in (args.balancer, args.at)]


KINDS = (CheckKind("sticky.kept", "another balancer knows the sessions", Kept, kept, by_hand=sticky_by_hand),)
