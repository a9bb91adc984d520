"""Where the histories of two servers part, and what each wrote past that point. A higher timeline number is another
branch, never by itself a newer one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from state.world.readings import PostgresReading
from state.world.timelines import History

APART = "two timelines of one number, promoted apart"


@dataclass(frozen=True, slots=True)
class Fork:
    """`lsn` is the last position that two servers have in common by their histories, None = not known, with `why`.

    `past` are the bytes that each node has past it, None = not known. `one_number`: both write on timelines of one
    number and one history: at `lsn` or later they part, and only their WAL tells where. `apart`: the first records of
    such timelines prove that they part at `lsn`.
    """

    nodes: tuple[str, str]
    lsn: int | None
    past: Mapping[str, int | None]
    why: str = ""
    one_number: bool = False
    apart: bool = False


def fork_of(a: PostgresReading, b: PostgresReading) -> Fork | None:
    """Where the histories of two servers part; None where both are on one timeline. One that has nothing past that
    point may still follow the other."""
    nodes = (a.node, b.node)
    if a.system_id != b.system_id:
        return Fork(nodes, None, dict.fromkeys(nodes), "they are different database systems")
    if a.timeline is None or b.timeline is None:
        return Fork(nodes, None, dict.fromkeys(nodes), "a timeline is not known")
    first, second = _known(a, b), _known(b, a)
    apart = _apart(a, b, first, second) if first is not None and second is not None else None
    if apart is not None:
        return Fork(nodes, apart, _past(a, b, apart), APART, apart=True)
    if a.timeline == b.timeline and (first is None or second is None or first == second):
        return _one_number(a, b, first if first is not None else second)
    if first is None or second is None:
        lacks = a if first is None else b
        why = f"the history of timeline {lacks.timeline} of {lacks.node} cannot be read (EXECUTE on pg_read_file)"
        return Fork(nodes, None, dict.fromkeys(nodes), why)
    place = _parting(_spans(first, a.timeline), _spans(second, b.timeline))
    if place is None:
        return Fork(nodes, None, dict.fromkeys(nodes), "their histories have no timeline in common")
    return Fork(nodes, place, _past(a, b, place))


def wrote_past(reading: PostgresReading, leader: PostgresReading) -> int | None:
    """Bytes that a server has past the point where the leader's history left it; 0 where the leader descends from all
    of it, None = not known."""
    fork = fork_of(reading, leader)
    if fork is None:
        return 0
    return None if fork.one_number else fork.past[reading.node]


def same_branch(a: PostgresReading, b: PostgresReading) -> bool | None:
    """Whether two servers are on one timeline by its first record, which both still have; None = cannot be told."""
    mine, theirs = (r.branches.get(r.timeline) if r.timeline is not None else None for r in (a, b))
    if a.timeline != b.timeline or a.system_id != b.system_id or mine is None or theirs is None:
        return None
    return mine == theirs


def left_at(reading: PostgresReading, timeline: int | None) -> int | None:
    """Where the line of descent of a server left an older timeline; None where that is not known to be an ancestor."""
    return next((switch.lsn for switch in reading.history or () if switch.parent == timeline), None)


def _past(a: PostgresReading, b: PostgresReading, place: int) -> Mapping[str, int | None]:
    return {r.node: None if r.held is None else max(0, r.held - place) for r in (a, b)}


def _known(one: PostgresReading, other: PostgresReading) -> History | None:
    """Its own history; else the beginning of the other's where that has its timeline as an ancestor."""
    if one.history is not None:
        return one.history
    if one.timeline == 1:
        return ()
    for place, switch in enumerate(other.history or ()):
        if switch.parent == one.timeline:
            return (other.history or ())[:place]
    return None


def _spans(history: History, timeline: int) -> list[tuple[int, int | None]]:
    """Each timeline of a line of descent, and where it was left; None for the one it is on."""
    return [*((s.parent, s.lsn) for s in history), (timeline, None)]


def _parting(first: list[tuple[int, int | None]], second: list[tuple[int, int | None]]) -> int | None:
    """The last common position: where the first timeline that both were on was left by the one that left it earlier."""
    common: int | None = None
    for one, other in zip_longest(first, second):
        if one is None or other is None or one[0] != other[0]:
            return common
        ends = [end for end in (one[1], other[1]) if end is not None]
        if not ends:
            return common
        common = min(ends)
        if one[1] != other[1]:
            return common
    return common


def _apart(a: PostgresReading, b: PostgresReading, first: History, second: History) -> int | None:
    """Where timelines of one number begin that are not one: their first records, as far as both still have them."""
    begins = zip(_begins(a, first), _begins(b, second), strict=False)
    for one, other in begins:
        if one != other:
            return None
        mine, theirs = a.branches.get(one[0]), b.branches.get(one[0])
        if mine is not None and theirs is not None and mine != theirs:
            return one[1]
    return None


def _begins(reading: PostgresReading, history: History) -> list[tuple[int, int]]:
    """Every timeline of a line of descent that has a parent, and where it began."""
    numbers = [*(s.parent for s in history[1:]), reading.timeline or 0]
    return list(zip(numbers, (s.lsn for s in history), strict=True)) if history else []


def _one_number(a: PostgresReading, b: PostgresReading, history: History | None) -> Fork | None:
    """Two on one number and one history: one timeline, unless both write on it."""
    if a.in_recovery or b.in_recovery:
        return None
    nodes, begins = (a.node, b.node), history[-1].lsn if history else None
    why = f"both are on timeline {a.timeline}, and only their WAL tells them apart (recovery db lost)"
    return Fork(nodes, begins, dict.fromkeys(nodes), why, one_number=True)
