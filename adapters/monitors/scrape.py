"""Metrics read from the services themselves: used without Prometheus, or as its fallback."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from adapters.context import AdapterContext, Polled
from adapters.monitors.endpoint import Endpoint
from adapters.monitors.exposition import ACCEPT, Exposition
from adapters.monitors.figures import WINDOW_SAMPLES, Naming, Tally
from adapters.monitors.histograms import Buckets, excess
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from adapters.net.origin import PageUrl, locate
from state.config_files.paths import Path
from state.errors import ReadFailure, Trouble
from state.estate.model import Entry, Name
from state.estate.values import SiteName
from state.world.readings import Lack, MetricsReading, MissingTarget, Scraping

KIND = "scrape"
LARGE = 64 << 10
"""Bytes of a page from which on it is read beside the event loop."""
LARGEST = 8 << 20
"""Bytes of a page above which it is refused."""
SHARE = 0.2
"""The share of time that reading the large pages of one monitor may take; the next page waits for it."""


class ScrapeTarget(Entry):
    """One server's metrics page and its site."""

    site: SiteName
    url: PageUrl


class ScrapeOptions(Endpoint, Naming):
    """`targets` by name, and the names of their metrics."""

    targets: Mapping[Name, ScrapeTarget]

    @property
    def urls(self) -> Mapping[Path, str]:
        return {("targets", name, "url"): target.url for name, target in self.targets.items()}


OPTIONS = ScrapeOptions


@dataclass(frozen=True, slots=True)
class TargetFigures:
    """What a target's recent answers say; `newest`: when each service's last samples were taken, monotonic seconds."""

    newest: Mapping[str, float]
    tally: Tally


class _Scraped:
    """One target with its recent answers, which only the reading of a page touches: one page at a time."""

    def __init__(self, name: str, reader: HttpReader, path: str, answers: Exposition, share: float) -> None:
        self.name = name
        self.reader, self.found, self.pace = reader, _nothing(), 0.0
        self.heard: float | None = None
        self._counted: dict[str, float] = {}
        """When each service was counted last in a good answer, epoch seconds."""
        self.failure: ReadFailure | None = None
        self._path, self._answers, self._share = path, answers, share
        self._reading: asyncio.Task[TargetFigures] | None = None
        self._next, self._cost = -math.inf, 0.0

    async def ask(self, deadline: float) -> None:
        """Scrape once, unless the last page is still being read or its reading took so long that the next must wait.

        `failure` is why there is no good answer now; earlier answers stay until they are too old.
        """
        if self._reading is None and time.monotonic() < self._next:
            return
        try:
            found = await self._ask(time.monotonic() + deadline)
        except ReadFailure as error:
            self.failure = error
            return
        self.failure = None
        if found is not None:
            self.found, self.heard = found, time.time()
            self._counted |= dict.fromkeys(found.newest, self.heard)

    async def _ask(self, until: float) -> TargetFigures | None:
        """The figures with those of a new page; None while a large one is being read. Raises ReadFailure."""
        if self._reading is None:
            page = await self.reader.page(self._path, deadline=until - time.monotonic(), cap=LARGEST)
            now = time.monotonic(), time.time()
            if len(page.body) <= LARGE:
                return self._read(page, *now)
            self._reading = asyncio.create_task(asyncio.to_thread(self._read, page, *now))
        done, _ = await asyncio.wait({self._reading}, timeout=max(0.0, until - time.monotonic()))
        if not done:
            if self.found.newest:
                return None
            raise ReadFailure(Trouble.TIMEOUT, f"the metrics of {self.reader.origin.netloc} are still being read")
        reading, self._reading = self._reading, None
        self.pace = self._cost / self._share
        self._next = time.monotonic() + self.pace
        return reading.result()

    def expected(self, service: str) -> bool:
        """Whether figures of a service without this target lack something: it counted it once, or nothing yet."""
        return service in self._counted or not self._counted

    def missing(self, services: Sequence[str], fresh: Collection[str]) -> Iterator[tuple[str, MissingTarget]]:
        """The services whose figures lack this target; of those in `fresh` it has new samples."""
        tally, failure = self.found.tally, self.failure
        figured = (
            tally.spoiled | tally.falling | tally.several | tally.uncounted | {service for service, _ in tally.rates}
        )
        for service in services:
            known = service in self._counted
            if not self.expected(service) or (service in fresh and service in figured):
                continue
            if failure is not None:
                yield service, MissingTarget(self.name, known, failure.trouble, failure.message, since=self.heard)
            elif not known:
                yield service, MissingTarget(self.name, known, lack=Lack.NO_SERIES)
            elif service in fresh:
                yield service, MissingTarget(self.name, known, lack=Lack.FEW_SAMPLES)
            elif service in self.found.newest:
                yield service, MissingTarget(self.name, known, lack=Lack.OLD, since=self.heard)
            else:
                yield service, MissingTarget(self.name, known, lack=Lack.NO_LONGER, since=self._counted[service])

    def _read(self, page: Reply, at: float, wall: float) -> TargetFigures:
        """Take in a page; beside the event loop when it is large. Raises ReadFailure."""
        began = time.thread_time()
        try:
            self._answers.window = max(self._answers.window, WINDOW_SAMPLES * self.pace)
            self._answers.take(page.body, at, wall, page.media)
            self._answers.forget(at)
            newest = {name: self._answers.newest(name) for name in self._answers.services()}
            return TargetFigures({name: at for name, at in newest.items() if at is not None}, tally_of(self._answers))
        finally:
            self._cost = time.thread_time() - began

    async def close(self) -> None:
        """End the connections; a page that is being read is read to its end, for nobody."""
        if self._reading is not None:
            self._reading.cancel()
        await self.reader.close()


