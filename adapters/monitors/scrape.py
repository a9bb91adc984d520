"""Metrics read from the services themselves: used without Prometheus, or as its fallback."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pydantic import model_validator

from adapters.context import AdapterContext, Polled
from adapters.monitors.endpoint import Endpoint
from adapters.monitors.exposition import ACCEPT, Exposition
from adapters.monitors.figures import QUANTILE, Naming, Pair, Tally, quantile
from adapters.net.http_read import HttpReader
from adapters.net.origin import PageUrl, locate
from state.errors import ReadFailure, Trouble
from state.estate.model import Entry, MonitorEntry, Name
from state.estate.values import SiteName
from state.world.readings import MetricsReading

KIND = "scrape"


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

    def __init__(self, reader: HttpReader, path: str, naming: Naming) -> None:
        self.reader = reader
        self.answers = Exposition(naming)
        self._path = path

    async def ask(self, deadline: float) -> ReadFailure | None:
        """Scrape once; a failure is returned, and earlier answers stay until they leave the window."""
        try:
            body = await self.reader.get(self._path, deadline=deadline)
            self.answers.take(body, time.monotonic())
        except ReadFailure as error:
            return error
        return None


class Scrape:
    """All targets of one monitor, scraped at the same time."""

    def __init__(self, name: str, targets: Sequence[_Scraped], naming: Naming) -> None:
        self.name = name
        self._targets = targets
        self._naming = naming

    async def read(self, *, deadline: float) -> MetricsReading:
        """The figures over all targets that answer. Raises ReadFailure when none does or none counts requests."""
        failures = await asyncio.gather(*(target.ask(deadline) for target in self._targets))
        now = time.monotonic()
        fresh = []
        for target in self._targets:
            target.answers.forget(now)
            newest = target.answers.newest
            if newest is not None and now - newest <= self._naming.sample_limit:
                fresh.append((now - newest, target.answers))
        for failure in failures:
            if failure is not None and all(failures):
                raise failure
        tally = tally_up(answers for _, answers in fresh)
        if not tally.services:
            raise ReadFailure(Trouble.EMPTY, f"no target of {self.name} counts {self._naming.requests}")
        return MetricsReading(tally.traffic(), min(age for age, _ in fresh))

    async def close(self) -> None:
        for target in self._targets:
            await target.reader.close()


def tally_up(answers: Iterable[Exposition]) -> Tally:
    """Sum the rates of several targets into figures by service and release."""
    tally = Tally()
    buckets: dict[Pair, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    totals: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for each in answers:
        tally.services |= each.services()
        for series, rate in each.rates().items():
            pair = (series.service, series.release)
            if series.le is not None:
                buckets[pair][series.le] += rate
                totals[series.service][series.le] += rate
                continue
            tally.rates[pair] = tally.rates.get(pair, 0.0) + rate
            if len(series.code) == 3 and series.code.startswith("5"):
                tally.errors[pair] = tally.errors.get(pair, 0.0) + rate
    for pair, counts in buckets.items():
        if (value := quantile(QUANTILE, counts)) is not None:
            tally.p99[pair] = value
    for service, counts in totals.items():
        if (value := quantile(QUANTILE, counts)) is not None:
            tally.service_p99[service] = value
    return tally


def build(name: str, options: ScrapeOptions, context: AdapterContext) -> Sequence[Polled]:
    """The source `metrics:{name}`."""
    targets = []
    for target in options.targets.values():
        origin, path = locate(target.url)
        targets.append(_Scraped(options.reader(origin, context, ACCEPT), path, options))
    scrape = Scrape(name, targets, options)
    return [context.source(f"metrics:{name}", scrape.read, scrape.close)]
