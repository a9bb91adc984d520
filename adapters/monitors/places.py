"""The scrape targets that count a service by Prometheus: which answer, which are silent since when, which are gone, and
which answer but count it no longer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from adapters.monitors.promql import Place
from adapters.monitors.wholeness import Counting
from state.world.readings import Lack, MissingTarget, ServiceTraffic

LACKS = {"idle": Lack.NO_LONGER, "down": Lack.DOWN, "gone": Lack.GONE}

Silent = Mapping[tuple[str, Place], float]
"""Services and targets that do not count them, since when (epoch seconds)."""


class Places:
    """What became of the targets of each service at one poll; `silent` are those that were so before."""

    def __init__(self, silent: Silent, counting: Counting) -> None:
        self._before, self._counting = silent, counting
        self._found: dict[str, dict[str, dict[Place, float]]] = {}

    def take(self, service: str, place: Place, figure: str, since: float) -> None:
        """One target of a service; a silent one is so at least since a time, unless it was before."""
        if figure == "here" and place not in self._counting.now(service):
            figure = "idle"
        found = self._found.setdefault(service, {}).setdefault(figure, {})
        found.setdefault(place, self._before.get((service, place), since))

    def settle(self, service: str, since: float) -> None:
        """Judge what has no `up`, as what is pushed to Prometheus, by its requests alone: it is gone when they are."""
        found = self._found.get(service, {})
        told = {place for figure in ("here", *LACKS) for place in found.get(figure, {})}
        for place in self._counting.left(service):
            if place not in told:
                self.take(service, place, "gone", since)

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
        every = {*found.get("here", {}), *self._counting.now(traffic.service), *missing}
        return replace(traffic, missing=tuple(missing[place] for place in sorted(missing)), targets=len(every))

    def _not_replaced(self, service: str) -> dict[Place, float]:
        """The targets that are gone, but for as many as came anew: a rollout replaces every one. Where none is known
        from before, as just after Prometheus' own start, nobody knows what is new."""
        found = self._found.get(service, {})
        before = {*found.get("before", {}), *self._counting.before(service)}
        new = {*found.get("here", {}), *self._counting.now(service)} - before if before else ()
        left = sorted(found.get("gone", {}).items(), key=lambda item: item[1])
        return dict(left[len(new) :])
