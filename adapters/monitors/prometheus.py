"""Prometheus (2.x and 3.x) and what answers like it: the figures of the estate's services, and their last hour.

Only `/api/v1/query` and `/api/v1/query_range` are asked, which Thanos, Mimir and VictoriaMetrics have too. How often
samples come is measured in the samples themselves: it needs no further right, and is true whoever scrapes.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from adapters.context import AdapterContext, Polled
from adapters.monitors.endpoint import Single
from adapters.monitors.figures import FALLING_SHARE, Naming, Tally, ratio
from adapters.monitors.places import Places, Silent
from adapters.monitors.processes import KEPT, ProcessWatch
from adapters.monitors.promql import (
    FIGURE,
    NOW,
    PromApi,
    QuerySeries,
    bound_of,
    figures_query,
    groups,
    hour_query,
    place_queries,
)
from adapters.monitors.server_clock import ServerClock
from adapters.monitors.survey import Survey
from adapters.monitors.wholeness import Counting, wholeness_query
from adapters.net.http_read import HttpReader
from state.api.views.history import POINTS, STEP
from state.errors import ReadFailure, Trouble
from state.units import short_duration, utc
from state.world.readings import MetricsReading, PastPoint, Scraping

KIND = "prometheus"
SLOW = 10.0
"""Seconds that a question in the background may take: it holds up no figures."""
LOOK_AGAIN = 60.0
"""Seconds until the last hour is asked for again when that failed or gave nothing."""
AGES = ("age", "age_before")
"""Ages of a service's newest sample: by an instant, and by a range where the instant may be past its look-back."""
STANDS_STILL = 10.0
"""Seconds after which an answer is no reading any more; the samples of a younger one are so much older."""
GAP = 3 * STEP
"""Seconds without figures after which the hour is asked for again."""


class PrometheusOptions(Single, Naming):
    """`url` of the server (with its path prefix, if any), and the names of the metrics."""


OPTIONS = PrometheusOptions


