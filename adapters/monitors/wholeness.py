"""What Prometheus' figures lack: scrape targets that count no requests now, and histograms that do not add up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from adapters.monitors.figures import FEW_REQUESTS, Naming, Tally
from adapters.monitors.histograms import TIMED
from adapters.monitors.processes import KEPT
from adapters.monitors.promql import (
    FIGURE,
    GONE_WITHIN,
    Place,
    QuerySeries,
    at_once,
    matchers,
    places_query,
    span,
    text_of,
)
from state.world.readings import Scraping

PLUS_INF = text_of("[+]?[iI]nf")
"""The bound of the last bucket, however it is spelt."""


def wholeness_query(naming: Naming, services: Sequence[str], pace: Scraping) -> str:
    """Of some services: the targets that count them, did so lately, and did some time ago; observations/s that their
    histograms lack in `+Inf`; where targets whose job has a histogram count requests that are in none; and series of no
    target, as those that a rule sums, that fell or ended: what a lost target had counted may be missing in them."""
    only, within = matchers(naming, services), f"[{span(pace.window)}]"
    service, place = naming.service, ", ".join(dict.fromkeys((naming.service, "job", "instance")))
    job = ", ".join(dict.fromkeys((naming.service, "job")))
    last = f"rate({naming.durations}{{{only}, le=~{PLUS_INF}}}{within})"
    inf, below = (f"max without (le) ({last})", f"max without (le) ({last.replace('le=~', 'le!~')})")
    well = f"sum by ({place}) (rate({naming.requests}{{{only}, {naming.code}!~{text_of(naming.failed)}}}{within}))"
    timed = f"sum by ({place}) ({last})"
    enough = f"{timed} >= {TIMED:g} * ({well} - {FEW_REQUESTS / pace.window:g})"
    summed = f'{naming.requests}{{{only}, instance=""}}'
    fell = f"resets({summed}[{span(KEPT)}]) > 0"
    ended = f"last_over_time({summed}[{span(KEPT)}]) unless last_over_time({summed}[{span(_lately(pace))}])"
    counts = places_query(naming, services, _lately(pace))
    return at_once(
        {
            "counts": counts,
            "left": f"({places_query(naming, services, GONE_WITHIN)} unless {counts})",
            "before": places_query(naming, services, _lately(pace), before=GONE_WITHIN),
            "summed": f"count by ({service}) (({fell}) or ({ended}))",
            "uneven": f"sum by ({service}) (({below} - {inf} > 0) or ({below} unless {inf}))",
            "untimed": f"count by ({service}) (({well} > 0 and on ({job}) {timed}) unless ({enough}))",
        }
    )


class Counting:
    """The scrape targets of each service by what they count, as the answers to these questions tell."""

    def __init__(self, tally: Tally, naming: Naming, rows: Iterable[QuerySeries]) -> None:
        """Read the answers; what histograms lack goes to the tally."""
        self._found: dict[tuple[str, str], set[Place]] = {}
        for row in rows:
            service, figure = row.labels.get(naming.service, ""), row.labels.get(FIGURE, "")
            place = row.labels.get("job", ""), row.labels.get("instance", "")
            if figure == "uneven":
                tally.add_uneven(service, row.value)
            elif figure == "summed":
                tally.summed.add(service)
            elif figure == "untimed":
                tally.untimed.add(service)
            elif place[1]:
                self._found.setdefault((service, figure), set()).add(place)

    def now(self, service: str) -> Collection[Place]:
        """Those that count a service."""
        return self._found.get((service, "counts"), ())

    def left(self, service: str) -> Collection[Place]:
        """Those that counted it lately and do not now."""
        return self._found.get((service, "left"), ())

    def before(self, service: str) -> Collection[Place]:
        """Those that counted it some time ago."""
        return self._found.get((service, "before"), ())


def _lately(pace: Scraping) -> float:
    """Seconds within which a target must have counted a service: it has no rate in the window otherwise, or is old.
    While the interval is not known, nothing is missed for long."""
    if pace.interval is None:
        return GONE_WITHIN
    return max(1.5 * pace.interval, min(pace.limit, pace.window - pace.interval))
