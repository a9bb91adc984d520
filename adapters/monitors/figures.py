"""The figures of every monitor, computed in one way: requests/s, share of 5xx, and a latency quantile.

Definitions follow Prometheus: `rate` (without extrapolation) and `histogram_quantile` with linear interpolation
inside a bucket.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field

from state.estate.model import Entry, Seconds
from state.world.readings import ReleaseTraffic, ServiceTraffic

Pair = tuple[str, str]
METRIC = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"
LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
QUANTILE = 0.99


class Naming(Entry):
    """The names of the metrics and labels, the window of rates, and the age at which a sample is too old.

    `stale_after` defaults to the window, since a rate needs samples inside it.
    """

    requests: str = Field(default="http_requests_total", pattern=METRIC)
    durations: str = Field(default="http_request_duration_seconds_bucket", pattern=METRIC)
    service: str = Field(default="service", pattern=LABEL)
    release: str = Field(default="release", pattern=LABEL)
    code: str = Field(default="code", pattern=LABEL)
    window: Seconds = 10.0
    stale_after: Seconds | None = None

    @property
    def sample_limit(self) -> float:
        """The age in seconds past which a sample counts as no data."""
        return self.window if self.stale_after is None else self.stale_after


@dataclass(slots=True)
class Tally:
    """Figures by (service, release), and latency by service; a missing key means no data."""

    services: set[str] = field(default_factory=set)
    rates: dict[Pair, float] = field(default_factory=dict)
    errors: dict[Pair, float] = field(default_factory=dict)
    p99: dict[Pair, float] = field(default_factory=dict)
    service_p99: dict[str, float] = field(default_factory=dict)

    def traffic(self) -> dict[str, ServiceTraffic]:
        """The reading's figures. No 5xx series while there are requests is a ratio of 0; no requests is no data."""
        return {name: self._service(name) for name in sorted(self.services)}

    def _service(self, service: str) -> ServiceTraffic:
        pairs = sorted({pair for pair in (*self.rates, *self.p99) if pair[0] == service and pair[1]})
        pairs = [pair for pair in self.rates if pair[0] == service]
        rate = sum(self.rates[pair] for pair in pairs) if pairs else None
        errors = sum(self.errors.get(pair, 0.0) for pair in pairs)
        return ServiceTraffic(
            service,
            rate,
            ratio(errors, rate),
            number(self.service_p99.get(service)),
            tuple(
                ReleaseTraffic(
                    pair[1],
                    self.rates.get(pair),
                    ratio(self.errors.get(pair, 0.0), self.rates.get(pair)),
                    number(self.p99.get(pair)),
                )
                for pair in pairs
            ),
        )


def number(value: float | None) -> float | None:
    """A figure, or None: NaN and infinity are no data."""
    return value if value is not None and math.isfinite(value) else None


def ratio(part: float, whole: float | None) -> float | None:
    """The share, None without requests."""
    return part / whole if whole is not None and whole > 0 else None


def quantile(q: float, buckets: Mapping[float, float]) -> float | None:
    """Prometheus' `histogram_quantile` over cumulative buckets (upper bound to count); None without observations."""
    bounds = sorted(buckets)
    if len(bounds) < 2 or not math.isinf(bounds[-1]):
        return None
    counts = [0.0]
    for bound in bounds:
        counts.append(max(counts[-1], buckets[bound]))
    counts = counts[1:]
    if counts[-1] <= 0:
        return None
    rank = q * counts[-1]
    place = next(i for i, count in enumerate(counts) if count >= rank)
    if place == len(bounds) - 1:
        return bounds[-2]
    if place == 0 and bounds[0] <= 0:
        return bounds[0]
    low, below = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
    inside = counts[place] - below
    return low + (bounds[place] - low) * (rank - below) / inside
