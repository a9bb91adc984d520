"""A monitor's figures about a service, compared with its objectives. No data is not zero errors."""

from __future__ import annotations

import math
from dataclasses import replace

from state.estate.model import Objectives
from state.health import Health
from state.units import millis, percent, rate, short_duration, utc
from state.verdicts.evidence import WAITING, no_data_reason, trouble_text
from state.world.readings import Lack, MetricsReading, MissingTarget, Scraping, ServiceTraffic
from state.world.world import World

ENOUGH = 4
"""Samples that the window of a rate should hold: with fewer, one failed scrape leaves it without a figure."""
_P99 = {
    Lack.NO_BUCKETS: "no histogram of its durations (native histograms are not read)",
    Lack.ONLY_INF: "its histogram has no bucket but +Inf",
    Lack.NO_INF: "its histogram has no bucket +Inf",
    Lack.UNEVEN: "its buckets do not add up",
    Lack.UNTIMED: "its histogram lacks requests that are counted",
    Lack.NOT_A_NUMBER: "a bucket is not a number",
    Lack.NO_UNIT: "the name of its histogram tells no unit: set `unit` of the monitor",
    Lack.FEW_SAMPLES: "fewer than two samples of its histogram",
}
NAMED = 3
"""So many targets without an answer are named in a message; the others are counted."""
_NO_RATE = {
    Lack.NO_SERIES: (
        "no series counts its requests: check `requests` and `service` of the monitor, and `metrics.service`"
    ),
    Lack.NOT_A_NUMBER: "a counter of its requests is not a number",
    Lack.FALLS: "what counts its requests falls again and again, so it is no counter: check `requests` of the monitor",
    Lack.NO_COUNTER: ("what counts its requests is a gauge or a rate, and no counter: check `requests` of the monitor"),
    Lack.SEVERAL: (
        "its counters fall and do not begin at 0, so its answers come from several processes:"
        " scrape each instance by its own address"
    ),
    Lack.SUMMED: (
        "its series name no instance and fell or ended, so a lost target may be missing in them:"
        " name the metric that each instance has in `requests` of the monitor"
    ),
    Lack.WAITING: WAITING,
}

_MISSING = {
    Lack.DOWN: "its scrapes fail",
    Lack.GONE: "no target any more, and not replaced",
    Lack.OLD: "its samples are too old",
    Lack.FEW_SAMPLES: "fewer than two samples yet",
    Lack.NO_SERIES: "answers, but counts no service of its monitor",
}


def judge_traffic(traffic: ServiceTraffic, objectives: Objectives) -> tuple[Health, str]:
    """Figures against objectives. Errors above the limit fail, slowness warns, missing figures are unknown."""
    ratio, message = counted_errors(traffic)
    least = traffic.errors_at_least
    if ratio is None and least is not None and least > objectives.error_ratio:
        return Health.FAIL, f"5xx at least {percent(least)} > {percent(objectives.error_ratio)}"
    if ratio is None:
        return Health.UNKNOWN, message
    if ratio > objectives.error_ratio:
        return Health.FAIL, f"5xx {percent(ratio)} > {percent(objectives.error_ratio)}"
    return (Health.PASS, "") if objectives.p99 is None else _judge_p99(traffic, objectives.p99)


def _judge_p99(traffic: ServiceTraffic, limit: float) -> tuple[Health, str]:
    """A p99 beyond the last bucket is at least its bound: above every limit below, no proof for one above."""
    p99 = traffic.p99
    if p99 is None or not math.isfinite(p99):
        why = _P99.get(traffic.p99_lack, "") if traffic.p99_lack is not None else ""
        return Health.UNKNOWN, f"p99 unknown: {why}" if why else "p99 unknown"
    if traffic.p99_beyond and p99 >= limit:
        return Health.WARN, f"p99 ≥ {millis(p99)}, limit {millis(limit)}"
    if traffic.p99_beyond:
        return Health.UNKNOWN, f"p99 ≥ {millis(p99)}, the last bucket; no bucket reaches the limit {millis(limit)}"
    if p99 > limit:
        return Health.WARN, f"p99 {millis(p99)} > {millis(limit)}"
    return Health.PASS, ""


def counted_errors(traffic: ServiceTraffic) -> tuple[float | None, str]:
    """The 5xx ratio if requests were counted, else None and why: no data is not zero errors."""
    ratio, message = _counted(traffic)
    return ratio, "; ".join(part for part in (message, missing_text(traffic)) if part)


def missing_text(traffic: ServiceTraffic) -> str:
    """Which targets the figures lack and why; empty when they lack none, or when that is said of the service itself."""
    lost = [each for each in traffic.missing if each.lack is None or each.lack is not traffic.lack]
    if not lost:
        return ""
    said = ", ".join(f"{each.target} ({_why_missing(each)})" for each in lost[:NAMED])
    share = f"{len(lost)} of {traffic.targets} targets: " if traffic.targets > len(lost) else ""
    return f"without {share}{said}" + (f" and {len(lost) - NAMED} more" if len(lost) > NAMED else "")


