"""A p99 beyond the last bucket is at least its bound: it passes nothing, and is shown as that."""

from __future__ import annotations

import pytest

from console.tui.parts.messages import latency
from state.estate.model import Objectives
from state.health import Health
from state.units import least
from state.verdicts.figures import judge_traffic
from state.world.readings import ServiceTraffic


@pytest.mark.parametrize(("limit", "health"), [(0.5, Health.WARN), (1.0, Health.WARN), (2.0, Health.UNKNOWN)])
def test_slower_than_the_last_bucket_is_never_within_its_objective(limit: float, health: Health) -> None:
    traffic = ServiceTraffic("slow", 10.0, 0.0, 1.0, p99_beyond=True)
    judged, message = judge_traffic(traffic, Objectives(p99=limit))
    assert judged is health
    assert message.startswith("p99 ≥ 1000 ms")


def test_a_p99_that_is_at_least_so_long_is_shown_so() -> None:
    assert latency(1.0, 2.0, beyond=True).plain == "≥1000 ms"
    assert latency(1.0, 2.0, beyond=False).plain == "1000 ms"
    assert latency(1.0, 1.0, beyond=True).style != latency(1.0, 1.0, beyond=False).style
    assert least("480 ms", beyond=True) == "≥480 ms"
