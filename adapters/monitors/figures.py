"""The figures of every monitor, computed in one way: requests/s, share of 5xx, and a latency quantile.

Definitions follow Prometheus: `rate` (without extrapolation) and `histogram_quantile` with linear interpolation
inside a bucket.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from adapters.monitors.histograms import QUANTILE, TIMED, UNEVEN, Buckets, Percentile, quantile
from state.config_files.findings import refuse
from state.estate.model import Entry, Seconds
from state.world.readings import Lack, ReleaseTraffic, Scraping, ServiceTraffic

Pair = tuple[str, str]
SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
METRIC = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"
LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
SPLITTING = ("env", "environment", "stage", "reporter")
"""Labels that tell apart what one service does not sum: places it is tried in, and two reports of one request."""
COUNTING, UNSAID = frozenset({"counter", "histogram", "summary"}), frozenset({"", "unknown", "untyped"})
"""Declared types of metrics that count up, and those that say nothing."""
COUNTERS = ("_total", "_count", "_sum", "_bucket")
"""How the names of counters end."""
RATES = re.compile(
    r":(rate|irate|increase|delta|idelta|deriv|avg|ratio)[^:]*$|[_:](i?rate|increase|i?delta)?\d+[smhd](?=[_:]|$)"
)
"""What the name of a recording rule has whose result does not count up: how it was computed, or over how long."""
LEAST = 10.0
"""Seconds below which neither window nor limit follows the interval: a poll may come late."""
FALLS_LOOKED_AT = 20
"""Samples in which falls are counted: a counter falls when its server restarts."""
FALLS_AT_LEAST, FALLING_SHARE = 2, 0.34
"""What falls so often, and in such a share of its samples, is no counter: a server that restarts all the time is read
a few times in between."""
ROUNDING = 1e-9
"""The share of a sum that its computation may add."""
FEW_REQUESTS = 8
"""With fewer in it a window shows by chance whether there were any: it is made longer, up to the longest."""
LONGER = (10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds of the windows of services with few requests."""
WINDOW_SAMPLES = 4.0
"""Intervals in the window: a rate needs two samples, and a scrape may fail."""
LIMIT_SAMPLES = 2.5
"""Intervals after which a sample is too old: one scrape may fail, two may not. The window still holds two then."""


