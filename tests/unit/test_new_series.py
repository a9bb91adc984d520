"""Series that appear: what began now counts, what may have been counted before is unknown, by `scrape`."""

from __future__ import annotations

import pytest

from adapters.monitors.exposition import Exposition
from adapters.monitors.figures import Naming
from adapters.monitors.scrape import tally_of
from state.estate.model import Objectives
from state.health import Health
from state.verdicts.figures import judge_traffic
from state.world.readings import Lack, Scraping, ServiceTraffic

SCRAPED = Scraping(1.0, 10.0, 10.0, 0.0)
Page = dict[str, float]


def page(found: Page) -> bytes:
    lines = (f'http_requests_total{{service="a",release="v1",{labels}}} {value}\n' for labels, value in found.items())
    return "".join(lines).encode()


def after(*pages: Page) -> ServiceTraffic:
    answers = Exposition(Naming(), ("a",), 10.0)
    for turn, found in enumerate(pages):
        answers.take(page(found), float(turn))
    return tally_of(answers).traffic({"a": SCRAPED}, Naming())["a"]


def good(turns: int, label: str = "") -> list[Page]:
    return [{f'code="200"{label}': 100_000.0 + 50 * turn} for turn in range(turns)]


@pytest.mark.parametrize("many", [100, 200, 400])
def test_sym_old_failures_that_appear_fail_no_service(many: int) -> None:
    """50 requests/s, none fails; a series with these failures comes onto the page and never grows."""
    pages = good(10)
    for each in pages[5:]:
        each['code="500"'] = many
    seen = after(*pages)
    assert (judge_traffic(seen, Objectives())[0], seen.errors_lack) == (Health.UNKNOWN, Lack.NEW_SERIES)
    assert (seen.error_ratio, seen.errors_at_least) == (None, 0.0)


def test_sym_series_that_are_renamed_have_no_new_failures() -> None:
    pages: list[Page] = [{'code="200"': 900.0 + 50 * turn, 'code="500"': 50.0} for turn in range(10)]
    pages[5:] = [{f'{labels},team="x"': value for labels, value in each.items()} for each in pages[5:]]
    seen = after(*pages)
    assert judge_traffic(seen, Objectives())[0] is Health.UNKNOWN
    assert seen.rate == pytest.approx(50, rel=0.2)


def test_a_first_failure_counts_from_0_and_one_that_grows_fails_for_sure() -> None:
    pages = [{'code="200"': 1000.0 + 50 * min(turn, 4)} for turn in range(7)]
    pages[5]['code="500"'], pages[6]['code="500"'] = 50.0, 100.0
    seen = after(*pages)
    assert (judge_traffic(seen, Objectives())[0], seen.error_ratio) == (Health.FAIL, pytest.approx(1 / 3))
    pages[5]['code="500"'], pages[6]['code="500"'] = 300.0, 600.0
    seen = after(*pages)
    assert seen.errors_at_least == pytest.approx(300 / 800)
    health, message = judge_traffic(seen, Objectives())
    assert (health, message[:12]) == (Health.FAIL, "5xx at least")
