"""Names of WAL files, gathered into runs without a gap; histories of timelines; sizes of segments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from adapters.databases.postgres_descent import parse_lsn
from state.world.backup_parts import SegmentRun, TimelineFork

SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
HISTORY = re.compile(r"([0-9A-F]{8})\.history")
SIZES = tuple(1 << shift for shift in range(20, 31))
"""What a segment of WAL may be large, bytes: 1 MiB to 1 GiB."""
USUAL = 16 << 20


def place_of_segment(name: str, size: int) -> tuple[int, int] | None:
    """Timeline and segment of the name of a whole segment; None for other files and for names that no server makes."""
    found = SEGMENT.fullmatch(name)
    if found is None:
        return None
    timeline, high, low = (int(each, 16) for each in found.groups())
    return (timeline, high * ((1 << 32) // size) + low) if timeline and low < (1 << 32) // size else None


def name_of_segment(timeline: int, segment: int, size: int) -> str:
    """The name of a segment's file."""
    each = (1 << 32) // size
    return f"{timeline:08X}{segment // each:08X}{segment % each:08X}"


def size_of(names: Iterable[tuple[str, int]]) -> int:
    """The size of segments, from names of files and a position in each: the only one by which all of them fit. Raises
    ValueError where none does; 16 MiB where several do."""
    known = list(names)
    fits = [size for size in SIZES if all(_fits(name, lsn, size) for name, lsn in known)]
    if not fits:
        raise ValueError("positions and names of WAL files do not fit each other")
    return USUAL if USUAL in fits else fits[0]


def _fits(name: str, lsn: int, size: int) -> bool:
    place = place_of_segment(name, size)
    return place is not None and place[1] == lsn // size


def runs_of(places: Iterable[tuple[int, int]]) -> tuple[SegmentRun, ...]:
    """Segments as runs without a gap, in order."""
    made: list[SegmentRun] = []
    for timeline, segment in sorted(set(places)):
        if made and made[-1].timeline == timeline and made[-1].last == segment - 1:
            made[-1] = SegmentRun(timeline, made[-1].first, segment)
        else:
            made.append(SegmentRun(timeline, segment, segment))
    return tuple(made)


def fork_of(timeline: int, history: str) -> TimelineFork | None:
    """Parent and position of a timeline, by the last line of its history: `parent LSN reason`. Raises ValueError."""
    rows = [line.split() for line in history.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not rows:
        return None
    parent = int(rows[-1][0])
    if not 0 < parent < timeline:
        raise ValueError(f"the history of timeline {timeline} has the parent {parent}")
    return TimelineFork(parent, parse_lsn(rows[-1][1]))


def forks_of(histories: Mapping[int, str]) -> dict[int, TimelineFork]:
    """The fork of every timeline with a history. Raises ValueError."""
    found = ((timeline, fork_of(timeline, text)) for timeline, text in histories.items())
    return {timeline: fork for timeline, fork in found if fork is not None}
