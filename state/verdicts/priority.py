"""What to recover first: by tier, then time left of the RTO, then how much it unblocks; and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from state.api.views.header import RtoClock
from state.estate.model import Estate
from state.health import Health
from state.units import ago
from state.verdicts.clocks import remaining


@dataclass(frozen=True, slots=True)
class Priority:
    """One service's or database's rank: tier, seconds left of the RTO, and what waits for it."""

    name: str
    tier: int
    left: float
    unblocks: tuple[str, ...]
    depth: int

    @property
    def key(self) -> tuple[int, float, int, int, str]:
        """Sort key; at equal tier and time, what others need comes first."""
        return (self.tier, self.left, self.depth, -len(self.unblocks), self.name)


def recovery_order(
    estate: Estate, healths: Mapping[str, Health], clocks: Mapping[str, RtoClock], now_mono: float
) -> tuple[Priority, ...]:
    """Services and databases in the order to recover them.

    A failing entry is as urgent as the most urgent impaired service that needs it. `healths` covers services and
    databases; names missing there count as healthy.
    """
    dependents, depths = _dependents(estate), _depths(estate)
    places = [
        _place(estate, name, dependents, depths, healths, clocks, now_mono)
        for name in (*estate.services, *estate.databases)
    ]
    return tuple(sorted(places, key=lambda p: p.key))


def advice(order: tuple[Priority, ...], healths: Mapping[str, Health]) -> str:
    """`recover first: checkout (tier 1, 11 m left, unblocks 3)`, or an empty text when nothing fails."""
    for wanted in (Health.FAIL, Health.WARN):
        first = next((p for p in order if healths.get(p.name) is wanted), None)
        if first is not None:
            return f"recover first: {first.name} ({_reasons(first)})"
    return ""


def _reasons(place: Priority) -> str:
    left = place.left
    if not math.isfinite(left):
        return "no service depends on it"
    time = f"overdue {_minutes(-left)}" if left < 0 else f"{_minutes(left)} left"
    unblocks = f", unblocks {len(place.unblocks)}" if place.unblocks else ""
    return f"tier {place.tier}, {time}{unblocks}"


def _minutes(seconds: float) -> str:
    """Whole minutes, so the text changes rarely while the clock next to it runs."""
    return (
        ago(seconds // 60 * 60) if seconds >= 7200 else f"{int(seconds // 60)} min" if seconds >= 60 else "under 1 min"
    )


def _place(
    estate: Estate,
    name: str,
    dependents: Mapping[str, tuple[str, ...]],
    depths: Mapping[str, int],
    healths: Mapping[str, Health],
    clocks: Mapping[str, RtoClock],
    now_mono: float,
) -> Priority:
    needing = dependents.get(name, ())
    service = estate.services.get(name)
    if service is None or _impaired(name, healths):
        weighing = [n for n in needing if service is None or _impaired(n, healths)]
    else:
        weighing = []
    ranked = [(estate.services[n].tier, _left(estate, n, clocks, now_mono)) for n in weighing]
    if service is not None:
        ranked.append((service.tier, _left(estate, name, clocks, now_mono)))
    tier, left = min(ranked, default=(9, float("inf")))
    return Priority(name, tier, left, needing, depths.get(name, 0))


def _impaired(name: str, healths: Mapping[str, Health]) -> bool:
    return healths.get(name, Health.PASS) in (Health.FAIL, Health.WARN)


def _left(estate: Estate, name: str, clocks: Mapping[str, RtoClock], now_mono: float) -> float:
    clock = clocks.get(name)
    running = clock is not None and clock.ended_mono is None
    return remaining(clock, now_mono) if running and clock is not None else estate.services[name].rto


def _dependents(estate: Estate) -> dict[str, tuple[str, ...]]:
    """Every service that needs a name, directly or through others, in the estate's order."""
    direct: dict[str, list[str]] = {}
    for name, service in estate.services.items():
        for needed in service.depends_on:
            direct.setdefault(needed, []).append(name)
    result: dict[str, tuple[str, ...]] = {}
    position = {name: at for at, name in enumerate(estate.services)}
    for name in (*estate.services, *estate.databases):
        found: set[str] = set()
        waiting = list(direct.get(name, ()))
        while waiting:
            needing = waiting.pop()
            if needing not in found and needing != name:
                found.add(needing)
                waiting += direct.get(needing, ())
        result[name] = tuple(sorted(found, key=position.__getitem__))
    return result


def _depths(estate: Estate) -> dict[str, int]:
    """How many layers of dependencies each service has: 0 for none."""
    known: dict[str, int] = {}

    def depth(name: str, above: tuple[str, ...]) -> int:
        service = estate.services.get(name)
        if service is None or name in above:
            return 0
        if name not in known:
            known[name] = 1 + max((depth(n, (*above, name)) for n in service.depends_on), default=-1)
        return known[name]

    return {name: depth(name, ()) for name in estate.services}
