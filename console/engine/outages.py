"""Outages of sources in the engine's log: their begin, longer and longer intervals, their end; flapping is counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping

from state.api.service import EngineService
from state.api.views.header import HeaderView, SourceRow
from state.detection.follow import NORMAL, Follower, Pace, Told
from state.units import ago

LOOK_EVERY = 1.0
AGAIN = (60.0, 600.0, 3600.0)
"""Seconds after which an outage that lasts is logged again; then every `DAILY`."""
DAILY = 86400.0
SILENT = "silent"

log = logging.getLogger("recovery.sources")
Line = tuple[int, str]
"""Level and message."""


class Outages:
    """Which sources are silent, and what was logged about each."""

    def __init__(self) -> None:
        self._follower = Follower(Pace(worse=0.0, better=2.0))
        self._logged: dict[str, int] = {}

    def look(self, sources: Mapping[str, SourceRow], now: float) -> Iterator[Line]:
        """Look at all sources at a monotonic instant; the lines to log."""
        for key, row in sources.items():
            known = row.mono is not None or bool(row.trouble)
            silent = row.mono is None or now - row.mono > row.limit
            self._follower.see(key, None if not known else SILENT if silent else NORMAL, now)
        for shift in self._follower.shifts(now):
            self._follower.recorded([Told(shift.subject, shift.now, now - shift.since)], now)
            row = sources[shift.subject]
            if shift.now == NORMAL:
                self._logged.pop(shift.subject, None)
                again = f", {shift.more} times more meanwhile" if shift.more else ""
                yield logging.INFO, f"{row.key} is read again after {ago(shift.lasted or 0.0)}{again}"
            else:
                self._logged[shift.subject] = 0
                yield logging.WARNING, f"{row.key} is silent: {_why(row)}"
        for key, count in self._logged.items():
            if key in sources and _lasts(sources[key], now) >= _threshold(count):
                self._logged[key] = count + 1
                yield logging.WARNING, f"{key} is silent for {ago(_lasts(sources[key], now))}: {_why(sources[key])}"


def _lasts(row: SourceRow, now: float) -> float:
    return 0.0 if row.mono is None else now - row.mono


def _threshold(count: int) -> float:
    return AGAIN[count] if count < len(AGAIN) else DAILY * (count - len(AGAIN) + 1)


def _why(row: SourceRow) -> str:
    return f"{row.trouble}, {row.message}" if row.trouble else "no answer"


async def log_outages(service: EngineService) -> None:
    """Log until cancelled."""
    outages = Outages()
    while True:
        header: HeaderView = service.view("header")
        for level, message in outages.look(header.sources, service.mono()):
            log.log(level, "%s", message)
        await asyncio.sleep(LOOK_EVERY)
