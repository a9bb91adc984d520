"""The descent of the leader's timeline as the managers' store has it, where its history files may not be read.

Patroni writes it from the leader's own history file (ha.py, `update_cluster_history`), so it says nothing of any other
node: a server that was promoted apart may have left another history, and its own files alone tell.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from state.errors import ReadFailure
from state.world.readings import PostgresReading
from state.world.timelines import History, TimelineSwitch

AGAIN = 10.0
"""Seconds after which it is asked again."""
LAST = 2**31


class TellsHistory(Protocol):
    """A member's agent."""

    async def history(self, deadline: float) -> list[Any]: ...


class StoredHistory:
    """What one agent last told of its leader's descent."""

    def __init__(self) -> None:
        self._of: object = None
        self._history: History | None = None
        self._next = float("-inf")

    async def of(self, agent: TellsHistory, reading: PostgresReading, *, deadline: float) -> History | None:
        """Of the leader that a reading is of; None where it is not told, or not of its timeline. Never raises."""
        key, now = (reading.node, reading.timeline, reading.started_at), time.monotonic()
        if key != self._of or now >= self._next:
            try:
                rows = await agent.history(max(0.0, deadline))
            except ReadFailure:
                rows = []
            self._of, self._next = key, now + AGAIN
            self._history = None if reading.timeline is None else history_of(rows, reading.timeline)
        return self._history


def history_of(rows: list[Any], timeline: int) -> History | None:
    """All lines down to a timeline, of rows `[parent, position, reason, …]`; None where some are missing or are of an
    older one: the list is cut off by `max_timelines_history`, and written a while after a promotion."""
    found: list[TimelineSwitch] = []
    for row in rows:
        if not isinstance(row, list) or len(row) < 2 or not all(type(each) is int for each in row[:2]):
            return None
        parent, position = row[:2]
        behind = found[-1] if found else TimelineSwitch(0, 0)
        if not (behind.parent < parent < LAST and behind.lsn <= position < 1 << 63):
            return None
        found.append(TimelineSwitch(parent, position))
    whole = bool(found) and found[0].parent == 1 and found[-1].parent == timeline - 1
    return tuple(found) if whole else None
