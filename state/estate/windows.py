"""Protected windows: when a service must be left alone, in the time of the people whom it serves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import Field, PrivateAttr, model_validator

from state.config_files.findings import Finding, refuse
from state.estate.calendars import CalendarTimes, unread
from state.estate.entry import Entry, Seconds
from state.estate.values import ServiceName

FIELDS = 5
MOST_WINDOWS = 100
"""Each is worked out again with every picture of the header."""
LONGEST = 31 * 86_400.0
"""Seconds a window may last."""


class WindowEntry(Entry):
    """When risky actions are refused: from each instant of `cron` (minute, hour, day of month, month, day of week; in
    the local time of `zone`) for `duration`; day of month and day of week together mean either of them. Or during the
    events of `calendar`, an iCalendar file beside the estate's: of those whose title contains `summary`, in any case.
    There `zone` is that of times that name none, and in which people read all of them.

    `services` are those that it protects, none = all; what they depend on is protected with them. `from_risk` is the
    lowest class that is refused.
    """

    title: Annotated[str, Field(max_length=60)] = ""
    cron: Annotated[str, Field(max_length=100)] | None = None
    calendar: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    summary: Annotated[str, Field(max_length=60)] = ""
    zone: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}$")]
    duration: Annotated[Seconds, Field(le=LONGEST)] | None = None
    services: tuple[ServiceName, ...] = ()
    from_risk: Literal["B1", "B2", "B3", "B4"] = "B2"
    _times: CalendarTimes | None = PrivateAttr(default=None)

    @property
    def times(self) -> CalendarTimes:
        """What is known of its calendar; of one that nobody has read, nothing."""
        return self._times or unread(self.calendar or "", f"{self.calendar} has not been read")

    def known(self, times: CalendarTimes) -> WindowEntry:
        """The same window with what its calendar says."""
        copy = self.model_copy()
        copy._times = times
        return copy

    @model_validator(mode="after")
    def _sound(self) -> WindowEntry:
        refuse(type(self), self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        if zone_of(self.zone) is None:
            yield ("zone",), self.zone, "a time zone of this machine, as Europe/Berlin"
        if self.calendar is not None:
            for name, value in (("cron", self.cron), ("duration", self.duration)):
                if value is not None:
                    yield (name,), value, "nothing: the calendar says when, and for how long"
            return
        if self.summary:
            yield ("summary",), self.summary, "nothing: there is no calendar whose events have titles"
        if self.duration is None:
            yield ("duration",), "", "how long it lasts, as 8h"
        yield from _cron_findings(self.cron)


def _cron_findings(cron: str | None) -> Iterator[Finding]:
    if cron is None:
        yield ("cron",), "", "when it begins: cron, or calendar with an iCalendar file"
    elif len(cron.split()) != FIELDS:
        yield ("cron",), cron, "five fields: minute, hour, day of month, month, day of week"
    else:
        try:
            next(CronSim(cron, datetime(2026, 1, 1)))
        except (CronSimError, StopIteration):
            yield ("cron",), cron, "a time that comes: minute, hour, day of month, month, day of week"


def zone_of(name: str) -> ZoneInfo | None:
    """A time zone by its name; None where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
