"""What a verdict may use: fresh readings only, and the reason when there is none.

Texts name instants, not ages ("no data since 07:03:12Z"), so they stay the same from poll to poll; a console
adds the current age from the source itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from state.errors import Trouble
from state.health import Health
from state.text import cut_middle
from state.units import utc
from state.world.observed import Observed, ReadError
from state.world.readings import Lack, MetricsReading, Reading, ServiceTraffic
from state.world.world import World

WAITING = "waiting for a reading younger than the step"
SHOWN = 110
"""So many cells of a source's message are shown in a reason."""
_RANK = {Health.PASS: 0, Health.WARN: 1, Health.UNKNOWN: 2, Health.FAIL: 3}


def rank(health: Health) -> int:
    """Severity order: pass, warn, unknown, fail."""
    return _RANK[health]


def worst(healths: Iterable[Health]) -> Health:
    """The worst of several verdicts; unknown when there is none."""
    return max(healths, key=rank, default=Health.UNKNOWN)


def no_data_reason(seen: Observed[Any] | None) -> str:
    """Why a source has no usable value: since when, which of the four troubles, and in short what the source said."""
    if seen is None:
        return "not read by this engine"
    error = seen.error
    if error is not None and error.message == WAITING:
        return WAITING
    why = f" ({trouble_text(error.trouble, error.message)})" if error is not None else ""
    return f"no data since {utc(seen.at)}{why}" if seen.at is not None else f"no data yet{why}"


def turned_away(seen: Observed[Any]) -> str:
    """What a server said that runs and takes no sessions now; empty where it said nothing of that kind.

    PostgreSQL's error 57P03: it starts up, recovers, shuts down, or is a standby without sessions.
    """
    error = seen.error
    if error is None or error.trouble is not Trouble.ERROR or "the database system is " not in error.message:
        return ""
    return cut_middle(error.message.partition("the database system is ")[2], SHOWN)


def trouble_text(trouble: Trouble, message: str) -> str:
    """A timeout says it all; of the others the message tells what to repair."""
    if trouble is Trouble.TIMEOUT or not message:
        return trouble.value
    return f"{trouble}: {cut_middle(message, SHOWN)}"


def younger_than(world: World, not_before_mono: float) -> World:
    """The world as read at or after an instant; older readings count as never read.

    A monitor's samples count from when they were taken, not from when they were fetched.
    """
    return World({key: _since(seen, not_before_mono) for key, seen in world.observed.items()}, world.trends)


def _since(seen: Observed[Reading], not_before_mono: float) -> Observed[Reading]:
    if seen.mono is None:
        return seen
    if seen.mono >= not_before_mono:
        if isinstance(seen.value, MetricsReading):
            return replace(seen, value=_sampled_since(seen.value, seen.mono - not_before_mono))
        return seen
    error = seen.error or ReadError(Trouble.EMPTY, WAITING, seen.at or 0.0)
    return replace(seen, value=None, at=None, mono=None, error=error)


def _sampled_since(reading: MetricsReading, limit: float) -> MetricsReading:
    """The figures as far as their newest sample is at most so old; the others wait for one."""
    services = {
        name: traffic
        if traffic.scraping is not None and traffic.scraping.age is not None and traffic.scraping.age <= limit
        else ServiceTraffic(name, None, None, None, lack=Lack.WAITING, scraping=traffic.scraping)
        for name, traffic in reading.services.items()
    }
    return replace(reading, services=services)
