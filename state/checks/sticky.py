"""A check on sessions: what one balancer remembers of whom it led where, another one knows too."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from state.checks.model import Answer, CheckArgs, CheckKind, answered, unknown
from state.checks.traffic import balancer_reading
from state.estate.entry import TableName
from state.estate.model import Estate, HandStep, Name
from state.units import counted, percent
from state.world.balancer_parts import BalancerReading, StickTable
from state.world.world import World


class Kept(CheckArgs):
    """The stick table of one balancer, the other balancer, and how many percent must be known there too."""

    balancer: Name
    table: TableName
    at: Name
    percent: int = Field(default=95, ge=1, le=100)


def kept(args: Kept, world: World, estate: Estate, now_mono: float) -> Answer:
    """So many of the entries lead to the same server at the other balancer: these people stay where they are when they
    come by it. A table without an entry that leads to a server proves nothing."""
    readings: list[BalancerReading] = []
    tables: list[StickTable] = []
    for name in (args.balancer, args.at):
        reading = balancer_reading(name, world, estate, now_mono)
        if isinstance(reading, Answer):
            return reading
        if (table := reading.tables.get(args.table)) is None:
            return unknown(f"{name}: no table {args.table} is read; name it in stick_tables of the balancer")
        readings.append(reading)
        tables.append(table)
    one, other = tables
    if one.entries is None or other.entries is None:
        many = ", ".join(counted(each.used, "entry", "entries") for each in (one, other))
        return unknown(f"table {args.table} is too large to be compared: {many}")
    if not one.entries:
        leads = " that leads to a server" if one.used else ""
        return unknown(f"table {args.table} of {args.balancer} has no entry{leads}: there is nothing to compare")
    if swapped := _swapped(*readings):
        return answered(False, f"servers have other names at {args.at}, and entries are by name: {swapped}")
    share = len(one.entries & other.entries) / len(one.entries)
    told = f"{args.at} knows {percent(share)} of {counted(len(one.entries), 'entry', 'entries')} of {args.balancer}"
    full = [name for name, table in ((args.balancer, one), (args.at, other)) if table.full]
    if share * 100 >= args.percent and full:
        return unknown(f"{told} in {args.table}, which is full at {' and '.join(full)}: it forgets people")
    return answered(share * 100 >= args.percent, f"{told} in {args.table}, at least {args.percent}% is wanted")


def _swapped(here: BalancerReading, there: BalancerReading) -> str:
    """A server that the other balancer has under another name, and under its own name another one: the slots of a
    template are filled in the order in which each process hears of addresses. Empty where there is none."""
    others = {(each.backend, each.name): each.address for each in there.servers.values()}
    names: dict[tuple[str, str], set[str]] = {}
    for each in there.servers.values():
        names.setdefault((each.backend, each.address), set()).add(each.name)
    for each in here.servers.values():
        found = names.get((each.backend, each.address), set())
        if found and each.name not in found and (each.backend, each.name) in others:
            return f"{each.address} is {each.name} at one, {min(found)} at the other"
    return ""


def sticky_by_hand(args: Any, estate: Estate) -> list[HandStep]:
    """The table at both balancers."""
    del estate
    return [HandStep(f"on {name}: show table {args.table}; compare the keys") for name in (args.balancer, args.at)]


KINDS = (CheckKind("sticky.kept", "another balancer knows the sessions", Kept, kept, by_hand=sticky_by_hand),)
