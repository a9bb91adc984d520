"""Calendars of protected windows in a running engine: an alarm where one says nothing, and working them out again."""

from __future__ import annotations

from state.estate.calendars import AHEAD
from state.estate.model import Estate
from state.verdicts.cause_parts import hand
from state.verdicts.windows import unknown_windows
from state.views.context import Alarm, Contribution, ViewContext

LEAST = AHEAD / 2
"""Seconds that the calendars of a running engine are known ahead."""


def contribute(context: ViewContext) -> Contribution:
    """An alarm for each window of which nobody knows whether it is open: what it could protect is refused."""
    wall = context.wall
    if wall is None:
        return Contribution()
    steps = (
        "By hand: recovery check tells what is wrong and where; recovery engine reload takes the calendar when it can"
        " be read. Until then a commander overrides the window, by its name and with a reason."
    )
    return Contribution(
        alarms=tuple(
            Alarm(f"window {name}: {why}; what it could protect is refused", hand("by hand", steps))
            for name, why in unknown_windows(context.estate.windows, wall).items()
        )
    )


def run_out_soon(estate: Estate, wall: float) -> bool:
    """Whether the times of a calendar have to be worked out again: they are known for a limited time, and by the
    clock as it was."""
    read = (entry.times for entry in estate.windows.values() if entry.calendar is not None)
    return any(not times.problem and not (times.since <= wall <= times.until - LEAST) for times in read)