class Prometheus:
    """One server's API, asked for these services only, as they are called there."""

    def __init__(self, name: str, reader: HttpReader, naming: Naming, services: Sequence[str]) -> None:
        self.name = name
        self._api = PromApi(name, reader)
        self._naming = naming
        self._services = tuple(services)
        self._survey = Survey(self._api, naming, self._services)
        self._processes = ProcessWatch()
        self._broken: dict[str, float] = {}
        """Until when a service has a counter with parts of a request: its values are whole at times."""
        self._clock = ServerClock()
        self._silent: Silent = {}
        self._background: asyncio.Task[None] | None = None
        self._failed: ReadFailure | None = None
        self._past: dict[str, tuple[PastPoint, ...]] = {}
        self._last = time.monotonic()
        self._look_back = True
        self._next_look = 0.0

    async def read(self, *, deadline: float) -> MetricsReading:
        """The figures of every service, or why it has none. Raises ReadFailure."""
        if not self._services:  # whether it answers is told all the same
            await self._api.query("vector(1)", deadline=deadline)
            return MetricsReading({})
        until = time.monotonic() + deadline
        await self._learn(deadline)
        known = [name for name in self._services if name in self._survey.intervals]
        paces = {name: self._survey.pace(name) for name in known}
        ages: dict[str, float] = {}
        tally = Tally()
        left = max(0.01, until - time.monotonic())
        grouped = list(groups(paces))
        figured = [
            ask(self._naming, names, pace) for ask in (figures_query, wholeness_query) for pace, names in grouped
        ]
        asked, wanted = time.monotonic(), self._asked_places()
        answers = await self._answers([*figured, *(query for _, query in wanted)], left)
        old = self._age(answers, asked)
        for row in (row for rows in answers[: len(grouped)] for row in rows):
            self._take(tally, ages, row)
        parts = (row for rows in answers[len(grouped) : len(figured)] for row in rows)
        counting = Counting(tally, self._naming, parts)
        places = self._places([pace for pace, _ in wanted], answers[len(figured) :], counting)
        scrapings: dict[str, Scraping | None] = dict.fromkeys(self._services)
        scrapings.update({name: self._survey.pace(name, _sum(ages.get(name), old)) for name in paces})
        if self._survey.counts_up is False:
            tally.uncounted = set(self._services)
        tally.uncounted |= {name for name, until in self._broken.items() if time.monotonic() < until}
        tally.several = self._processes.several(time.monotonic())
        if time.monotonic() - self._last > GAP:
            self._look_back, self._next_look = True, 0.0
        self._last = time.monotonic()
        past, self._past = self._past, {}
        figures = tally.traffic(scrapings, self._naming)
        mixed = self._survey.mixed
        told = {name: replace(places.told(each), mixed=mixed.get(name, {})) for name, each in figures.items()}
        return MetricsReading(told, past)

    def _asked_places(self) -> list[tuple[Scraping, str]]:
        """What is asked of the scrape targets of each service."""
        paces = {name: self._survey.pace(name) for name in self._services}
        return [
            (pace, query)
            for pace, names in groups(paces)
            for query in place_queries(self._survey.places(names), pace.limit)
        ]

    def _places(
        self, asked: Sequence[Scraping], answers: Sequence[Sequence[QuerySeries]], counting: Counting
    ) -> Places:
        """What became of the scrape targets of each service, from an answer for each of these paces."""
        places, now = Places(self._silent, counting), time.time()
        for pace, rows in zip(asked, answers, strict=True):
            for row in rows:
                place = row.labels.get("job", ""), row.labels.get("instance", "")
                figure = row.labels.get(FIGURE, "")
                for name in self._survey.counted_at(place):
                    places.take(name, place, figure, now - pace.limit)
                    if figure == "several":
                        self._processes.tell(name, time.monotonic())
        for name in self._services:
            self._survey.learn(name, counting.now(name))
            places.settle(name, now - self._survey.pace(name).limit)
        self._silent = places.silent()
        if places.gone:
            self._survey.soon(time.monotonic())  # what came in their place is not known yet
        return places

    async def _answers(self, queries: Sequence[str], deadline: float) -> list[list[QuerySeries]]:
        """The answers to some queries, asked at the same time. Raises ReadFailure."""
        return await asyncio.gather(*(self._api.query(query, deadline=deadline) for query in queries))

    def _age(self, answers: Sequence[Sequence[QuerySeries]], asked: float) -> float:
        """How old the oldest of these answers is, at least. Raises ReadFailure when it is none of now."""
        told = [[row.value for row in rows if row.labels.get(FIGURE) == NOW] for rows in answers]
        if not told:
            return 0.0  # nothing was asked, and nothing is said
        if not all(len(each) == 1 and math.isfinite(each[0]) for each in told):
            raise ReadFailure(
                Trouble.ERROR, f"{self.name} does not tell its time: nobody knows of when its answers are"
            )
        oldest = min(each[0] for each in told)
        old = self._clock.take(oldest, asked, time.monotonic(), time.time())
        if old > STANDS_STILL:
            why = "a cache is in front of it, or servers whose clocks differ"
            raise ReadFailure(
                Trouble.ERROR, f"{self.name} answers as of {utc(oldest)}, {short_duration(old)} ago: {why}"
            )
        if not self._clock.proven:
            why = "its clock differs, or a cache is in front of it; the next answers tell"
            raise ReadFailure(Trouble.ERROR, f"{self.name} answers as of {utc(oldest)}, which is not now here: {why}")
        return old

    async def _learn(self, deadline: float) -> None:
        """See to it that the intervals are known; later on they are measured again in the background."""
        now = time.monotonic()
        if self._background is None and (self._survey.due(now) or (self._look_back and now >= self._next_look)):
            self._background = asyncio.create_task(self._study(), name=f"intervals of {self.name}")
        if self._survey.done or self._background is None:
            return
        await asyncio.wait({self._background}, timeout=deadline)
        if not self._survey.done:
            slow = ReadFailure(Trouble.TIMEOUT, f"{self.name} did not tell its samples within {deadline:g} s")
            raise self._failed or slow

    async def _study(self) -> None:
        """Measure the intervals, and fetch the last hour where it is wanted. A failure is tried again."""
        try:
            now = time.monotonic()
            if self._survey.due(now):
                await self._survey.make(now, deadline=SLOW)
            self._failed = None
            if self._look_back and time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + LOOK_AGAIN
                await self._remember()
        except ReadFailure as failure:
            self._failed = failure
        finally:
            self._background = None

    async def _remember(self) -> None:
        """Fetch the last hour. Raises ReadFailure."""
        end = time.time() // STEP * STEP
        paces = {name: self._survey.pace(name) for name in self._survey.intervals}
        for pace, names in groups(paces):
            query = hour_query(self._naming, names, pace)
            rows = await self._api.query_range(query, end - POINTS * STEP, end, STEP, deadline=SLOW)
            for name in names:
                mine = [row for row in rows if row.labels.get(self._naming.service, "") == name]
                if points := _past(mine, self._naming):
                    self._past[name] = points
        self._look_back = not self._past

    def _take(self, tally: Tally, ages: dict[str, float], row: QuerySeries) -> None:
        service, value = row.labels.get(self._naming.service, ""), row.value
        pair = (service, row.labels.get(self._naming.release, ""))
        figure = row.labels.get(FIGURE)
        if figure in AGES and math.isfinite(value):
            ages[service] = min(ages.get(service, math.inf), max(0.0, value))
        elif figure == "bucket":
            tally.add_bucket(pair, bound_of(row), value)
        elif figure == "several":
            self._processes.tell(service, time.monotonic())
        elif figure == "broken":
            self._broken[service] = time.monotonic() + KEPT
        elif figure == "falls" and value >= FALLING_SHARE:
            tally.falling.add(service)
        elif figure in ("rate", "born"):
            if not math.isfinite(value):
                tally.spoiled.add(service)
            tally.add_rate(pair, value, row.labels.get(self._naming.code, ""), self._naming)
            if figure == "born":
                tally.add_unsure(pair, -value, row.labels.get(self._naming.code, ""), self._naming)
        elif figure == "new":
            tally.add_unsure(pair, value, row.labels.get(self._naming.code, ""), self._naming)

    async def close(self) -> None:
        """End what is under way, and the connections."""
        if self._background is not None:
            self._background.cancel()
            await asyncio.wait({self._background})
        await self._api.close()


