"""Series by which a real Prometheus let a failing service pass: written as a history, which goes on after now."""

from __future__ import annotations

import asyncio
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from state.estate.model import Objectives
from state.health import Health
from state.verdicts.figures import judge_traffic, missing_text
from state.world.readings import Lack
from tests.contract.histories import PastPrometheus, started
from tests.contract.test_prometheus_history import read

BEFORE, AFTER = 700, 600
ODD = 'prod|.*"}\\'
"""An environment whose name must not be read as a pattern or as the end of a text."""
Sample = tuple[float, float]


def vip(second: int, code: str, turns: int, other: float) -> float:
    base = 1_000_000.0 if second // turns % 2 else other
    return (base + 40 * (second + BEFORE)) if code == "200" else 100 + 10 * (second + BEFORE)


def crash(second: int, code: str) -> float:
    return ((second + 4000) % 4 + 0.5) * (40 if code == "200" else 10)


def steady(second: int, code: str) -> float:
    return (second + BEFORE) * (40 if code == "200" else 10)


def good(second: int, code: str) -> float:
    return 25.0 * (second + BEFORE) if code == "200" else 0.0


SERVICES: dict[str, Callable[[int, str], float]] = {
    "ten": lambda second, code: vip(second, code, 10, 900_000),
    "seven": lambda second, code: vip(second, code, 7, 900_000),
    "crash": crash,
    "steady": steady,
    "lost": good,
    "down": good,
    "rolled": good,
    "left": good,
    "few": lambda second, code: float((second + BEFORE) // 20 if code == "500" else 7),
}


WITHOUT_SUFFIX: dict[str, Callable[[int, str], float]] = {
    "odd_rate": lambda second, code: 5.0 if code == "500" else 10 + (second + BEFORE) / 60,
    "odd_count_of_requests": steady,
    "odd_rates_total": lambda second, code: 5.0 if code == "500" else 10 + (second + BEFORE) / 60,
}
"""A rate that somebody recorded, of which a third fails, and a counter that is not called one; the other way round."""


def page(now: float) -> Iterator[str]:
    """A sample a second of every counter; the lines of one metric stand together."""
    yield "# TYPE http_requests counter\n"
    for service, value in SERVICES.items():
        for code in ("200", "500"):
            end = -60 if service == "rolled" else AFTER
            for second in range(-BEFORE, end):
                at = f'service="{service}",release="v1",job="app",instance="{service}:1",code="{code}"'
                yield f"http_requests_total{{{at}}} {value(second, code)} {now + second:.3f}\n"
    for service, first, last in (("lost", -BEFORE, -60), ("down", -BEFORE, -60), ("rolled", -65, AFTER)):
        for second in range(first, last):
            at = f'service="{service}",release="v1",job="app",instance="{service}:2",code="200"'
            yield f"http_requests_total{{{at}}} {25 * (second + BEFORE)} {now + second:.3f}\n"
    yield from each_failure(now)
    yield from environments(now)
    yield from without_suffix(now)
    yield from appearing(now)
    yield from recorded(now)
    yield from instances(now)
    yield from histograms(now)
    yield "# TYPE up gauge\n"
    spans = [(f"{service}:1", -BEFORE, -60 if service == "rolled" else AFTER, 1) for service in [*SERVICES, "uniq"]]
    spans += [("lost:2", -BEFORE, -60, 1), ("down:2", -BEFORE, -60, 1), ("down:2", -60, AFTER, 0)]
    spans += [("left:2", -BEFORE, AFTER, 1)]
    for instance, first, last, value in [*spans, ("rolled:2", -65, AFTER, 1)]:
        for second in range(first, last):
            yield f'up{{job="app",instance="{instance}"}} {value} {now + second:.3f}\n'
    yield "# EOF\n"


Buckets = dict[str, Callable[[int], float]]
"""What each bucket has after so many seconds, by its bound."""
GOOD: Buckets = dict.fromkeys(("0.1", "1", "+Inf"), lambda seconds: 50.0 * seconds)
NO_INF: Buckets = dict.fromkeys(("0.1", "1"), lambda seconds: 40.0 * seconds)
TIMED: dict[str, list[Buckets]] = {
    "whole": [GOOD, GOOD],
    "layouts": [GOOD, {**GOOD, "0.1": lambda _: 0.0, "0.5": GOOD["1"]}],
    "mixinf": [GOOD, NO_INF],
    "noinf": [NO_INF],
    "frozen": [GOOD, {**NO_INF, "10": lambda _: 10.0, "+Inf": lambda _: 10.0}],
    "infnan": [GOOD, {**GOOD, "0.1": lambda _: math.nan}],
    "untimed": [GOOD, {}],
    "still": [GOOD, dict.fromkeys(("0.1", "+Inf"), lambda _: 40.0)],
    "part": [dict.fromkeys(("0.1", "+Inf"), lambda seconds: 5.0 * seconds)],
}
"""The histograms of each instance, all of which count 50 requests/s."""


def instances(now: float) -> Iterator[str]:
    """Requests of one that counts a service no longer, of those that push theirs, and of those with histograms."""
    counted = [("left:2", "left", "app", "500", -60), ("left:2", "stays", "app", "500", AFTER)]
    counted += [("pushed:1", "pushed", "otlp", "200", AFTER), ("pushed:2", "pushed", "otlp", "500", -60)]
    counted += [(instance, service, "timed", "200", AFTER) for instance, service in timed_places()]
    counted += [("moved:1", "moved", "otlp", "500", -60), ("moved:2", "moved", "otlp", "200", AFTER)]
    for instance, service, job, code, end in counted:
        for second in range(-BEFORE if instance != "moved:2" else -65, end):
            at = f'service="{service}",release="v1",job="{job}",instance="{instance}",code="{code}"'
            yield f"http_requests_total{{{at}}} {50 * (second + BEFORE)} {now + second:.3f}\n"


def recorded(now: float) -> Iterator[str]:
    """Sums of two instances without a label of theirs: one ended a minute ago, of which one code or all was counted."""
    for service, code, lost in (("sum", "200", 40), ("sum", "500", 10), ("part", "200", 0), ("part", "500", 50)):
        for second in range(-BEFORE, -60 if service == "part" and lost else AFTER):
            both = lost * (second + BEFORE) if second < -60 else 0
            at = f'service="recorded_{service}",code="{code}"'
            yield f"http_requests_total{{{at}}} {50 * (second + BEFORE) + both} {now + second:.3f}\n"
    for second in range(-BEFORE, AFTER):
        yield f'http_requests_total{{service="recorded_well",code="200"}} {50 * (second + BEFORE)} {now + second:.3f}\n'


def timed_places() -> Iterator[tuple[str, str]]:
    return ((f"{service}:{n}", service) for service, pages in TIMED.items() for n in range(len(pages)))


def histograms(now: float) -> Iterator[str]:
    yield "# TYPE http_request_duration_seconds_bucket counter\n"
    for instance, service in timed_places():
        for bound, value in TIMED[service][int(instance[-1])].items():
            at = f'service="{service}",release="v1",job="timed",instance="{instance}",le="{bound}"'
            for second in range(-120, AFTER):
                yield f"http_request_duration_seconds_bucket{{{at}}} {value(second + BEFORE)} {now + second:.3f}\n"


def without_suffix(now: float) -> Iterator[str]:
    for metric, value in WITHOUT_SUFFIX.items():
        for code in ("200", "500"):
            for second in range(-BEFORE, AFTER):
                at = f'service="odd",release="v1",job="app",instance="odd:1",code="{code}"'
                yield f"{metric}{{{at}}} {value(second, code):.3f} {now + second:.3f}\n"


def environments(now: float) -> Iterator[str]:
    """Of the few requests in production three in ten fail, of the many in staging none does."""
    for env, code, rate in ((ODD, "200", 7), (ODD, "500", 3), ("staging", "200", 2000)):
        written = env.replace("\\", "\\\\").replace('"', '\\"')
        for second in range(-BEFORE, AFTER):
            at = f'service="envs",release="v1",env="{written}",job="app",instance="{len(env)}:1",code="{code}"'
            yield f"http_requests_total{{{at}}} {rate * (second + BEFORE)} {now + second:.3f}\n"


def each_failure(now: float) -> Iterator[str]:
    """Every tenth of a second a request fails with a series of its own, which stays for half a minute."""
    for second in range(-BEFORE, AFTER):
        at = 'service="uniq",release="v1",job="app",instance="uniq:1",code="200"'
        yield f"http_requests_total{{{at}}} {40 * (second + BEFORE)} {now + second:.3f}\n"
    for born in range(-60, AFTER, 1):
        for n in range(10):
            at = f'service="uniq",release="v1",job="app",instance="uniq:1",code="500",path="/{born}-{n}"'
            for second in range(born, min(born + 30, AFTER)):
                yield f"http_requests_total{{{at}}} 1 {now + second:.3f}\n"


def appearing(now: float) -> Iterator[str]:
    """Failures of long ago, in series that were renamed, are there twice or only appear; and of now, in a new one."""
    renamed = [("renamed", more, code) for more in ("", ',team="x"') for code in ("200", "500")]
    twice = [("twice", more, code) for more in ("", ',replica="b"') for code in ("200", "500")]
    for service, more, code in [*renamed, *twice, ("appear", "", "200"), ("appear", "", "500"), ("began", "", "500")]:
        new = bool(more) or (service in ("appear", "began") and code == "500")
        for second in range(-3 if new else -BEFORE, -3 if service == "renamed" and not more else AFTER):
            at = f'service="{service}",release="v1",job="app",instance="{service}:1",code="{code}"{more}'
            value = 10_000 + 100 * (second + BEFORE) if code == "200" else 400.0 if service == "appear" else 100.0
            yield f"http_requests_total{{{at}}} {value} {now + second:.3f}\n"
    for second in range(-BEFORE, AFTER):
        at = 'service="began",release="v1",job="app",instance="began:1",code="200"'
        yield f"http_requests_total{{{at}}} {100 * (second + BEFORE)} {now + second:.3f}\n"


@pytest.fixture(scope="module")
def past() -> Iterator[PastPrometheus]:
    folder = Path(tempfile.mkdtemp(prefix="recovery-cases-"))
    text = folder / "history.txt"
    with text.open("w") as out:
        out.writelines(page(time.time()))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "tsdb")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    text.unlink()
    try:
        with started(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_series_that_hid_failures_hide_none(past: PastPrometheus) -> None:
    seen = (await read(past, *SERVICES, "uniq")).services
    said = {name: judge_traffic(each, Objectives()) for name, each in seen.items()}
    assert {seen["ten"].lack, seen["seven"].lack} == {Lack.SEVERAL}
    assert said["ten"][0] is Health.UNKNOWN
    assert (said["uniq"][0], seen["uniq"].rate) == (Health.FAIL, pytest.approx(50, rel=0.15))
    assert seen["uniq"].error_ratio == pytest.approx(0.2, rel=0.2)
    assert said["crash"][0] is Health.FAIL
    assert seen["crash"].error_ratio == pytest.approx(0.2, rel=0.1)
    assert (seen["steady"].error_ratio, seen["steady"].rate) == (
        pytest.approx(0.2, rel=0.02),
        pytest.approx(50, rel=0.05),
    )


async def test_sym_old_failures_in_new_series_fail_no_service(past: PastPrometheus) -> None:
    """Series of three seconds ago; whether their failures are older is not known, but for one below the usual rate."""
    window = 300
    seen = (await read(past, "renamed", "twice", "appear", "began", window=window)).services
    said = {name: (judge_traffic(each, Objectives())[0], each.errors_lack) for name, each in seen.items()}
    assert said == dict.fromkeys(("renamed", "twice", "appear"), (Health.UNKNOWN, Lack.NEW_SERIES)) | {
        "began": (Health.PASS, None)
    }
    assert seen["began"].error_ratio == pytest.approx(100 / (100 * window), rel=0.05)


async def test_s03_targets_that_fell_silent_are_named_until_they_are_replaced(past: PastPrometheus) -> None:
    seen = (await read(past, "lost", "down", "rolled")).services
    told = {name: [(lost.target, lost.lack) for lost in each.missing] for name, each in seen.items()}
    assert told == {"lost": [("app lost:2", Lack.GONE)], "down": [("app down:2", Lack.DOWN)], "rolled": []}
    assert [seen["lost"].targets, seen["down"].targets] == [2, 2]
    assert seen["rolled"].rate == pytest.approx(25, rel=0.05)


async def test_sym_a_target_that_is_up_and_counts_a_service_no_longer_is_named(past: PastPrometheus) -> None:
    """Its series of one service left it a minute ago; those of another one are there."""
    seen = (await read(past, "left", "stays")).services
    (lost,) = seen["left"].missing
    assert (lost.target, lost.known, lost.lack, seen["left"].targets) == ("app left:2", True, Lack.NO_LONGER, 2)
    assert "without 1 of 2 targets: app left:2 (answers, but has not counted it since " in missing_text(seen["left"])
    assert (seen["stays"].missing, seen["stays"].error_ratio) == ((), 1.0)


async def test_an_instance_that_pushed_its_requests_is_missed_until_it_is_replaced(past: PastPrometheus) -> None:
    """What is pushed has no `up`: only its series tell that it is gone."""
    seen = (await read(past, "pushed", "moved")).services
    told = {name: [(lost.target, lost.lack) for lost in each.missing] for name, each in seen.items()}
    assert told == {"pushed": [("otlp pushed:2", Lack.GONE)], "moved": []}
    assert (seen["pushed"].targets, seen["moved"].error_ratio) == (2, 0.0)


async def test_comp_02_a_recorded_sum_that_lost_an_instance_is_unknown(past: PastPrometheus) -> None:
    seen = (await read(past, "recorded_sum", "recorded_part", "recorded_well")).services
    assert [each.lack for each in seen.values()] == [Lack.SUMMED, Lack.SUMMED, None]
    assert seen["recorded_well"].error_ratio == 0.0
    health, message = judge_traffic(seen["recorded_sum"], Objectives())
    assert (health, "name the metric that each instance has" in message) == (Health.UNKNOWN, True)


async def test_sym_no_p99_of_histograms_that_lack_what_was_counted(past: PastPrometheus) -> None:
    seen = (await read(past, *TIMED)).services
    assert {name: each.p99_lack for name, each in seen.items()} == {
        "whole": None,
        "layouts": None,
        "mixinf": Lack.UNEVEN,
        "noinf": Lack.NO_INF,
        "frozen": Lack.UNEVEN,
        "infnan": Lack.NOT_A_NUMBER,
        "untimed": Lack.UNTIMED,
        "still": Lack.UNTIMED,
        "part": Lack.UNTIMED,
    }
    assert {name for name, each in seen.items() if each.p99 is not None} == {"whole", "layouts"}
    assert seen["whole"].p99 == pytest.approx(0.099, rel=0.01)
    slow = Objectives(p99=1.0)
    assert judge_traffic(seen["mixinf"], slow) == (Health.UNKNOWN, "p99 unknown: its buckets do not add up")


@pytest.mark.parametrize("requests", ["odd_rate", "odd_rates_total"])
async def test_10_a_recorded_rate_that_rises_is_no_counter(past: PastPrometheus, requests: str) -> None:
    (seen,) = (await read(past, "odd", requests=requests)).services.values()
    assert (seen.lack, seen.rate) == (Lack.NO_COUNTER, None)
    verdict, message = judge_traffic(seen, Objectives())
    assert (verdict, message.partition(":")[0]) == (
        Health.UNKNOWN,
        "what counts its requests is a gauge or a rate, and no counter",
    )


async def test_10_a_counter_needs_not_be_called_one(past: PastPrometheus) -> None:
    (counted,) = (await read(past, "odd", requests="odd_count_of_requests")).services.values()
    assert counted.error_ratio == pytest.approx(0.2, rel=0.02)


async def test_11_another_environment_is_told_and_a_selector_leaves_it_out(past: PastPrometheus) -> None:
    (mixed,) = (await read(past, "envs")).services.values()
    assert (mixed.rate, mixed.mixed) == (pytest.approx(2010, rel=0.05), {"env": (ODD, "staging")})
    (prod,) = (await read(past, "envs", labels={"env": [ODD]})).services.values()
    assert (prod.rate, prod.error_ratio) == (pytest.approx(10, rel=0.05), pytest.approx(0.3, rel=0.05))
    assert prod.mixed == {}
    (both,) = (await read(past, "envs", labels={"env": [ODD, "staging"]})).services.values()
    assert (both.rate, both.mixed) == (pytest.approx(2010, rel=0.05), {})
    (none,) = (await read(past, "envs", labels={"env": [".*"]})).services.values()
    assert none.lack is Lack.NO_SERIES


async def test_14_few_requests_are_not_without_figures_in_between(past: PastPrometheus) -> None:
    """One in 20 s, and it fails: the window that four samples need holds one at times only."""
    for _ in range(4):
        (seen,) = (await read(past, "few")).services.values()
        assert seen.scraping is not None
        assert (seen.scraping.window, judge_traffic(seen, Objectives())[0]) == (300.0, Health.FAIL)
        await asyncio.sleep(3)
