"""Alerts of real components: watchdogs that end, many alerts, long texts, and since when they fire."""

from __future__ import annotations

import time

import pytest

from state.errors import Trouble
from state.health import Health
from state.verdicts.alerts import alerts_verdict
from state.verdicts.cause_alert import SHOWN, alert_causes
from state.verdicts.cause_source import source_causes
from state.views.header import build as header
from state.views.overview import build as overview
from state.world.observed import Observed, ReadError
from state.world.readings import Alert, AlertsReading
from state.world.world import World
from tests.unit.verdict_world import ESTATE, NOW, WALL, look, put

MANY = 10_000


def alert(number: int, started: float = WALL + NOW - 7200.0, summary: str = "it crashes") -> Alert:
    health = Health.FAIL if number % 2 else Health.WARN
    return Alert(
        f"Crash{number % 40}", "active", "page", started, summary, f"f{number}", {"pod": f"p-{number}"}, health
    )


def test_s11_a_watchdog_that_was_seen_and_is_gone_is_named(world: World) -> None:
    proven = frozenset({"a"})
    put(world, "alerts:am", AlertsReading((), True, watchdogs=frozenset({"a", "b"})))
    assert alerts_verdict(ESTATE, world, NOW).health is Health.PASS
    put(world, "alerts:am", AlertsReading((), True, watchdogs=proven, lost={"b": ("cluster=b", WALL)}))
    verdict = alerts_verdict(ESTATE, world, NOW)
    assert (verdict.health, verdict.proven) == (Health.UNKNOWN, False)
    assert "no watchdog alert cluster=b since " in verdict.message


def test_s12_an_alert_fires_since_its_own_time(world: World) -> None:
    put(world, "alerts:am", AlertsReading((alert(1), alert(41, WALL + NOW - 600.0)), True))
    (cause,) = (c for c in alert_causes(ESTATE, world, NOW, ()) if c.name == "Crash1")
    assert cause.since_mono == pytest.approx(NOW - 7200.0, abs=1.0)


def test_a_long_text_is_cut_and_says_where_it_is_whole(world: World) -> None:
    put(world, "alerts:am", AlertsReading((alert(1, summary="y" * 4000),), True))
    (cause,) = (c for c in alert_causes(ESTATE, world, NOW, ()) if c.name == "Crash1")
    assert cause.what.endswith("… (whole on Alerts, Enter on its row)")
    assert len(cause.what) < SHOWN + 80


def test_s12_ten_thousand_alerts_cost_little_more_a_piece_than_a_thousand(world: World) -> None:
    """In CPU time: ten times the alerts take about ten times as much; comparing each with each takes a hundred."""
    spent = {}
    for count in (MANY // 10, MANY):
        put(world, "alerts:am", AlertsReading(tuple(alert(n) for n in range(count)), True))
        began = time.process_time()
        verdict = alerts_verdict(ESTATE, world, NOW)
        context = look(world)
        header(context)
        overview(context)
        spent[count] = time.process_time() - began
        assert len(verdict.firing) == count
    print(f"CPU seconds by alerts: {spent}")
    assert spent[MANY] < 40 * max(spent[MANY // 10], 0.005)


@pytest.mark.parametrize(
    ("trouble", "message", "what", "advice"),
    [
        (
            Trouble.ERROR,
            "the metrics end in the middle of a line",
            "gives no usable answer: the metrics end",
            "was reached",
        ),
        (Trouble.DENIED, "prom answered 401", "refuses this engine: prom answered 401", "credential"),
        (Trouble.TIMEOUT, "no answer within 0.9 s", "does not answer in time", "too slow or too large"),
        (
            Trouble.UNREACHABLE,
            "127.0.0.1:1: Connection refused",
            "has not answered yet",
            "does this engine's host reach it",
        ),
    ],
)
def test_s09_what_to_do_about_a_source_goes_by_its_trouble(
    world: World, trouble: Trouble, message: str, what: str, advice: str
) -> None:
    world.observed["metrics:prometheus"] = Observed("metrics:prometheus", 3.0).failed(ReadError(trouble, message, WALL))
    (cause,) = (c for c in source_causes(ESTATE, world, NOW, frozenset()) if c.name == "prometheus")
    assert what in cause.what
    assert cause.next is not None
    assert advice in cause.next.message
