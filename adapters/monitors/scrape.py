"""Metrics read from the services themselves: used without Prometheus, or as its fallback."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence

from pydantic import model_validator

from adapters.context import AdapterContext, Polled
from adapters.monitors.endpoint import Endpoint
from adapters.monitors.exposition import ACCEPT, Exposition
from adapters.monitors.figures import Naming, Tally
from adapters.net.http_read import HttpReader
from adapters.net.origin import PageUrl, locate
from state.errors import ReadFailure, Trouble
from state.estate.model import Entry, MonitorEntry, Name
from state.estate.values import SiteName
from state.world.readings import MetricsReading, Scraping

KIND = "scrape"
LARGE = 64 << 10
"""Bytes of a page from which on it is read beside the event loop."""


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


class _Scraped:
    """One target with its recent answers."""

    def __init__(self, reader: HttpReader, path: str, answers: Exposition) -> None:
        self.reader, self.answers = reader, answers
        self._path = path

    async def ask(self, deadline: float) -> ReadFailure | None:
        """Scrape once; a failure is returned, and earlier answers stay until they leave the window."""
        try:
            page = await self.reader.page(self._path, deadline=deadline)
            at, wall = time.monotonic(), time.time()
            if len(page.body) > LARGE:
                await asyncio.to_thread(self.answers.take, page.body, at, wall, page.media)
            else:
                self.answers.take(page.body, at, wall, page.media)
        except ReadFailure as error:
            return error
        return None


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
        limit = self._naming.scraping(self._every).limit
        scrapings: dict[str, Scraping | None] = dict.fromkeys(self._services)
        for target in self._targets:
            target.answers.forget(now)
            for service in target.answers.services():
                newest, known = target.answers.newest(service), scrapings[service]
                if newest is None:
                    continue
                age = now - newest
                if known is None or known.age is None or age < known.age:
                    scrapings[service] = self._naming.scraping(self._every, age)
        for failure in failures:
            if failure is not None and all(failures):
                raise failure
        return MetricsReading(tally_up((target.answers for target in self._targets), now - limit).traffic(scrapings))

    async def close(self) -> None:
        for target in self._targets:
            await target.reader.close()


def tally_up(answers: Iterable[Exposition], oldest: float = -math.inf) -> Tally:
    """Sum the rates of several targets into figures by service and release.

    A target's services whose newest samples are older than `oldest` (monotonic seconds) are left out.
    """
    tally = Tally()
    for each in answers:
        services = {name for name in each.services() if (each.newest(name) or -math.inf) >= oldest}
        tally.spoiled |= each.spoiled & services
        for series, rate in each.rates().items():
            pair = (series.service, series.release)
            if series.service not in services:
                continue
            if series.le is None:
                tally.add_rate(pair, rate, series.code)
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
        targets.append(_Scraped(options.reader(origin, context, ACCEPT), path, answers))
    scrape = Scrape(name, targets, options, services, every)
    return [context.source(f"metrics:{name}", scrape.read, scrape.close)]
