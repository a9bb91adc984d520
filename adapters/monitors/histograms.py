"""Quantiles of histograms, and whether the buckets that they are computed from add up.

A quantile of a sum hides what one of its histograms lacks: buckets are compared before they are summed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from state.world.readings import Lack

Buckets = dict[float, float]
"""Upper bound to rate, cumulative."""
QUANTILE = 0.99
UNEVEN = 0.01
"""The share of all observations that buckets may have and those above them lack: no more than lies above a p99. The
buckets of a page, or of a store that puts the samples of two servers together, are not always of one instant."""
TIMED = 0.5
"""The share of the requests that did not fail which a histogram must hold: some servers time no redirects or streams,
and what hangs is in none."""


class Percentile(NamedTuple):
    """A quantile; `beyond`: it is at least this. `lack` is why there is none, None = no observations."""

    value: float | None
    beyond: bool = False
    lack: Lack | None = None


NOTHING = Percentile(None)


def excess(buckets: Mapping[float, float]) -> float:
    """How many of its observations one histogram lacks in a bucket above theirs; without +Inf, all."""
    most, lacking = 0.0, 0.0
    for bound in sorted(buckets):
        lacking = max(lacking, most - buckets[bound])
        most = max(most, buckets[bound])
    return lacking if math.inf in buckets else most


def _flaw(buckets: Mapping[float, float]) -> Lack | None:
    """Why these buckets have no quantile."""
    if not buckets:
        return Lack.NO_BUCKETS
    if not all(math.isfinite(count) for count in buckets.values()) or any(math.isnan(bound) for bound in buckets):
        return Lack.NOT_A_NUMBER
    if math.inf not in buckets:
        return Lack.NO_INF
    if len(buckets) < 2:
        return Lack.ONLY_INF
    return Lack.UNEVEN if max(buckets.values()) > (1 + UNEVEN) * buckets[math.inf] else None


def quantile(q: float, buckets: Mapping[float, float]) -> Percentile:
    """Prometheus' `histogram_quantile` over cumulative buckets (upper bound to count).

    In the last bucket, +Inf, it is at least the highest finite bound; Prometheus gives that bound as if it were the
    quantile. In a sum a bound that only some histograms have may hold less than one below; +Inf may not.
    """
    if lack := _flaw(buckets):
        return Percentile(None, lack=lack)
    bounds = sorted(buckets)
    counts = [0.0]
    for bound in bounds:
        counts.append(max(counts[-1], buckets[bound]))
    counts = counts[1:]
    if counts[-1] <= 0:
        return NOTHING
    rank = q * counts[-1]
    place = next(i for i, count in enumerate(counts) if count >= rank)
    if place == len(bounds) - 1:
        return Percentile(bounds[-2], beyond=True)
    if place == 0 and bounds[0] <= 0:
        return Percentile(bounds[0])
    low, below = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
    inside = counts[place] - below
    return Percentile(low + (bounds[place] - low) * (rank - below) / inside)
