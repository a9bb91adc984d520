"""How often Prometheus has a sample of each service, measured in the newest samples of its best series, and where from.

The distance of the samples is the truth about scraping, whoever scrapes: Prometheus' list of targets needs a right of
its own, does not say which series a target gives, and stores behind Thanos, Mimir or VictoriaMetrics have none.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from statistics import median

from adapters.monitors.figures import Naming
from adapters.monitors.promql import (
    Place,
    PromApi,
    QuerySeries,
    batches,
    matchers,
    places_query,
    span,
    splits_query,
    text_of,
)
from state.errors import ReadFailure
from state.world.readings import Scraping

LATELY = 60.0
"""Seconds of the last minute."""
RANGE = 1200.0
"""Seconds that are looked through: scrapes of five minutes leave four samples there."""
PLACES_KEPT = 3600.0
"""Seconds for which a scrape target is known to count a service after its last sample of it."""
ENOUGH = 20
"""Samples that are fetched to measure the distance."""
SETTLED = 5
"""Samples from which on a distance is trusted until the next survey."""
EVERY = 300.0
"""Seconds between two surveys: the interval changes when somebody changes the configuration."""
KINDS_WITHIN = 2.0
"""Seconds that the question for declared types may take: the figures wait for it."""
SOON = 1.0
"""Seconds until services of which too few samples are known are surveyed again."""


class Survey:
    """The intervals of some services in seconds: absent without a sample, None with one only."""

    def __init__(self, api: PromApi, naming: Naming, services: tuple[str, ...]) -> None:
        self._api, self._naming, self._services = api, naming, services
        self._due: dict[str, float] = dict.fromkeys(services, -math.inf)
        self._intervals: dict[str, float | None] = {}
        self._usual: dict[str, float] = {}
        self._places: dict[str, set[Place]] = {}
        self.mixed: dict[str, Mapping[str, tuple[str, ...]]] = {}
        """The labels by which the series of each service differ though no `labels` name them, and their values."""
        self.counts_up = naming.counts_up(())
        """Whether what counts requests is a counter, by its declared type or its name; None where neither tells it."""
        self.done = False
        """Whether it was made at all."""

    @property
    def intervals(self) -> Mapping[str, float | None]:
        """By service, as it is called there."""
        return self._intervals

    def pace(self, name: str, age: float | None = None) -> Scraping:
        """How samples of a service come and are read, the newest of this age."""
        return self._naming.scraping(self._intervals.get(name), age, self._usual.get(name, 0.0))

    def places(self, services: Iterable[str]) -> set[Place]:
        """The scrape targets that counted requests of some services in the last hour."""
        return set().union(*(self._places.get(name, ()) for name in services))

    def counted_at(self, place: Place) -> Iterator[str]:
        """The services whose requests were counted at a scrape target."""
        return (name for name, places in self._places.items() if place in places)

    def learn(self, service: str, places: Collection[Place]) -> None:
        """Targets that count a service, which an answer shows between two surveys: they may be silent at the next."""
        self._places.setdefault(service, set()).update(places)

    def soon(self, now: float) -> None:
        """Have every service surveyed again, soon (monotonic seconds)."""
        self._due = {name: min(due, now + SOON) for name, due in self._due.items()}

    def due(self, now: float) -> bool:
        """Whether some service is to be surveyed (monotonic seconds)."""
        return any(due <= now for due in self._due.values())

    async def make(self, now: float, *, deadline: float) -> None:
        """Survey the services that are due. Raises ReadFailure; what was known stays then."""
        with suppress(ReadFailure):  # not every store keeps the types, and a right of its own may be needed
            kinds = await self._api.kinds(self._naming.requests, deadline=min(deadline, KINDS_WITHIN))
            self.counts_up = self._naming.counts_up(kinds)
        for names in batches([name for name in self._services if self._due[name] <= now]):
            counted = f"count_over_time({self._naming.requests}{{{matchers(self._naming, names)}}}[{span(RANGE)}])"
            best = await self._api.query(f"topk by ({self._naming.service}) (1, {counted})", deadline=deadline)
            rows = {row.labels.get(self._naming.service, ""): row for row in best}
            stamps = await asyncio.gather(*(self._stamps(row, deadline) for row in rows.values()))
            found = dict(zip(rows, stamps, strict=True))
            await self._find_places(names, deadline)
            await self._find_splits(names, deadline)
            await self._find_usual(names, deadline)
            for name in names:
                self._take(name, found.get(name, []), now)
        self.done = True

    async def _find_places(self, names: tuple[str, ...], deadline: float) -> None:
        found: dict[str, set[Place]] = {name: set() for name in names}
        for row in await self._api.query(places_query(self._naming, names, PLACES_KEPT), deadline=deadline):
            name, instance = row.labels.get(self._naming.service, ""), row.labels.get("instance", "")
            if instance and name in found:
                found[name].add((row.labels.get("job", ""), instance))
        self._places |= found

    async def _find_usual(self, names: tuple[str, ...], deadline: float) -> None:
        """Of the last minute too: series that began a moment ago have a small rate over a longer time."""
        found = dict.fromkeys(names, 0.0)
        for seconds in (RANGE, LATELY):
            counted = f"rate({self._naming.requests}{{{matchers(self._naming, names)}}}[{span(seconds)}])"
            for row in await self._api.query(f"sum by ({self._naming.service}) ({counted})", deadline=deadline):
                name = row.labels.get(self._naming.service, "")
                if name in found and math.isfinite(row.value):
                    found[name] = max(found[name], row.value)
        self._usual |= found

    async def _find_splits(self, names: tuple[str, ...], deadline: float) -> None:
        if not self._naming.splitting:
            return
        found: dict[str, dict[str, set[str]]] = {name: {} for name in names}
        for row in await self._api.query(splits_query(self._naming, names, RANGE), deadline=deadline):
            values = found.get(row.labels.get(self._naming.service, ""), {})
            for label in self._naming.splitting:
                values.setdefault(label, set()).add(row.labels.get(label, ""))
        for name, values in found.items():
            self.mixed[name] = {label: tuple(sorted(some)) for label, some in values.items() if len(some) > 1}

    async def _stamps(self, best: QuerySeries, deadline: float) -> list[float]:
        """When the newest samples of one series were taken, epoch seconds."""
        labels = ", ".join(
            f"{label}={text_of(value)}" for label, value in sorted(best.labels.items()) if label != "__name__"
        )
        for within in (RANGE * min(1.0, ENOUGH / max(1.0, best.value)), RANGE):  # it may be of a target that is gone
            rows = await self._api.query(f"{self._naming.requests}{{{labels}}}[{span(within)}]", deadline=deadline)
            if stamps := sorted({at for row in rows for at, _ in row.points}):
                return stamps[-ENOUGH:]
        return []

    def _take(self, name: str, stamps: list[float], now: float) -> None:
        steps = [after - before for before, after in pairwise(stamps)]
        if stamps:
            self._intervals[name] = median(steps) if steps else None
        elif name in self._intervals:
            del self._intervals[name]
        self._due[name] = now + (EVERY if len(stamps) >= SETTLED else SOON)
