"""Histograms that do not add up, or lack requests: no p99, whatever the sum over all of them looks like."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from adapters.monitors.exposition import Exposition
from adapters.monitors.figures import Naming, Tally
from adapters.monitors.scrape import tally_of
from state.estate.model import Objectives
from state.health import Health
from state.verdicts.figures import judge_traffic
from state.world.readings import Lack, Scraping, ServiceTraffic

Buckets = Mapping[str, float | str]
Page = Callable[[int], str]
"""What a target's page says after so many turns."""


def counted(value: float, code: str = "200") -> str:
    return f'http_requests_total{{service="ok",code="{code}"}} {value}\n'


def timed(buckets: Buckets, path: str = "/") -> str:
    name = "http_request_duration_seconds_bucket"
    return "".join(f'{name}{{service="ok",path="{path}",le="{le}"}} {value}\n' for le, value in buckets.items())


def whole(turn: int) -> str:
    """50 requests a turn, all fast."""
    return counted(1000 + 50 * turn) + timed({"0.1": 50 * turn, "1": 50 * turn, "+Inf": 50 * turn})


def layout(turn: int) -> str:
    """As many with other bounds: its sum with `whole` falls from 0.1 to 0.5, and nothing is wrong."""
    return counted(7 + 50 * turn) + timed({"0.1": 0, "0.5": 50 * turn, "1": 50 * turn, "+Inf": 50 * turn})


def no_inf(turn: int) -> str:
    """A fifth takes longer than its last bound."""
    return counted(1000 + 50 * turn) + timed({"0.1": 40 * turn, "0.5": 40 * turn, "1": 40 * turn})


def frozen(turn: int) -> str:
    return counted(50 * turn) + timed({"0.1": 30 * turn, "0.5": 40 * turn, "1": 40 * turn, "10": 10, "+Inf": 10})


def frozen_high(turn: int) -> str:
    """+Inf stands still above all others."""
    return counted(50 * turn) + timed({"0.1": 30 * turn, "1": 40 * turn, "+Inf": 1_000_000})


def nonmonotonic(turn: int) -> str:
    """The numbers of prometheus#4264."""
    rates = {"0.1": 0.0, "0.2": 45.2, "0.3": 9.3, "0.5": 17.36, "0.8": 3.26, "1.0": 0.07, "1.5": 0.15, "3.0": 0.0}
    return counted(50 * turn) + timed({le: int(10 + rate * turn) for le, rate in rates.items()} | {"+Inf": 10})


def falls_inside(turn: int) -> str:
    return counted(50 * turn) + timed({"0.1": 45 * turn, "1": 5 * turn, "+Inf": 50 * turn})


def not_a_number(turn: int) -> str:
    return counted(50 * turn) + timed({"0.1": "NaN", "1": 50 * turn, "+Inf": 50 * turn})


def stands_still(turn: int) -> str:
    return counted(50 * turn) + timed({"0.1": 40, "1": 40, "+Inf": 40})


def one_path(turn: int) -> str:
    return counted(50 * turn) + timed({"0.1": 5 * turn, "1": 5 * turn, "+Inf": 5 * turn})


def untimed(turn: int) -> str:
    return counted(50 * turn)


def untimed_failures(turn: int) -> str:
    """What fails is in no histogram: the error ratio tells it."""
    return counted(50 * turn, "500")


def two_paths(turn: int) -> str:
    """One page with a histogram that adds up and one without +Inf."""
    return whole(turn) + timed({"0.1": 40 * turn, "1": 40 * turn}, path="/slow")


def one_late(turn: int) -> str:
    """One observation in a thousand reaches +Inf on the next page only."""
    return counted(1000 * turn) + timed({"0.1": 1000 * turn, "1": 1000 * turn, "+Inf": 1000 * turn - min(turn, 1)})


def few_late(turn: int) -> str:
    """Two requests, whose times are on the next page only."""
    return counted(min(turn, 2)) + timed({"0.1": 0, "1": 0, "+Inf": 0})


def grown(turn: int) -> str:
    """A histogram that is new, moved here with more than a process can have counted since."""
    return whole(turn) + (timed({"0.1": 10, "1": 5000, "+Inf": 5000}, path="/moved") if turn > 1 else "")


def traffic(*pages: Page, turns: int = 4) -> ServiceTraffic:
    """The figures over several targets, as the monitor adds them up."""
    tally = Tally()
    for page in pages:
        answers = Exposition(Naming(), ("ok",), 10.0)
        for turn in range(turns):
            answers.take(page(turn).encode(), float(turn))
        tally.add(tally_of(answers), answers.services())
    return tally.traffic({"ok": Scraping(1.0, 10.0, 10.0, 0.0)}, Naming())["ok"]


@pytest.mark.parametrize(
    ("pages", "lack"),
    [
        pytest.param((whole, no_inf), Lack.UNEVEN, id="mixinf"),
        pytest.param((no_inf,), Lack.NO_INF, id="noinf"),
        pytest.param((two_paths,), Lack.UNEVEN, id="one of two histograms of a page"),
        pytest.param((frozen,), Lack.UNEVEN, id="h-frozen"),
        pytest.param((whole, frozen), Lack.UNEVEN, id="h-frozen at one of two"),
        pytest.param((whole, frozen_high), Lack.UNEVEN, id="frozen above the others"),
        pytest.param((nonmonotonic,), Lack.UNEVEN, id="nonmono"),
        pytest.param((whole, falls_inside), Lack.UNEVEN, id="falls below +Inf"),
        pytest.param((not_a_number,), Lack.NOT_A_NUMBER, id="infnan"),
        pytest.param((whole, not_a_number), Lack.NOT_A_NUMBER, id="infnan at one of two"),
        pytest.param((whole, stands_still), Lack.UNTIMED, id="stands still at one of two"),
        pytest.param((whole, untimed), Lack.UNTIMED, id="none at one of two"),
        pytest.param((untimed,), Lack.NO_BUCKETS, id="none"),
        pytest.param((one_path,), Lack.UNTIMED, id="h-part"),
    ],
)
def test_sym_no_p99_of_histograms_that_lack_what_was_counted(pages: tuple[Page, ...], lack: Lack) -> None:
    seen = traffic(*pages)
    assert (seen.error_ratio, seen.p99, seen.p99_lack) == (0.0, None, lack)
    assert [each.p99 for each in seen.releases] == [None]
    health, message = judge_traffic(seen, Objectives(p99=1.0))
    assert health is Health.UNKNOWN
    assert message.startswith("p99 unknown: ")


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param((whole,), id="one"),
        pytest.param((whole, layout), id="other bounds at one of two"),
        pytest.param((whole, untimed_failures), id="only failures are not timed"),
        pytest.param((one_late,), id="one observation is late"),
        pytest.param((whole, few_late), id="a few are late"),
        pytest.param((grown,), id="moved here"),
    ],
)
def test_what_is_no_contradiction_keeps_its_p99(pages: tuple[Page, ...]) -> None:
    seen = traffic(*pages)
    assert seen.p99_lack is None
    assert seen.p99 is not None
    assert seen.p99 < 1.0


def test_what_does_not_add_up_is_told_as_such() -> None:
    told = [judge_traffic(traffic(*pages), Objectives(p99=1.0))[1] for pages in ((whole, no_inf), (whole, untimed))]
    assert told == [
        "p99 unknown: its buckets do not add up",
        "p99 unknown: its histogram lacks requests that are counted",
    ]
