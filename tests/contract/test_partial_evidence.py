"""Scrape targets that do not answer while others do: named with the reason, and figures of the rest say so."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.monitors import scrape
from state.errors import ReadFailure, Trouble
from state.estate.model import Objectives
from state.health import Health
from state.ports.source import Source
from state.verdicts.figures import counted_errors, judge_traffic
from state.world.readings import Lack, MetricsReading, MissingTarget, ServiceTraffic
from tests.contract.web import Canned, canned

GONE = "http://127.0.0.1:1/metrics"


def page(service: str, value: float) -> str:
    return f'http_requests_total{{service="{service}",release="v1",code="200"}} {value}\n'


def built(context: AdapterContext, **urls: str) -> Source:
    """One monitor with these targets and two services; samples of half a second are too old."""
    targets = {name: {"site": "east", "url": url} for name, url in urls.items()}
    watched = replace(context, watched={"apps": ("pay", "ship")})
    options = scrape.OPTIONS.model_validate({"kind": "scrape", "targets": targets, "stale_after": "0.5s"})
    (source,) = scrape.build("apps", options, watched)
    return source


async def read(source: Source) -> dict[str, ServiceTraffic]:
    reading = await source.read()
    assert isinstance(reading, MetricsReading)
    return dict(reading.services)


async def until(source: Source, true: Callable[[dict[str, ServiceTraffic]], object], turn: Callable[[], None]) -> Any:
    async with asyncio.timeout(60):
        while not true(seen := await read(source)):
            await asyncio.sleep(0.05)
            turn()
    return seen


def counting(server: Canned, a: str, b: str) -> Callable[..., None]:
    """Two targets whose counters of a service each go up with every turn; the second may answer something else."""
    counts = itertools.count(step=10)

    def turn(instead: tuple[int, Any] | None = None) -> None:
        count = next(counts)
        server.answers["GET /a"] = (200, page(a, count))
        server.answers["GET /b"] = instead or (200, page(b, count))

    turn()
    return turn


async def test_a_target_that_never_answered_may_count_any_service(context: AdapterContext) -> None:
    async with canned({"GET /a": (200, page("pay", 0))}) as server:
        source = built(context, a=f"{server.url}/a", b=GONE)
        await read(source)
        await asyncio.sleep(0.05)
        server.answers["GET /a"] = (200, page("pay", 10))
        seen = await read(source)
        await source.close()
    pay, ship = seen["pay"], seen["ship"]
    assert (pay.error_ratio, ship.lack) == (0.0, Lack.NO_SERIES)
    assert [(each.target, each.known, each.trouble) for each in pay.missing] == [("b", False, Trouble.UNREACHABLE)]
    assert ship.missing == pay.missing
    assert judge_traffic(ship, Objectives()) == (
        Health.UNKNOWN,
        "no target that answers counts its requests; "
        "without b (never answered, unreachable: 127.0.0.1:1: Connection refused)",
    )


async def test_a_target_that_failed_is_named_for_the_services_that_it_counts(context: AdapterContext) -> None:
    async with canned({}) as server:
        turn = counting(server, "pay", "ship")
        source = built(context, a=f"{server.url}/a", b=f"{server.url}/b")
        seen = await until(source, lambda s: s["pay"].rate and s["ship"].rate, turn)
        assert (seen["pay"].missing, seen["ship"].missing) == ((), ())
        turn((503, "draining"))
        seen = await until(source, lambda s: s["ship"].lack is Lack.OLD, lambda: turn((503, "draining")))
        await source.close()
    assert seen["pay"].missing == ()
    assert [(each.target, each.known, each.trouble) for each in seen["ship"].missing] == [("b", True, Trouble.ERROR)]
    verdict, message = judge_traffic(seen["ship"], Objectives())
    assert verdict is Health.UNKNOWN
    assert message.startswith("its newest sample is over ")
    assert message.endswith("answered 503 to /b: draining)")


async def test_a_service_on_two_targets_has_the_figures_of_one_and_says_so(context: AdapterContext) -> None:
    async with canned({}) as server:
        turn = counting(server, "pay", "pay")
        source = built(context, a=f"{server.url}/a", b=f"{server.url}/b")
        await until(source, lambda s: s["pay"].rate and not s["pay"].missing, turn)
        seen = await until(source, lambda s: s["pay"].missing, lambda: turn((401, "log in")))
        await source.close()
    pay = seen["pay"]
    assert pay.rate is not None
    assert [(each.target, each.known, each.trouble) for each in pay.missing] == [("b", True, Trouble.DENIED)]
    ratio, message = counted_errors(pay)
    assert ratio == 0.0
    assert re.search(r"without 1 of 2 targets: b \(silent since \S+Z, denied: ", message)


PROCESS = "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 12.5\n"


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(PROCESS, id="b-gone"),
        pytest.param('http_requests_total{code="500"} 70\n', id="b-nolabel"),
        pytest.param('http_server_requests_total{service="pay",code="500"} 70\n', id="renamed"),
        pytest.param(page("ship", 70), id="another service"),
    ],
)
async def test_sym_a_target_that_answers_but_counts_a_service_no_longer_is_missing(
    context: AdapterContext, left: str
) -> None:
    async with canned({}) as server:
        turn = counting(server, "pay", "pay")
        source = built(context, a=f"{server.url}/a", b=f"{server.url}/b")
        await until(source, lambda s: s["pay"].rate and not s["pay"].missing, turn)
        seen = await until(
            source,
            lambda s: s["pay"].rate and [each.lack for each in s["pay"].missing] == [Lack.NO_LONGER],
            lambda: turn((200, left)),
        )
        again = await until(source, lambda s: not s["pay"].missing, turn)
        await source.close()
    (lost,) = seen["pay"].missing
    assert (lost.target, lost.known, seen["pay"].targets) == ("b", True, 2)
    ratio, message = counted_errors(seen["pay"])
    assert ratio == 0.0
    assert re.search(r"without 1 of 2 targets: b \(answers, but has not counted it since \S+Z\)$", message)
    assert again["pay"].targets == 2


async def test_sym_a_target_that_counts_nothing_from_the_start_is_missing_everywhere(context: AdapterContext) -> None:
    async with canned({}) as server:
        turn = counting(server, "pay", "ship")
        turn((200, PROCESS))
        source = built(context, a=f"{server.url}/a", b=f"{server.url}/b")
        seen = await until(source, lambda s: s["pay"].rate, lambda: turn((200, PROCESS)))
        silent = await until(source, lambda s: s["pay"].missing[0].trouble, lambda: turn((503, "draining")))
        await until(source, lambda s: not s["pay"].missing and not s["ship"].missing, turn)
        await source.close()
    assert [(each.target, each.known, each.lack) for each in seen["pay"].missing] == [("b", False, Lack.NO_SERIES)]
    assert counted_errors(seen["pay"])[1].endswith(
        "without 1 of 2 targets: b (answers, but counts no service of its monitor)"
    )
    assert counted_errors(seen["ship"])[1].startswith("no series counts its requests: check `requests`")
    assert [(each.target, each.trouble) for each in silent["pay"].missing] == [("b", Trouble.ERROR)]


async def test_when_no_target_answers_each_is_named(context: AdapterContext) -> None:
    async with canned({"GET /a": (401, "no")}) as server:
        source = built(context, a=f"{server.url}/a", b=GONE)
        with pytest.raises(ReadFailure, match=r"a: .* answered 401 to /a; b: .* refused"):
            await source.read()
        await source.close()


async def test_a_large_page_that_cannot_be_read_stays_a_failure_until_the_next(context: AdapterContext) -> None:
    """Large pages are read rarely: between them the reason does not get lost."""
    text = page("pay", 1) + "up 1\n" * 20_000 + "nonsense\n"
    async with canned({"GET /a": (200, text)}) as server:
        source = built(context, a=f"{server.url}/a")
        for _ in range(3):
            with pytest.raises(ReadFailure, match=r"line 20002 of the metrics|still being read"):
                await source.read()
        await source.close()


def test_targets_without_an_answer_are_named_up_to_three() -> None:
    lost = tuple(MissingTarget(f"t{n}", True, Trouble.TIMEOUT, "no answer") for n in range(5))
    late = MissingTarget("t9", True, lack=Lack.FEW_SAMPLES)
    assert counted_errors(ServiceTraffic("a", 5.0, 0.0, None, missing=lost))[1].endswith(
        "without t0 (timeout), t1 (timeout), t2 (timeout) and 2 more"
    )
    assert counted_errors(ServiceTraffic("a", 5.0, 0.0, None, missing=(late,)))[1].endswith(
        "without t9 (fewer than two samples yet)"
    )