class TimeUnit(StrEnum):
    """The unit of a histogram of durations."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"


UNITS = {TimeUnit.SECONDS: 1.0, TimeUnit.MILLISECONDS: 1e-3, TimeUnit.MICROSECONDS: 1e-6, TimeUnit.NANOSECONDS: 1e-9}
"""In seconds."""


class Naming(Entry):
    """The names of the metrics and labels, the window of rates, and the age at which a sample is too old.

    Without `window` and `stale_after` both follow the interval at which samples come.
    """

    requests: str = Field(default="http_requests_total", pattern=METRIC)
    durations: str = Field(default="http_request_duration_seconds_bucket", pattern=METRIC)
    service: str = Field(default="service", pattern=LABEL)
    release: str = Field(default="release", pattern=LABEL)
    code: str = Field(default="code", pattern=LABEL)
    labels: Mapping[Annotated[str, Field(pattern=LABEL)], tuple[Annotated[str, Field(min_length=1)], ...]] = Field(
        default_factory=dict
    )
    """Only series with one of these values in each of these labels are read."""
    unit: TimeUnit | None = None
    """The unit of `durations`; without it, that of its name."""
    errors: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Values of `code` that failed requests have; without them, those of HTTP."""
    window: Seconds | None = None
    stale_after: Seconds | None = None

    @property
    def failed(self) -> str:
        """The values of `code` of failed requests: a whole-match pattern that Python and RE2 read alike."""
        if self.errors:
            return "|".join(SPECIAL.sub(lambda sign: "\\" + sign[0], value) for value in self.errors)
        return "5[0-9][0-9]|5[xX][xX]" + ("|5" if self._classes else "")

    @property
    def told(self) -> str:
        """The values of `code` that tell whether a request failed, as `failed`. Where the estate names those of
        failed requests, every other value tells that it did not."""
        if self.errors:
            return ".+"
        return "[1-5][0-9][0-9]|[1-5][xX][xX]" + ("|[1-5]" if self._classes else "")

    @property
    def _classes(self) -> bool:
        """Whether one digit is a class of statuses (Envoy): elsewhere it may be a code of gRPC."""
        return "class" in self.code

    @model_validator(mode="after")
    def _labels_that_leave_a_whole(self) -> Naming:
        whole = (self.service, self.code, "le")
        other = f"a label other than {', '.join(whole)}"
        found = [(("labels", label), label, other) for label in self.labels if label in whole]
        found += [
            (("labels", label), "[]", "at least one value") for label, values in self.labels.items() if not values
        ]
        if found:
            refuse(type(self), found)
        return self

    def chosen(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is read."""
        return all(labels.get(label, "") in values for label, values in self.labels.items())

    @property
    def splitting(self) -> tuple[str, ...]:
        """The labels by which series of one service should not differ unless the estate names them."""
        return tuple(each for each in SPLITTING if each not in (*self.labels, self.service, self.release, self.code))

    def counts_up(self, kinds: Collection[str]) -> bool | None:
        """Whether `requests` counts up by its declared types, or else by its name; None where neither tells it."""
        if said := frozenset(kinds) - UNSAID:
            return not said.isdisjoint(COUNTING)
        if RATES.search(self.requests):
            return False
        return True if self.requests.endswith(COUNTERS) else None

    @property
    def seconds(self) -> float | None:
        """A unit of `durations` in seconds; None where neither the estate nor the metric's name tells it."""
        if self.unit is not None:
            return UNITS[self.unit]
        end = self.durations.removesuffix("_bucket").rpartition("_")[2]
        return next((UNITS[each] for each in TimeUnit if end in (each.value, each.name.lower())), None)

    def in_seconds(self, found: Percentile) -> Percentile:
        """A quantile in the unit of `durations` in seconds."""
        if found.value is None or self.seconds == 1.0:
            return found
        if self.seconds is None:
            return Percentile(None, lack=Lack.NO_UNIT)
        return found._replace(value=found.value * self.seconds)

    def scraping(self, interval: float | None, age: float | None = None, usual: float = 0.0) -> Scraping:
        """Window and limit for samples that come at this interval, in seconds; None while it is not known. `usual` is
        how many requests/s there are, 0 = not known."""
        steps = interval or 0.0
        longer = next((each for each in LONGER if usual * each >= FEW_REQUESTS), LONGER[-1]) if usual > 0 else 0.0
        window = self.window or max(LEAST, WINDOW_SAMPLES * steps, longer)
        return Scraping(interval, window, self.stale_after or max(LEAST, LIMIT_SAMPLES * steps), age)


@dataclass(slots=True)
class Tally:
    """Rates by service and release as they are found; a missing key means no data. `spoiled` services have a counter
    that is not a number: the rest of it would be half a figure. `falling` services are counted by what falls again and
    again, `several` by several processes at one address, `summed` by a sum that fell, `uncounted` by a gauge or a rate.
    `untold` requests are those of which nobody knows whether they failed, and why. `uneven` are the observations/s that
    histograms lack in one of their buckets, of `untimed` services some requests are in no histogram. `unsure` are
    failed requests/s of new series that may have had them before."""

    rates: dict[Pair, float] = field(default_factory=dict)
    errors: dict[Pair, float] = field(default_factory=dict)
    buckets: dict[Pair, Buckets] = field(default_factory=lambda: defaultdict(dict))
    spoiled: set[str] = field(default_factory=set)
    falling: set[str] = field(default_factory=set)
    several: set[str] = field(default_factory=set)
    summed: set[str] = field(default_factory=set)
    uncounted: set[str] = field(default_factory=set)
    untold: dict[Pair, Lack] = field(default_factory=dict)
    uneven: dict[str, float] = field(default_factory=dict)
    untimed: set[str] = field(default_factory=set)
    unsure: dict[Pair, float] = field(default_factory=dict)

    def add_rate(self, pair: Pair, rate: float, code: str, naming: Naming) -> None:
        """Requests/s of one release that were answered with this code; it is empty where there is none."""
        self.rates[pair] = self.rates.get(pair, 0.0) + rate
        if re.fullmatch(naming.failed, code):
            self.errors[pair] = self.errors.get(pair, 0.0) + rate
        elif rate > 0 and not re.fullmatch(naming.told, code):
            self.add_untold(pair, Lack.STRANGE_CODE if code else Lack.NO_CODE)

    def add_unsure(self, pair: Pair, rate: float, code: str, naming: Naming) -> None:
        """Requests/s of which nobody knows whether they were counted now or long ago; only failed ones matter."""
        if re.fullmatch(naming.failed, code):
            self.unsure[pair] = self.unsure.get(pair, 0.0) + rate

    def add_untold(self, pair: Pair, lack: Lack) -> None:
        """There were requests of which nobody knows whether they failed."""
        self.untold[pair] = lack

    def add(self, other: Tally, services: Collection[str]) -> None:
        """Take in what was found of these services at another target."""
        for mine, theirs in (
            (self.rates, other.rates),
            (self.errors, other.errors),
            (self.unsure, other.unsure),
        ):
            for pair, rate in theirs.items():
                if pair[0] in services:
                    mine[pair] = mine.get(pair, 0.0) + rate
        for pair, buckets in other.buckets.items():
            for bound, rate in buckets.items() if pair[0] in services else ():
                self.add_bucket(pair, bound, rate)
        self.spoiled |= other.spoiled.intersection(services)
        self.falling |= other.falling.intersection(services)
        self.several |= other.several.intersection(services)
        self.uncounted |= other.uncounted.intersection(services)
        self.untimed |= other.untimed.intersection(services)
        for service in other.uneven.keys() & services:
            self.add_uneven(service, other.uneven[service])
        self.untold |= {pair: lack for pair, lack in other.untold.items() if pair[0] in services}

    def add_bucket(self, pair: Pair, bound: float, rate: float) -> None:
        """Observations/s up to a bound."""
        buckets = self.buckets[pair]
        buckets[bound] = buckets.get(bound, 0.0) + rate

    def add_uneven(self, service: str, lacking: float) -> None:
        """Observations/s that a histogram of a service lacks in one of its buckets."""
        self.uneven[service] = self.uneven.get(service, 0.0) + lacking

    def lacking_times(self, windows: Mapping[str, float]) -> set[str]:
        """Of services with these windows those of which most requests that did not fail are in no histogram; of a few
        in a window they may come late."""
        well, timed = dict.fromkeys(windows, 0.0), dict[str, float]()
        for (service, release), rate in self.rates.items():
            if service in well:
                well[service] += rate - self.errors.get((service, release), 0.0)
        for (service, _), buckets in self.buckets.items():
            timed[service] = timed.get(service, 0.0) + buckets.get(math.inf, 0.0)
        return {
            service
            for service, rate in well.items()
            if timed.get(service, 0.0) < TIMED * (rate - FEW_REQUESTS / windows[service])
            or (rate > 0 and service not in timed)
        }

    def traffic(self, scrapings: Mapping[str, Scraping | None], naming: Naming) -> dict[str, ServiceTraffic]:
        """The figures of these services; one without scraping has no series. No failed request while all tell whether
        they failed is a ratio of 0; no requests is no data."""
        windows = {name: scraping.window for name, scraping in scrapings.items() if scraping is not None}
        untimed = self.untimed | self.lacking_times(windows)
        return {
            name: self._service(name, scraping, naming, timed=name not in untimed)
            for name, scraping in sorted(scrapings.items())
        }

    def _service(self, service: str, scraping: Scraping | None, naming: Naming, *, timed: bool) -> ServiceTraffic:
        pairs = sorted(pair for pair in self.rates if pair[0] == service)
        if lack := self._lack(service, scraping, bool(pairs)):
            return ServiceTraffic(service, None, None, None, lack=lack, scraping=scraping)
        rate = sum(self.rates[pair] for pair in pairs)
        p99 = naming.in_seconds(self._p99(service, timed=timed))
        untold = next((self.untold[pair] for pair in pairs if pair in self.untold), None)
        failed = sum(self.errors.get(pair, 0.0) for pair in pairs)
        unsure = sum(rate for pair, rate in self.unsure.items() if pair[0] == service)
        least = ratio(failed, rate + unsure)
        if untold is None and unsure > ROUNDING * (rate + unsure):
            untold = Lack.NEW_SERIES
        error_ratio = ratio(failed, rate) if untold is None else None
        releases = tuple(self._release(pair, naming, timed=p99.lack is None) for pair in pairs)
        return ServiceTraffic(
            service,
            rate,
            error_ratio,
            p99.value,
            releases,
            p99.beyond,
            p99_lack=p99.lack,
            scraping=scraping,
            errors_lack=untold,
            errors_at_least=least if untold is Lack.NEW_SERIES else None,
            code=naming.code,
        )

    def _p99(self, service: str, *, timed: bool) -> Percentile:
        """The p99 of a service, if its histograms hold its requests and each of them adds up."""
        total: Buckets = {}
        for pair in [pair for pair in self.buckets if pair[0] == service]:
            for bound, count in self.buckets[pair].items():
                total[bound] = total.get(bound, 0.0) + count
        found = quantile(QUANTILE, total)
        if found.lack is None and self.uneven.get(service, 0.0) > UNEVEN * total[math.inf]:
            return Percentile(None, lack=Lack.UNEVEN)
        return found if timed or found.lack is not None else Percentile(None, lack=Lack.UNTIMED)

    def _lack(self, service: str, scraping: Scraping | None, rated: bool) -> Lack | None:
        """Why there is no request rate."""
        if scraping is None:
            return Lack.NO_SERIES
        if scraping.interval is None:
            return Lack.FEW_SAMPLES
        if scraping.age is None or not scraping.age <= scraping.limit:
            return Lack.OLD
        flaws = (
            (self.spoiled, Lack.NOT_A_NUMBER),
            (self.uncounted, Lack.NO_COUNTER),
            (self.summed, Lack.SUMMED),
            (self.several, Lack.SEVERAL),
            (self.falling, Lack.FALLS),
        )
        for services, lack in flaws:
            if service in services:
                return lack
        return None if rated else Lack.FEW_SAMPLES

    def _release(self, pair: Pair, naming: Naming, *, timed: bool) -> ReleaseTraffic:
        p99 = naming.in_seconds(quantile(QUANTILE, self.buckets.get(pair, {}) if timed else {}))
        known = pair not in self.untold and self.unsure.get(pair, 0.0) <= ROUNDING * self.rates[pair]
        error_ratio = ratio(self.errors.get(pair, 0.0), self.rates[pair]) if known else None
        return ReleaseTraffic(pair[1], self.rates[pair], error_ratio, p99.value, p99.beyond)


def ratio(part: float, whole: float) -> float | None:
    """The share, None without requests."""
    return part / whole if whole > 0 else None
