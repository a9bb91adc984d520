"""What Prometheus' figures lack: scrape targets that count no requests now, and histograms that do not add up."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.monitors.figures import FEW_REQUESTS, Naming
from adapters.monitors.histograms import TIMED
from adapters.monitors.promql import GONE_WITHIN, at_once, matchers, places_query, span, text_of
from state.world.readings import Scraping

PLUS_INF = text_of("[+]?[iI]nf")
"""The bound of the last bucket, however it is spelt."""


def wholeness_query(naming: Naming, services: Sequence[str], pace: Scraping) -> str:
    """Of some services: the targets that count them; observations/s that their histograms lack in `+Inf`; and where
    targets whose job has a histogram count requests that are in none."""
    only, within = matchers(naming, services), f"[{span(pace.window)}]"
    service, place = naming.service, ", ".join(dict.fromkeys((naming.service, "job", "instance")))
    job = ", ".join(dict.fromkeys((naming.service, "job")))
    last = f"rate({naming.durations}{{{only}, le=~{PLUS_INF}}}{within})"
    inf, below = (f"max without (le) ({last})", f"max without (le) ({last.replace('le=~', 'le!~')})")
    well = f"sum by ({place}) (rate({naming.requests}{{{only}, {naming.code}!~{text_of(naming.failed)}}}{within}))"
    timed = f"sum by ({place}) ({last})"
    enough = f"{timed} >= {TIMED:g} * ({well} - {FEW_REQUESTS / pace.window:g})"
    return at_once(
        {
            "counts": places_query(naming, services, _lately(pace)),
            "uneven": f"sum by ({service}) (({below} - {inf} > 0) or ({below} unless {inf}))",
            "untimed": f"count by ({service}) (({well} > 0 and on ({job}) {timed}) unless ({enough}))",
        }
    )


def _lately(pace: Scraping) -> float:
    """Seconds within which a target must have counted a service: it has no rate in the window otherwise, or is old.
    While the interval is not known, nothing is missed for long."""
    if pace.interval is None:
        return GONE_WITHIN
    return max(1.5 * pace.interval, min(pace.limit, pace.window - pace.interval))
