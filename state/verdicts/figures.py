"""A monitor's figures about a service, compared with its objectives. No data is not zero errors."""

from __future__ import annotations

import math

from state.estate.model import Objectives
from state.health import Health
from state.units import millis, percent, rate
from state.verdicts.evidence import no_data_reason
from state.world.readings import MetricsReading, ServiceTraffic
from state.world.world import World

SAMPLES_OLD = 30.0
"""Seconds after which a monitor's newest sample is too old: two scrapes at Prometheus's usual 15 s."""


def judge_traffic(traffic: ServiceTraffic | None, objectives: Objectives) -> tuple[Health, str]:
    """Figures against objectives. Errors above the limit fail, slowness warns, missing figures are unknown."""
    ratio, message = counted_errors(traffic)
    if traffic is None or ratio is None:
        return Health.UNKNOWN, message
    if ratio > objectives.error_ratio:
        return Health.FAIL, f"5xx {percent(ratio)} > {percent(objectives.error_ratio)}"
    if objectives.p99 is not None:
        if traffic.p99 is None or not math.isfinite(traffic.p99):
            return Health.UNKNOWN, "p99 unknown"
        if traffic.p99 > objectives.p99:
            return Health.WARN, f"p99 {millis(traffic.p99)} > {millis(objectives.p99)}"
    return Health.PASS, ""


def counted_errors(traffic: ServiceTraffic | None) -> tuple[float | None, str]:
    """The 5xx ratio if requests were counted, else None and why: no data is not zero errors."""
    if traffic is None:
        return None, "no figures"
    if traffic.rate is None or not math.isfinite(traffic.rate) or traffic.rate < 0:
        return None, "request rate unknown"
    if traffic.rate == 0:
        return None, "no requests"
    if traffic.error_ratio is None or not 0 <= traffic.error_ratio <= 1:
        return None, "error ratio unknown"
    return traffic.error_ratio, f"5xx {percent(traffic.error_ratio)} of {rate(traffic.rate, 'req')}"


def usable_metrics(world: World, monitor: str, now_mono: float) -> tuple[MetricsReading | None, str]:
    """A monitor's reading if both it and its samples are fresh, else None and why."""
    key = f"metrics:{monitor}"
    reading = world.fresh(key, MetricsReading, now_mono)
    if reading is None:
        return None, no_data_reason(world.observed.get(key))
    age = (world.observed[key].age(now_mono) or 0.0) + reading.sample_age
    if not age <= SAMPLES_OLD:  # also when it is NaN
        return None, f"its newest sample is over {SAMPLES_OLD:.0f} s old"
    return reading, ""
