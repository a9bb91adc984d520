"""The last commit in archived WAL: what no file's age tells. A segment that is archived never changes."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from state.errors import ReadFailure, Trouble
from state.world.backup_parts import SegmentRun

COMMIT = re.compile(r"desc: (?:COMMIT|COMMIT_PREPARED) (?:[^;]*?)(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")
LOOKED_AT = 16
"""So many segments are read in one reading; what is not found then is looked for in the next one."""
LOOKED_BACK = 64
"""So far back from the end of a run a commit is looked for."""
KEPT = 4096
SPARED = 0.3
"""The share of a reading's time that is left for the rest of it: no segment is begun within."""
DUMP = (
    '[ -x "$1" ] && [ -s "$2" ] && TZ=UTC "$1" "$2" 2>&1 | awk "/desc: COMMIT/{c=\\$0} /^rmgr/{n++} END{print n+0, c}"'
)
"""For a shell: how many records a segment's file has, and the last commit, if there is one."""
SegmentReader = Callable[[int, int], Awaitable[str]]
"""What `DUMP` says of a timeline's segment. Raises ReadFailure."""


def commit_time(line: str) -> float | None:
    """The time of a commit as pg_waldump tells it in UTC; None where the text has none."""
    found = COMMIT.search(line)
    if found is None:
        return None
    text = found[1] if "." in found[1] else f"{found[1]}.0"
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()


class CommitTimes:
    """Remembers what was found in segments."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], float | None] = {}

    async def fill(self, runs: tuple[SegmentRun, ...], read: SegmentReader) -> tuple[SegmentRun, ...]:
        """The runs with their last commits, as far as is known; newest first, a few segments at a time."""
        left, made = LOOKED_AT, []
        for run in reversed(runs):
            commit, segment = None, run.last
            while segment >= max(run.first, run.last - LOOKED_BACK):
                if (run.timeline, segment) not in self._known:
                    if not left:
                        break
                    left -= 1
                    if not await self._look(run.timeline, segment, read):
                        break
                commit = self._known[run.timeline, segment]
                if commit is not None:
                    break
                segment -= 1
            made.append(SegmentRun(run.timeline, run.first, run.last, commit))
        while len(self._known) > KEPT:
            self._known.pop(next(iter(self._known)))
        return tuple(reversed(made))

    async def _look(self, timeline: int, segment: int, read: SegmentReader) -> bool:
        """Whether it could be read: from a segment without any record follows nothing."""
        try:
            said = await read(timeline, segment)
        except ReadFailure:
            return False
        if not re.match("[1-9]", said):
            return False
        self._known[timeline, segment] = commit_time(said)
        return True


def time_for_one(end: float, whole: float) -> float:
    """Seconds for one more segment before `end` (monotonic). Raises ReadFailure when there are too few."""
    left = end - time.monotonic() - whole * SPARED
    if left <= 0:
        raise ReadFailure(Trouble.TIMEOUT, "no time is left for another segment")
    return left
