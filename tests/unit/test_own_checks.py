"""Checks of an estate's own: pass, fail and unknown, for services, in runbooks and by themselves."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.files.located_yaml import parse_yaml
from adapters.monitors.prometheus import PrometheusOptions
from state.api.requests import PlanRunbook
from state.config_files.located import Located
from state.errors import ConfigError
from state.estate.conditions import ValueCondition
from state.estate.own_checks import OwnCheck, SqlCheck, by_values
from state.estate.parse import parse_estate
from state.health import Health
from tests.support.own_estate import own, script
from tests.support.run_books import book
from tests.support.small_estate import ESTATE, Small

ABOVE, BELOW = ValueCondition(above=5), ValueCondition(below=1)
NAN = float("nan")


class Answering:
    """Answers whatever is set, as Prometheus or as an application."""

    def __init__(self) -> None:
        self.status, self.body = 200, "[]"
        self.asked: list[str] = []

    def series(self, *values: float | str) -> None:
        rows = [{"metric": {"queue": f"q{n}"}, "value": [1.0, str(value)]} for n, value in enumerate(values)]
        self.body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}})

    async def serve(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        return web.Response(status=self.status, text=self.body, content_type="application/json")


@pytest.fixture
async def answering() -> AsyncIterator[tuple[Answering, str]]:
    made, app = Answering(), web.Application()
    app.router.add_route("*", "/{tail:.*}", made.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield made, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def quick(**asked: Any) -> dict[str, Any]:
    return {"every": "50ms", "timeout": "5s", "stale_after": "20s", **asked}


async def reads(lab: Small, name: str, health: Health, said: str = "") -> None:
    """Wait until a check was read so."""
    key = f"check:{name}"

    def so() -> bool:
        seen = lab.engine.world.observed[key]
        if health is Health.UNKNOWN and seen.error is not None:
            return said in seen.error.message
        return seen.value is not None and seen.value.health is health and said in seen.value.message

    await until(so, lambda: str(lab.engine.world.observed[key]))


async def until(holds: Callable[[], bool], told: Callable[[], str] = str) -> None:
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(told())


@pytest.mark.parametrize(
    ("passes", "fails", "values", "result"),
    [
        (BELOW, None, (0, 0.5), True),
        (BELOW, None, (0, 1), False),
        (BELOW, ABOVE, (0, 3), None),
        (BELOW, ABOVE, (0, 6), False),
        (BELOW, ABOVE, (0.5,), True),
        (BELOW, None, (0, NAN), None),
        (BELOW, ABOVE, (9, NAN), False),
        (BELOW, None, (0, None), None),
        (BELOW, None, ("0",), None),
        (BELOW, None, (timedelta(0),), None),
        (BELOW, None, (True,), None),
        (ValueCondition(equals="d"), None, (b"d",), None),
        (ValueCondition(one_of=(1, "a")), None, ("b",), False),
        (ValueCondition(equals=5), None, ("5",), None),
        (ValueCondition(equals="ok"), None, ("ok", "ok"), True),
        (ValueCondition(above=0), ValueCondition(above=0), (1,), False),
        (ValueCondition(equals=9007199254740992), None, (Decimal(9007199254740993),), False),
        (ValueCondition(equals=9007199254740993), None, (Decimal(9007199254740993),), True),
        (ValueCondition(at_least=9007199254740993), None, (9007199254740992,), False),
        (ValueCondition(at_least=9007199254740993), None, (Decimal(9007199254740992),), False),
        (ValueCondition(equals=0.1), None, (Decimal("0.1"),), True),
        (ValueCondition(at_least=0.1, at_most=0.1), None, (Decimal("0.1"), Decimal("0.10")), True),
        (ValueCondition(one_of=("1", 2)), None, (Decimal(1),), False),
        (BELOW, None, (Decimal("NaN"),), None),
        (BELOW, None, (10**400,), False),
        (BELOW, ABOVE, (Decimal("Infinity"),), False),
    ],
)
def test_values_are_told_apart_and_no_number_never_passes(
    passes: ValueCondition, fails: ValueCondition | None, values: tuple[Any, ...], result: bool | None
) -> None:
    assert by_values(passes, fails, values) is result


async def test_promql_passes_when_all_series_fit_and_is_unknown_without_any(
    tmp_path: Path, answering: tuple[Answering, str]
) -> None:
    prometheus, url = answering
    monitor = PrometheusOptions(kind="prometheus", url=url)
    check = quick(promql={"monitor": "prom", "query": "queue_length", "pass": {"below": 100}, "fail": {"above": 900}})
    async with own(tmp_path, checks={"queue": check}, monitors={"prom": monitor}) as lab:
        await reads(lab, "queue", Health.UNKNOWN)
        prometheus.series(3, 99)
        await reads(lab, "queue", Health.PASS)
        prometheus.series(3, 500)
        await reads(lab, "queue", Health.UNKNOWN, "neither passes nor fails: queue=q1 500")
        prometheus.series(3, 901)
        await reads(lab, "queue", Health.FAIL, "queue=q1 901, wanted below 100")
        prometheus.series("NaN")
        await reads(lab, "queue", Health.UNKNOWN)
        prometheus.series(1)
        await reads(lab, "queue", Health.PASS)
        prometheus.series()
        await reads(lab, "queue", Health.UNKNOWN, "prom has no series for it that is younger than 120 s")
        assert "lookback_delta=120s" in prometheus.asked[-1]


async def test_a_range_that_ended_longer_ago_than_the_look_back_is_no_series(
    tmp_path: Path, answering: tuple[Answering, str]
) -> None:
    prometheus, url = answering

    def ranges(**ended_ago: float) -> None:
        rows = [
            {"metric": {"queue": name}, "values": [[time.time() - ago - 15, "1"], [time.time() - ago, "1"]]}
            for name, ago in ended_ago.items()
        ]
        prometheus.body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": rows}})

    monitor = PrometheusOptions(kind="prometheus", url=url)
    asked = {"monitor": "prom", "query": "one[10m]", "pass": {"equals": 1}, "look_back": "60s"}
    async with own(tmp_path, checks={"one": quick(promql=asked)}, monitors={"prom": monitor}) as lab:
        ranges(a=200, b=5)
        await reads(lab, "one", Health.PASS)
        ranges(a=200, b=70)
        await reads(lab, "one", Health.UNKNOWN, "prom has no series for it that is younger than 60 s")


def test_a_large_bound_of_an_estate_is_the_number_that_was_written() -> None:
    text = "{database: orders, query: q, pass: {at_least: 9007199254740993, below: 1.5e300}}"
    passes = SqlCheck.model_validate(parse_yaml(text, "").data).passes
    assert (passes.at_least, str(passes)) == (9007199254740993, "at least 9007199254740993, below 1.5e+300")


async def test_http_is_judged_by_status_and_field(tmp_path: Path, answering: tuple[Answering, str]) -> None:
    app, url = answering
    field = {"field": "queue.free", "at_least": 10}
    checks = {
        "room": quick(http={"url": f"{url}/state", "pass": field}),
        "gone": quick(http={"url": "http://127.0.0.1:1/", "unreachable": "fail"}),
        "mute": quick(http={"url": "http://127.0.0.1:1/"}),
    }
    async with own(tmp_path, checks=checks) as lab:
        app.body = '{"queue": {"free": 12}}'
        await reads(lab, "room", Health.PASS)
        app.body = '{"queue": {"free": 9}}'
        await reads(
            lab, "room", Health.FAIL, "answered 200: queue.free is 9, wanted status 2xx, queue.free at least 10"
        )
        app.body, app.status = '{"queue": {"free": 12}}', 503
        await reads(lab, "room", Health.FAIL, "answered 503")
        await reads(lab, "gone", Health.FAIL)
        await reads(lab, "mute", Health.UNKNOWN)


@pytest.mark.parametrize(
    ("body", "condition", "health", "said"),
    [
        (
            '{"state": "failed", "state": "ok"}',
            {"field": "state", "equals": "ok"},
            Health.UNKNOWN,
            "the key state twice",
        ),
        ('{"lag": NaN}', {"field": "lag", "at_most": 1}, Health.UNKNOWN, "NaN, which is no number"),
        ("[" * 100_000, {"field": "a", "at_most": 1}, Health.UNKNOWN, "nested too deeply"),
        ("<html>Log in", {"field": "a", "equals": "ok"}, Health.UNKNOWN, "no JSON: <html>Log in"),
        ("", {"field": "a", "equals": "ok"}, Health.UNKNOWN, "no content"),
        ('{"lag": "5"}', {"field": "lag", "at_most": 9}, Health.UNKNOWN, 'lag is "5" (a text, not a number)'),
        ('{"lag": null}', {"field": "lag", "at_most": 9}, Health.UNKNOWN, "lag has no value"),
        (
            json.dumps({"long": "x" * 500, "z": 0}),
            {"field": "z", "equals": 1},
            Health.FAIL,
            "answered 200: z is 0, wanted status 2xx, z equals 1",
        ),
        (
            '{"ok": true}',
            {"field": "ok", "equals": False},
            Health.FAIL,
            "ok is true, wanted status 2xx, ok equals false",
        ),
        ('{"a": "x"}', {"field": "a", "equals": ""}, Health.FAIL, 'a is x, wanted status 2xx, a equals ""'),
    ],
)
async def test_an_answer_that_cannot_be_compared_is_unknown_and_says_why(
    tmp_path: Path,
    answering: tuple[Answering, str],
    body: str,
    condition: dict[str, Any],
    health: Health,
    said: str,
) -> None:
    app, url = answering
    app.body = body
    async with own(tmp_path, checks={"c": quick(http={"url": f"{url}/", "pass": condition})}) as lab:
        await reads(lab, "c", health, said)


async def test_what_says_twice_whether_it_fails_does_not_pass(tmp_path: Path, answering: tuple[Answering, str]) -> None:
    app, url = answering
    check = quick(http={"url": f"{url}/", "fail": {"field": "down", "equals": True}})
    async with own(tmp_path, checks={"c": check}) as lab:
        app.body = '{"down": true, "down": false}'
        await reads(lab, "c", Health.UNKNOWN, "the key down twice")
        app.body = '{"down": "yes"}'
        await reads(lab, "c", Health.UNKNOWN, "down is yes (a text, not true or false)")
        app.body = "{}"
        await reads(lab, "c", Health.PASS)


@pytest.mark.parametrize(("kind", "said"), [("scalar", r"a scalar, no series: write vector("), ("string", "a string")])
async def test_a_query_without_series_says_what_it_gives(
    tmp_path: Path, answering: tuple[Answering, str], kind: str, said: str
) -> None:
    prometheus, url = answering
    prometheus.body = json.dumps({"status": "success", "data": {"resultType": kind, "result": [1.0, "1"]}})
    monitor = PrometheusOptions(kind="prometheus", url=url)
    check = quick(promql={"monitor": "prom", "query": "time()", "pass": {"above": 0}})
    async with own(tmp_path, checks={"c": check}, monitors={"prom": monitor}) as lab:
        await reads(lab, "c", Health.UNKNOWN, said)


async def test_a_command_is_judged_by_its_exit_code(tmp_path: Path) -> None:
    code = script(tmp_path, "code", "print('said'); sys.exit(int(open('code.txt').read()))")
    (tmp_path / "code.txt").write_text("0")
    async with own(tmp_path, checks={"job": quick(command={"argv": [code]})}) as lab:
        await reads(lab, "job", Health.PASS)
        (tmp_path / "code.txt").write_text("1")
        await reads(lab, "job", Health.FAIL, "exit code 1: said")
        (tmp_path / "code.txt").write_text("2")
        await reads(lab, "job", Health.UNKNOWN, "neither passes nor fails: exit code 2")


def flag(folder: Path) -> dict[str, Any]:
    """A check that is a file: pass, fail, or anything else."""
    text = "said = open('flag').read(); print(said); sys.exit({'pass': 0, 'fail': 1}.get(said, 9))"
    (folder / "flag").write_text("pass")
    return quick(command={"argv": [script(folder, "flag.py", text)]}, title="The flag")


@pytest.mark.parametrize(("said", "health"), [("fail", Health.FAIL), ("what?", Health.UNKNOWN)])
async def test_a_service_is_as_well_as_its_checks(tmp_path: Path, said: str, health: Health) -> None:
    shop = {**ESTATE["services"]["shop"], "objectives": {"checks": ["flag"]}}
    async with own(tmp_path, checks={"flag": flag(tmp_path)}, services={"shop": shop}) as lab:
        await until(lambda: lab.engine.view("overview").services["shop"].health is Health.PASS)
        (tmp_path / "flag").write_text(said)
        await until(lambda: lab.engine.view("overview").services["shop"].health is health)
        await until(lambda: any(c.name == "shop" for c in lab.engine.view("header").causes))
        cause = next(c for c in lab.engine.view("header").causes if c.name == "shop")
        assert cause.health is health
        assert said in cause.what
        (tmp_path / "flag").write_text("pass")
        await until(lambda: lab.engine.view("header").causes == ())


async def test_a_check_of_no_service_is_a_cause_of_its_own(tmp_path: Path) -> None:
    async with own(tmp_path, checks={"flag": flag(tmp_path)}) as lab:
        await reads(lab, "flag", Health.PASS)
        assert not [c for c in lab.engine.view("header").causes if c.name == "flag"]
        (tmp_path / "flag").write_text("fail")
        await until(lambda: any(c.name == "flag" for c in lab.engine.view("header").causes))
        cause = next(c for c in lab.engine.view("header").causes if c.name == "flag")
        assert (cause.health, cause.what) == (Health.FAIL, "its check fails: exit code 1: fail")


async def test_a_runbook_waits_for_a_check_and_only_a_younger_reading_counts(tmp_path: Path) -> None:
    step = {"id": "flag", "check": "own.check", "with": {"check": "flag"}, "for": "2s", "every": "100ms"}
    async with own(tmp_path, book(step), checks={"flag": flag(tmp_path)}) as lab:
        await reads(lab, "flag", Health.PASS)
        run = (await lab.submit(await lab.preview(PlanRunbook("case")))).run
        assert await lab.ended(run, 60) == "done"
        assert lab.engine.history.runs[run].latest("flag").evidence == ("flag: exit code 0: pass",)
        (tmp_path / "flag").write_text("what?")
        run = (await lab.submit(await lab.preview(PlanRunbook("case")))).run
        assert await lab.ended(run, 60) == "paused"


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ({"command": {"argv": ["true"]}, "http": {"url": "https://a.example/"}}, "exactly one of promql"),
        ({}, "exactly one of promql"),
        ({"command": {"argv": ["true"], "pass": [0], "fail": [0]}}, "other exit codes"),
        ({"command": {"argv": ["true"]}, "stale_after": "10s"}, "more than every and timeout"),
        ({"http": {"url": "http://a.example/"}}, "needs waive"),
        ({"promql": {"monitor": "nobody", "query": "x", "pass": {"above": 1}}}, "a monitor"),
        ({"promql": {"monitor": "nobody", "query": "x", "pass": {}}}, "a condition"),
        ({"http": {"url": "https://a.example/", "pass": {"field": "x"}}}, "field and a condition"),
    ],
)
def test_a_check_that_is_not_sound_is_refused(check: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_estate(Located({**ESTATE, "checks": {"c": check}}, "own.yaml"), {})


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"equals": [1]}, "found a list, expected text, a number or true or false"),
        ({"equals": {"a": 1}}, "found a mapping, expected text, a number or true or false"),
        ({"one_of": [{"a": 1}, "b"]}, "found a mapping, expected text, a number or true or false"),
        ({"one_of": True}, "found true, expected a list"),
    ],
)
def test_a_value_of_no_fitting_kind_is_named_once(condition: dict[str, Any], said: str) -> None:
    check = {"http": {"url": "https://a.example/", "pass": {"field": "x", **condition}}}
    with pytest.raises(ConfigError) as refused:
        parse_estate(Located({**ESTATE, "checks": {"c": check}}, "own.yaml"), {})
    told = [line for line in str(refused.value).splitlines() if "expected text" in line or "expected a list" in line]
    assert told == [f"own.yaml:1:1: {said}"]
    assert "found nothing" not in str(refused.value)


def test_a_service_names_checks_that_there_are() -> None:
    shop = {**ESTATE["services"]["shop"], "objectives": {"checks": ["flog"]}}
    checks = {"flag": OwnCheck.model_validate(quick(command={"argv": ["true"]})).model_dump(exclude_unset=True)}
    with pytest.raises(ConfigError, match="did you mean 'flag'"):
        parse_estate(Located({**ESTATE, "services": {"shop": shop}, "checks": checks}, "own.yaml"), {})
