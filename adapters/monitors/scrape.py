"""Metrics read from the services themselves: used without Prometheus, or as its fallback."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import model_validator

from adapters.context import AdapterContext, Polled
from adapters.monitors.endpoint import Endpoint
from adapters.monitors.exposition import ACCEPT, Exposition
from adapters.monitors.figures import WINDOW_SAMPLES, Naming, Tally
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from adapters.net.origin import PageUrl, locate
from state.errors import ReadFailure, Trouble
from state.estate.model import Entry, MonitorEntry, Name
from state.estate.values import SiteName
from state.world.readings import MetricsReading, Scraping

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


class ScrapeOptions(MonitorEntry, Endpoint, Naming):
    """`targets` by name, and the names of their metrics."""

    targets: Mapping[Name, ScrapeTarget]

    @model_validator(mode="after")
    def _plain_text_on_loopback(self) -> ScrapeOptions:
        self.check_plain({("targets", name, "url"): target.url for name, target in self.targets.items()})
        return self


OPTIONS = ScrapeOptions


@dataclass(frozen=True, slots=True)
class TargetFigures:
    """What a target's recent answers say; `newest`: when each service's last samples were taken, monotonic seconds."""

    newest: Mapping[str, float]
    tally: Tally


class _Scraped:
    """One target with its recent answers, which only the reading of a page touches: one page at a time."""

    def __init__(self, reader: HttpReader, path: str, answers: Exposition, share: float) -> None:
        self.reader, self.found, self.pace = reader, _nothing(), 0.0
        self._path, self._answers, self._share = path, answers, share
        self._reading: asyncio.Task[TargetFigures] | None = None
        self._next, self._cost = -math.inf, 0.0

    async def ask(self, deadline: float) -> ReadFailure | None:
        """Scrape once, unless the last page is still being read or its reading took so long that the next must wait.

        A failure is returned, and earlier answers stay until they are too old.
        """
        until = time.monotonic() + deadline
        if self._reading is None and time.monotonic() < self._next:
            return None
        try:
            if self._reading is None:
                page = await self.reader.page(self._path, deadline=deadline, cap=LARGEST)
                now = time.monotonic(), time.time()
                if len(page.body) <= LARGE:
                    self.found = self._read(page, *now)
                    return None
                self._reading = asyncio.create_task(asyncio.to_thread(self._read, page, *now))
            done, _ = await asyncio.wait({self._reading}, timeout=max(0.0, until - time.monotonic()))
            if not done:
                slow = ReadFailure(Trouble.TIMEOUT, f"the metrics of {self.reader.origin.netloc} are still being read")
                return None if self.found.newest else slow
            reading, self._reading = self._reading, None
            self.pace = self._cost / self._share
            self._next = time.monotonic() + self.pace
            self.found = reading.result()
        except ReadFailure as error:
            return error
        return None

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
        if not self._services:
            raise ReadFailure(Trouble.EMPTY, f"no service of the estate has its metrics at {self.name}")
        failures = await asyncio.gather(*(target.ask(deadline) for target in self._targets))
        now = time.monotonic()
        scrapings: dict[str, Scraping | None] = dict.fromkeys(self._services)
        tally = Tally()
        for target in self._targets:
            every, found = max(self._every, target.pace), target.found
            limit = self._naming.scraping(every).limit
            tally.add(found.tally, {name for name, newest in found.newest.items() if now - newest <= limit})
            for service, newest in found.newest.items():
                age, known = now - newest, scrapings[service]
                scraping = self._naming.scraping(every, age)
                if known is None or known.age is None or age < known.age:
                    scrapings[service] = scraping
        for failure in failures:
            if failure is not None and all(failures):
                raise failure
        return MetricsReading(tally.traffic(scrapings, self._naming.code))

    async def close(self) -> None:
        for target in self._targets:
            await target.close()


def tally_of(answers: Exposition) -> Tally:
    """The rates of one target by service and release."""
    tally = Tally(spoiled=set(answers.spoiled), falling=answers.falling())
    for series, rate in answers.rates().items():
        pair = (series.service, series.release)
        if series.le is None:
            tally.add_rate(pair, rate, series.code, answers.naming)
        else:
            tally.add_bucket(pair, series.le, rate)
    return tally


def build(name: str, options: ScrapeOptions, context: AdapterContext) -> Sequence[Polled]:
    """The source `metrics:{name}`."""
    targets = []
    services, every = context.watched.get(name, ()), context.polling.every
    for target in options.targets.values():
        origin, path = locate(target.url)
        answers = Exposition(options, services, options.scraping(every).window)
        reader = options.reader(origin, context, ACCEPT)
        targets.append(_Scraped(reader, path, answers, SHARE / len(options.targets)))
    scrape = Scrape(name, targets, options, services, every)
    return [context.source(f"metrics:{name}", scrape.read, scrape.close)]