def mixed_text(traffic: ServiceTraffic) -> str:
    """By which labels its figures sum what should be apart; empty when by none."""
    said = [
        f"{label} ({', '.join(value or 'none' for value in values[:NAMED])}{', …' if len(values) > NAMED else ''})"
        for label, values in traffic.mixed.items()
    ]
    return f"sum series that differ in {', '.join(said)}: set `labels` of the monitor" if said else ""


def _why_missing(target: MissingTarget) -> str:
    if target.lack is Lack.NO_LONGER and target.since is not None:
        return f"answers, but has not counted it since {utc(target.since)}"
    silent = f"silent since {utc(target.since)}" if target.since is not None else ""
    return ", ".join(part for part in (silent, _trouble(target)) if part)


def _trouble(target: MissingTarget) -> str:
    if target.trouble is not None:
        never = "" if target.known else "never answered, "
        return never + trouble_text(target.trouble, target.message)
    return _MISSING.get(target.lack, "") if target.lack is not None else ""


def _counted(traffic: ServiceTraffic) -> tuple[float | None, str]:
    if traffic.lack is Lack.NO_SERIES and missing_text(traffic):
        return None, "no target that answers counts its requests"
    if traffic.lack is not None:
        return None, _lack_text(traffic.lack, traffic.scraping)
    if traffic.rate is None or not math.isfinite(traffic.rate) or traffic.rate < 0:
        return None, "request rate unknown"
    if traffic.rate == 0:
        return None, "no requests"
    if traffic.errors_lack is not None:
        return None, f"error ratio unknown: {_untold_text(traffic.errors_lack, traffic.code)}"
    if traffic.error_ratio is None or not 0 <= traffic.error_ratio <= 1:
        return None, "error ratio unknown"
    return traffic.error_ratio, f"5xx {percent(traffic.error_ratio)} of {rate(traffic.rate, 'req')}"


def _untold_text(lack: Lack, code: str) -> str:
    """Why nobody knows which requests failed."""
    if lack is Lack.NO_CODE:
        return f"some of its requests have no label `{code}`: set `code` of the monitor"
    if lack is Lack.NEW_SERIES:
        return "new series have failed requests that may be older; known within a window"
    return f"label `{code}` is no HTTP status: set `errors` or `code` of the monitor"


def usable_traffic(world: World, monitor: str, service: str, now_mono: float) -> tuple[ServiceTraffic | None, str]:
    """A monitor's figures of a service (as it is called there) if they were read lately, else None and why.

    Figures whose newest sample has become too old have none but the reason.
    """
    key = f"metrics:{monitor}"
    reading = world.fresh(key, MetricsReading, now_mono)
    if reading is None:
        return None, no_data_reason(world.observed.get(key))
    traffic = reading.services.get(service)
    if traffic is None:
        return None, "no figures"
    age, scraping = world.observed[key].age(now_mono) or 0.0, traffic.scraping
    if traffic.lack is None and (scraping is None or scraping.age is None or not scraping.age + age <= scraping.limit):
        traffic = replace(traffic, rate=None, error_ratio=None, p99=None, releases=(), lack=Lack.OLD)
    return traffic, ""


def scraping_note(scraping: Scraping | None) -> str:
    """What is to be said of a window that holds too few samples for a steady rate; empty when it holds enough."""
    samples = scraping.samples if scraping is not None else None
    if scraping is None or samples is None or scraping.interval is None or not 2 <= samples < ENOUGH:
        return ""
    span, better = short_duration(scraping.window), short_duration(ENOUGH * scraping.interval)
    return (
        f"window {span} holds only {samples:.0f} samples of a {short_duration(scraping.interval)} scrape; set {better}"
    )


def _lack_text(lack: Lack, scraping: Scraping | None) -> str:
    """Why there is no request rate, and what to set where a setting is the reason."""
    if lack in _NO_RATE:
        return _NO_RATE[lack]
    if scraping is None:
        return "request rate unknown"
    if lack is Lack.OLD:
        pace = f", scraped every {short_duration(scraping.interval)}" if scraping.interval is not None else ""
        return f"its newest sample is over {short_duration(scraping.limit)} old{pace}"
    window = short_duration(scraping.window)
    if scraping.interval is None:
        return "fewer than two samples yet"
    pace, samples = short_duration(scraping.interval), scraping.samples or 0.0
    if samples >= 2:
        return f"fewer than two samples in its window {window} yet, scraped every {pace}"
    better = short_duration(ENOUGH * scraping.interval)
    return f"window {window} holds fewer than two samples of a {pace} scrape: set `window: {better}` or more"
