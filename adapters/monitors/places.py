"""The scrape targets that count a service by Prometheus: which answer, which are silent since when, which are gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from adapters.monitors.promql import Place
from state.world.readings import Lack, MissingTarget, ServiceTraffic

LACKS = {"down": Lack.DOWN, "gone": Lack.GONE}


class Places:
    """What became of the targets of each service at one poll; `silent` are those that were silent before, since when
    (epoch seconds)."""

    def __init__(self, silent: Mapping[Place, float]) -> None:
        self._before = silent
        self._found: dict[str, dict[str, dict[Place, float]]] = {}

    def take(self, service: str, place: Place, figure: str, since: float) -> None:
        """One target of a service; a silent one is so at least since a time, unless it was before."""
        found = self._found.setdefault(service, {}).setdefault(figure, {})
        found.setdefault(place, self._before.get(place, since))

    @property
    def gone(self) -> bool:
        """Whether a target is gone that nothing replaced."""
        return any(self._not_replaced(service) for service in self._found)

    def silent(self) -> dict[Place, float]:
        """Since when each silent target is so."""
        return {
            place: since
            for found in self._found.values()
            for figure in LACKS
            for place, since in found.get(figure, {}).items()
        }

    def told(self, traffic: ServiceTraffic) -> ServiceTraffic:
        """The figures of a service with the targets that they lack."""
        found = self._found.get(traffic.service, {})
        lost = {**found.get("down", {}), **self._not_replaced(traffic.service)}
        missing = tuple(
            MissingTarget(
                " ".join(part for part in place if part),
                True,
                lack=Lack.DOWN if place in found.get("down", {}) else Lack.GONE,
                since=since,
            )
            for place, since in sorted(lost.items())
        )
        return replace(traffic, missing=missing, targets=len(found.get("here", {})) + len(missing))

    def _not_replaced(self, service: str) -> dict[Place, float]:
        """The targets that are gone, but for as many as came anew: a rollout replaces every one."""
        found = self._found.get(service, {})
        left = sorted(found.get("gone", {}).items(), key=lambda item: item[1])
        return dict(left[len(found.get("new", {})) :])
