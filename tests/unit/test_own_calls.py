"""Calls over HTTP of an estate's own: sent once, data stays data, proven by a reading call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from state.api.card import WarningKind
from state.api.requests import PlanChange, PlanUndo
from state.config_files.located import Located
from state.errors import ConfigError, RecoveryError
from state.estate.conditions import AnswerCondition, ValueCondition
from state.estate.parse import parse_estate
from state.journal.format import unseal_any
from state.runs.events import EffectAnswered
from tests.support.own_estate import own
from tests.support.small_estate import ESTATE, Small

TOKEN = "Bearer s3cret-of-the-d3ploy"


class Deployer:
    """A little deployment service that holds the release of each application."""

    def __init__(self) -> None:
        self.releases: dict[str, Any] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.headers: dict[str, str] = {}
        self.status = 202
        self.applies = True

    async def serve(self, request: web.Request) -> web.Response:
        app = request.raw_path.split("/")[2]
        if request.method == "GET":
            return web.json_response({"spec": {"releases": [self.releases.get(app, "none")]}, "id": "deployer-7"})
        body = await request.json()
        self.requests.append((request.method, request.raw_path, body))
        self.headers = dict(request.headers)
        if 300 <= self.status < 400:
            raise web.HTTPTemporaryRedirect("/elsewhere")
        if self.applies:
            self.releases[app] = body["release"]
        return web.json_response({"token": TOKEN}, status=self.status)


@pytest.fixture
async def deployer() -> AsyncIterator[tuple[Deployer, str]]:
    made, app = Deployer(), web.Application()
    app.router.add_route("*", "/{tail:[\\s\\S]*}", made.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield made, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def calls(folder: Path, base: str, **more: Any) -> dict[str, Any]:
    secret = folder / "token"
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    field = {"field": "spec.releases.0"}
    entry = {
        "method": "PUT",
        "url": f"{base}/apps/${{app}}/release",
        "params": {"app": {"kind": "text"}, "release": {"kind": "text"}},
        "body": {"release": "${release}", "note": "by ${app}", "force": False},
        "headers": {"X-From": "recovery"},
        "secret_headers": {"Authorization": {"file": str(secret)}},
        "read": {
            "url": f"{base}/apps/${{app}}",
            "done": {**field, "equals": "v42"},
            "not_done": {**field, "one_of": ["none", "v41"]},
        },
        "identity": {"url": f"{base}/apps/x", "field": "id"},
        "risk": "B1",
        "quiet": "200ms",
        "settle": "50ms",
        "undo": {"call": "back", "args": {"app": "${app}"}},
        **more,
    }
    back = {
        "method": "PUT",
        "url": f"{base}/apps/${{app}}/release",
        "params": {"app": {"kind": "text"}},
        "body": {"release": "v41"},
        "read": {**entry["read"], "done": {**field, "equals": "v41"}, "not_done": {**field, "equals": "v42"}},
        "risk": "B1",
        "quiet": "200ms",
        "settle": "50ms",
    }
    return {"deploy": entry, "back": back}


def deploy(app: str = "shop", release: str = "v42") -> PlanChange:
    return PlanChange("http.call", {"call": "deploy", "args": {"app": app, "release": release}})


async def test_a_call_is_sent_once_with_its_headers_and_read_back(
    tmp_path: Path, deployer: tuple[Deployer, str]
) -> None:
    service, base = deployer
    async with own(tmp_path, http_calls=calls(tmp_path, base)) as lab:
        card = await lab.preview(deploy())
        assert any(fact.name == "identity" and fact.value == "deployer-7" for fact in card.facts)
        run = (await lab.submit(card)).run
        assert await lab.ended(run, 60) == "done"
        assert service.requests == [
            ("PUT", "/apps/shop/release", {"release": "v42", "note": "by shop", "force": False})
        ]
        assert service.headers["Authorization"] == TOKEN
        assert service.headers["X-From"] == "recovery"
        assert service.headers["Idempotency-Key"].startswith(f"{run}/change#1@20")
        assert TOKEN.split()[1] not in json.dumps([str(unseal_any(e)) for e in lab.store.rows(0, 1000)])
        back = (await lab.submit(await lab.preview(PlanUndo(run)))).run
        assert await lab.ended(back, 60) == "done"
        assert service.releases == {"shop": "v41"}


@pytest.mark.parametrize("status", [500, 307, 404])
async def test_an_answer_that_was_not_expected_proves_nothing_the_reading_decides(
    tmp_path: Path, deployer: tuple[Deployer, str], status: int
) -> None:
    service, base = deployer
    service.status = status
    service.applies = status == 500
    async with own(tmp_path, http_calls=calls(tmp_path, base)) as lab:
        run = (await lab.submit(await lab.preview(deploy()))).run
        assert await lab.ended(run, 60) == ("done" if status == 500 else "failed")
        answer = _answer(lab)
        assert answer.unknown
        assert len(service.requests) == 1, "neither repeated nor redirected"


def _answer(lab: Small) -> EffectAnswered:
    bodies = [unseal_any(each).body for each in lab.store.rows(0, 1000)]
    return next(body for body in bodies if isinstance(body, EffectAnswered))


async def test_without_a_reading_a_call_is_not_verified(tmp_path: Path, deployer: tuple[Deployer, str]) -> None:
    service, base = deployer
    entry = {**calls(tmp_path, base)["deploy"], "read": None, "undo": None}
    async with own(tmp_path, http_calls={"deploy": entry}) as lab:
        card = await lab.preview(deploy())
        assert [w.kind for w in card.warnings] == [WarningKind.UNVERIFIED]
        run = (await lab.submit(card)).run
        await lab.ended(run, 60)
        assert lab.engine.view("runbooks").runs[run].word == "unproven"
        service.status = 500
        run = (await lab.submit(await lab.preview(deploy()))).run
        assert await lab.ended(run, 60) == "failed"
        assert "outcome unknown" in lab.engine.history.runs[run].latest("change").message


async def test_a_reading_that_fits_both_or_neither_refuses_the_plan(
    tmp_path: Path, deployer: tuple[Deployer, str]
) -> None:
    service, base = deployer
    service.releases["shop"] = "v13"
    async with own(tmp_path, http_calls=calls(tmp_path, base)) as lab:
        with pytest.raises(RecoveryError, match="says neither"):
            await lab.preview(deploy())


@pytest.mark.parametrize("value", ["a/b", "?x=1", "#", "..%2f", 'x","force":true,"y":"', "a\nb", "ü"])
async def test_a_value_is_one_segment_and_one_text(tmp_path: Path, deployer: tuple[Deployer, str], value: str) -> None:
    service, base = deployer
    async with own(tmp_path, http_calls=calls(tmp_path, base)) as lab:
        run = (await lab.submit(await lab.preview(deploy(value)))).run
        assert await lab.ended(run, 60) == "done"
        (_, path, body), *more = service.requests
        assert path.count("/") == 3
        assert "?" not in path
        assert body == {"release": "v42", "note": f"by {value}", "force": False}
        assert more == []


@pytest.mark.parametrize("value", ["..", ".", ""])
async def test_a_value_that_would_lead_elsewhere_is_refused(tmp_path: Path, value: str) -> None:
    async with own(tmp_path, http_calls=calls(tmp_path, "http://127.0.0.1:1")) as lab:
        with pytest.raises(RecoveryError, match="a part of an address"):
            await lab.preview(deploy(value))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "http://deploy.example/x"}, "needs waive"),
        ({"url": "https://${app}.example/x", "read": None, "identity": None}, "whose host is fixed"),
        ({"url": "https://other.example/x"}, "the origin of the call"),
        ({"headers": {"Host": "elsewhere"}}, "set by the engine"),
        ({"body": {"x": "${nobody}"}}, "a parameter in"),
        ({"headers": {"Authorization": "Bearer abcdefghijk"}}, "a reference to the secret"),
    ],
)
def test_an_entry_that_is_not_sound_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    entry = {**calls(tmp_path, "http://127.0.0.1:1")["deploy"], **change}
    sections = {"http_calls": {"deploy": entry, "back": calls(tmp_path, "http://127.0.0.1:1")["back"]}}
    with pytest.raises(ConfigError, match=said):
        parse_estate(Located({**ESTATE, **sections}, "own.yaml"), {})


def test_conditions_hold_for_fitting_values_only() -> None:
    assert ValueCondition(above=1, at_most=5).fits(5)
    assert not ValueCondition(above=1).fits(1)
    assert not ValueCondition(below=1).fits(float("nan"))
    assert not ValueCondition(below=1).fits(None)
    assert not ValueCondition(at_least=0).fits(True)
    assert not ValueCondition(at_least=0).fits("5")
    assert not ValueCondition(equals=1).fits("1")
    assert not ValueCondition(equals=1).fits(True)
    assert ValueCondition(equals=False).fits(False)
    assert ValueCondition(one_of=("a", 2)).fits(2)
    deep = AnswerCondition(field="a.0.b", equals="x")
    assert deep.answered(204, {"a": [{"b": "x"}]})
    assert not deep.answered(500, {"a": [{"b": "x"}]})
    assert not deep.answered(200, {"a": []})
    assert not deep.answered(200, None)
    assert AnswerCondition(status=(404,)).answered(404, None)


@pytest.mark.parametrize(
    ("value", "said"),
    [("5", "a text, not a number"), ([1], "a list, not a number"), ({}, "a mapping, not a number"), (5, "")],
)
def test_what_cannot_be_compared_is_named(value: Any, said: str) -> None:
    assert ValueCondition(at_least=0).unlike(value) == said
    assert str(ValueCondition(equals="5", one_of=(True, "a b", ""))) == 'equals "5", one of true, a b, ""'