def _nothing() -> TargetFigures:
    return TargetFigures({}, Tally())


class Scrape:
    """All targets of one monitor, scraped at the same time, for these services only."""

    def __init__(
        self, name: str, targets: Sequence[_Scraped], naming: Naming, services: Sequence[str], every: float
    ) -> None:
        self.name = name
        self._targets, self._naming = targets, naming
        self._services, self._every = tuple(services), every

    async def read(self, *, deadline: float) -> MetricsReading:
        """The figures over all targets that answer. Raises ReadFailure when none does."""
        await asyncio.gather(*(target.ask(deadline) for target in self._targets))
        now = time.monotonic()
        failed = [(target.name, target.failure) for target in self._targets if target.failure is not None]
        if failed and len(failed) == len(self._targets):
            raise _united(failed)
        scrapings: dict[str, Scraping | None] = dict.fromkeys(self._services)
        missing: dict[str, list[MissingTarget]] = {name: [] for name in self._services}
        counted = dict.fromkeys(self._services, 0)
        tally = Tally()
        for target in self._targets:
            every, found = max(self._every, target.pace), target.found
            limit = self._naming.scraping(every).limit
            fresh = {name for name, newest in found.newest.items() if now - newest <= limit}
            tally.add(found.tally, fresh)
            for service, lost in target.missing(self._services, fresh):
                missing[service].append(lost)
            for service in self._services:
                counted[service] += target.expected(service)
            for service, newest in found.newest.items():
                age, known = now - newest, scrapings[service]
                scraping = self._naming.scraping(every, age)
                if known is None or known.age is None or age < known.age:
                    scrapings[service] = scraping
        figures = tally.traffic(scrapings, self._naming)
        return MetricsReading(
            {n: replace(each, missing=tuple(missing[n]), targets=counted[n]) for n, each in figures.items()}
        )

    async def close(self) -> None:
        for target in self._targets:
            await target.close()


def _united(failed: Sequence[tuple[str, ReadFailure]]) -> ReadFailure:
    """Why no target answers, each by its name where there are several."""
    if len(failed) == 1:
        return failed[0][1]
    troubles = {failure.trouble for _, failure in failed}
    message = "; ".join(f"{name}: {failure.message}" for name, failure in failed)
    if troubles <= {Trouble.TIMEOUT, Trouble.UNREACHABLE} and len(troubles) > 1:
        return ReadFailure(Trouble.UNREACHABLE, message)
    return ReadFailure(troubles.pop() if len(troubles) == 1 else Trouble.ERROR, message)


def tally_of(answers: Exposition) -> Tally:
    """The rates of one target by service and release."""
    tally = Tally(spoiled=set(answers.spoiled), falling=answers.falling(), several=answers.several())
    tally.uncounted = answers.uncounted()
    histograms: defaultdict[tuple[str, str], Buckets] = defaultdict(dict)
    rates, unsure = answers.rates()
    for series, rate in unsure.items():
        tally.add_unsure((series.service, series.release), rate, series.code, answers.naming)
    for series, rate in rates.items():
        pair = (series.service, series.release)
        if series.le is None:
            tally.add_rate(pair, rate, series.code, answers.naming)
        else:
            tally.add_bucket(pair, series.le, rate)
            histograms[series.service, series.histogram][series.le] = rate
    for (service, _), buckets in histograms.items():
        if lacking := excess(buckets):
            tally.add_uneven(service, lacking)
    tally.untimed = tally.lacking_times(dict.fromkeys(answers.services(), answers.window))
    for series in answers.spoiled_buckets:
        assert series.le is not None
        tally.add_bucket((series.service, series.release), series.le, math.nan)
    return tally


def build(name: str, options: ScrapeOptions, context: AdapterContext) -> Sequence[Polled]:
    """The source `metrics:{name}`."""
    targets = []
    services, every = context.watched.get(name, ()), context.polling.every
    for key, target in options.targets.items():
        origin, path = locate(target.url)
        answers = Exposition(options, services, options.scraping(every).window)
        reader = options.reader(name, origin, context, ACCEPT)
        targets.append(_Scraped(key, reader, path, answers, SHARE / len(options.targets)))
    scrape = Scrape(name, targets, options, services, every)
    return [context.source(f"metrics:{name}", scrape.read, scrape.close)]
