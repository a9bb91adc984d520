"""Protected windows: when a service must be left alone, in the time of the people whom it serves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import Field, model_validator

from state.config_files.findings import Finding, refuse
from state.estate.entry import Entry, Seconds
from state.estate.values import ServiceName

FIELDS = 5
LONGEST = 31 * 86_400.0
"""Seconds a window may last."""


class WindowEntry(Entry):
    """When risky actions are refused: from each instant of `cron` (minute, hour, day of month, month, day of week; in
    the local time of `zone`) for `duration`. Day of month and day of week together mean either of them.

    `services` are those that it protects, none = all; what they depend on is protected with them. `from_risk` is the
    lowest class that is refused.
    """

    title: Annotated[str, Field(max_length=60)] = ""
    cron: Annotated[str, Field(max_length=100)]
    zone: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}$")]
    duration: Annotated[Seconds, Field(le=LONGEST)]
    services: tuple[ServiceName, ...] = ()
    from_risk: Literal["B1", "B2", "B3"] = "B2"

    @model_validator(mode="after")
    def _sound(self) -> WindowEntry:
        refuse(type(self), self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        known = zone_of(self.zone)
        if known is None:
            yield ("zone",), self.zone, "a time zone of this machine, as Europe/Berlin"
        if len(self.cron.split()) != FIELDS:
            yield ("cron",), self.cron, "five fields: minute, hour, day of month, month, day of week"
            return
        try:
            next(CronSim(self.cron, datetime(2026, 1, 1)))
        except (CronSimError, StopIteration):
            yield ("cron",), self.cron, "a time that comes: minute, hour, day of month, month, day of week"


def zone_of(name: str) -> ZoneInfo | None:
    """A time zone by its name; None where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
