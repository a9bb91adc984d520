"""The scrape targets that count a service by Prometheus: which answer, which are silent since when, which are gone, and
which answer but count it no longer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from adapters.monitors.promql import Place
from state.world.readings import Lack, MissingTarget, ServiceTraffic

LACKS = {"idle": Lack.NO_LONGER, "down": Lack.DOWN, "gone": Lack.GONE}

Silent = Mapping[tuple[str, Place], float]
"""Services and targets that do not count them, since when (epoch seconds)."""


class Places:
    """What became of the targets of each service at one poll; `silent` are those that were so before, `counting` those
    that count a service."""

    def __init__(self, silent: Silent, counting: Collection[tuple[str, Place]]) -> None:
        self._before, self._counting = silent, counting
        self._found: dict[str, dict[str, dict[Place, float]]] = {}

    def take(self, service: str, place: Place, figure: str, since: float) -> None:
        """One target of a service; a silent one is so at least since a time, unless it was before."""
        if figure == "here" and (service, place) not in self._counting:
            figure = "idle"
        found = self._found.setdefault(service, {}).setdefault(figure, {})
        found.setdefault(place, self._before.get((service, place), since))

    @property
    def gone(self) -> bool:
        """Whether a target is gone that nothing replaced."""
        return any(self._not_replaced(service) for service in self._found)

    def silent(self) -> Silent:
        """Since when each target that counts nothing of a service is so."""
        return {
            (service, place): since
            for service, found in self._found.items()
            for figure in LACKS
            for place, since in found.get(figure, {}).items()
        }

    def told(self, traffic: ServiceTraffic) -> ServiceTraffic:
        """The figures of a service with the targets that they lack."""
        found = self._found.get(traffic.service, {})
        lost = {figure: found.get(figure, {}) for figure in LACKS} | {"gone": self._not_replaced(traffic.service)}
        missing = {
            place: MissingTarget(" ".join(part for part in place if part), True, lack=LACKS[figure], since=since)
            for figure, places in lost.items()
            for place, since in places.items()
        }
        told = tuple(missing[place] for place in sorted(missing))
        return replace(traffic, missing=told, targets=len(found.get("here", {})) + len(told))

    def _not_replaced(self, service: str) -> dict[Place, float]:
        """The targets that are gone, but for as many as came anew: a rollout replaces every one."""
        found = self._found.get(service, {})
        left = sorted(found.get("gone", {}).items(), key=lambda item: item[1])
        return dict(left[len(found.get("new", {})) :])