def _sum(age: float | None, more: float) -> float | None:
    return None if age is None else age + more


def _finite(value: float | None, unit: float | None) -> float | None:
    """A figure in seconds; None where there is none, as of a time without a request, which has no percentile."""
    made = None if value is None or unit is None else value * unit
    return made if made is not None and math.isfinite(made) else None


def _past(rows: Sequence[QuerySeries], naming: Naming) -> tuple[PastPoint, ...]:
    """One service's points of a range query."""
    unit, p99 = naming.seconds, dict[float, float]()
    tallies: defaultdict[float, Tally] = defaultdict(Tally)
    for row in rows:
        if row.labels.get(FIGURE) == "p99":
            p99 = dict(row.points)
            continue
        for at, value in row.points:
            tallies[at].add_rate(("", ""), value, row.labels.get(naming.code, ""), naming)
    return tuple(
        (
            at,
            None if tally.untold else ratio(tally.errors.get(("", ""), 0.0), rate),
            rate if math.isfinite(rate) else None,
            _finite(p99.get(at), unit),
        )
        for at, tally in sorted(tallies.items())
        for rate in tally.rates.values()
    )


def build(name: str, options: PrometheusOptions, context: AdapterContext) -> Sequence[Polled]:
    """The source `metrics:{name}`."""
    reader = options.reader(name, options.url, context)
    server = Prometheus(name, reader, options, context.watched.get(name, ()))
    return [context.source(f"metrics:{name}", server.read, server.close)]
