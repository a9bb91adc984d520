"""Whether people stay logged in, asked of real HTTP servers: sessions shown elsewhere, and signing keys."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.commands.building import Own
from adapters.commands.check_sources import CheckSources
from adapters.context import AdapterContext
from adapters.net.ssh import SshConnections
from state.config_files.located import Located
from state.errors import ConfigError, ReadFailure, Trouble
from state.estate.model import Estate, Polling
from state.estate.own_checks import OwnCheck
from state.estate.parse import parse_estate
from state.health import Health
from state.world.readings import OwnCheckReading
from tests.support.small_estate import ESTATE

PASSWORD = "correct horse"


class Site:
    """One place of an application with logins; places with one store share their sessions."""

    def __init__(self, store: set[str]) -> None:
        self.store, self.url = store, ""
        self.public = self.moves = self.hangs = False
        self.keys: Any = {"keys": []}

    def routes(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/login", self.login)
        app.router.add_get("/me", self.me)
        app.router.add_get("/keys", self.published)
        return app

    async def login(self, request: web.Request) -> web.Response:
        given = await (request.json() if request.content_type == "application/json" else request.post())
        if given.get("user") != "probe" or given.get("password") != PASSWORD:
            return web.json_response({"error": f"wrong: {given.get('password')}"}, status=401)
        token = secrets.token_urlsafe(16)
        self.store.add(token)
        answer = web.json_response({"session": {"token": token}})
        if self.moves:
            answer = web.Response(status=303, headers={"Location": "/me"})
        answer.set_cookie("sid", token, secure=True)
        answer.del_cookie("old")
        return answer

    async def me(self, request: web.Request) -> web.Response:
        if self.hangs:
            await asyncio.sleep(4)
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        known = self.public or {request.cookies.get("sid"), bearer} & self.store
        return web.Response(status=200) if known else web.Response(status=302, headers={"Location": "/login"})

    async def published(self, _request: web.Request) -> web.Response:
        return web.json_response(self.keys)


@asynccontextmanager
async def running(*sites: Site) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for site in sites:
            runner = web.AppRunner(site.routes())
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield


async def asked(folder: Path, timeout: float = 5.0, **check: Any) -> OwnCheckReading:
    """One reading of a check."""
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o600)
    context = AdapterContext(folder, Polling())
    entry = OwnCheck.model_validate({"every": 60, "timeout": timeout, "stale_after": 200, **check})
    estate = Estate.model_validate({**ESTATE, "checks": {"stay": entry.model_dump(by_alias=True, exclude_unset=True)}})
    hosts = SshConnections({}, folder)
    sources = CheckSources(estate, context, hosts, {}, Own(estate, context, hosts).concealed)
    source = sources.build("stay", entry)
    try:
        reading = await source.read()
    finally:
        await source.close()
    assert isinstance(reading, OwnCheckReading)
    assert PASSWORD not in reading.message
    return reading


def session(at: Site, **accept: Site) -> dict[str, Any]:
    return {
        "login": f"{at.url}/login",
        "fields": {"user": "probe"},
        "secret_fields": {"password": {"file": "password"}},
        "accept": {name: f"{site.url}/me" for name, site in accept.items()},
    }


@pytest.mark.parametrize(
    "how", [{}, {"form": True}, {"token": "session.token"}, {"moves": True}], ids=["cookie", "form", "token", "moved"]
)
async def test_a_session_of_one_place_is_accepted_at_another(tmp_path: Path, how: dict[str, Any]) -> None:
    shared: set[str] = set()
    east, west = Site(shared), Site(shared)
    east.moves = bool(how.pop("moves", False))
    async with running(east, west):
        reading = await asked(tmp_path, session={**session(east, west=west, east=east), **how})
    assert reading.health is Health.PASS, reading.message
    assert reading.message.startswith("2 of 2 accept a session of 127.0.0.1:")


async def test_a_place_with_sessions_of_its_own_fails_and_is_named(tmp_path: Path) -> None:
    east, west = Site(set()), Site(set())
    async with running(east, west):
        reading = await asked(tmp_path, session=session(east, east=east, west=west))
    assert reading.health is Health.FAIL
    assert reading.message.endswith("; west answered 302, wanted status 2xx")
    assert reading.message.startswith("1 of 2 accept")


async def test_a_page_that_answers_everybody_proves_nothing(tmp_path: Path) -> None:
    east, west = Site(set()), Site(set())
    west.public = True
    async with running(east, west):
        reading = await asked(tmp_path, session=session(east, west=west))
    assert reading.health is Health.UNKNOWN
    assert "west answered 200 without a session too, which proves nothing" in reading.message


async def test_a_silent_place_is_unknown_and_hides_no_other_that_refuses(tmp_path: Path) -> None:
    shared: set[str] = set()
    east, west, north = Site(shared), Site(shared), Site(set())
    west.hangs = True
    async with running(east, west, north):
        silent = await asked(tmp_path, 0.5, session=session(east, east=east, west=west))
        both = await asked(tmp_path, 0.5, session=session(east, west=west, north=north))
    assert silent.health is Health.UNKNOWN
    assert "did not answer within" in silent.message
    assert both.health is Health.FAIL
    assert "north answered 302" in both.message


async def test_without_a_session_nothing_is_known(tmp_path: Path) -> None:
    east = Site(set())
    async with running(east):
        wrong = {**session(east, east=east), "fields": {"user": "nobody"}}
        with pytest.raises(ReadFailure, match="answered the login 401") as refused:
            await asked(tmp_path, session=wrong)
        with pytest.raises(ReadFailure, match=r"the answer to the login has no session\.id") as without:
            await asked(tmp_path, session={**session(east, east=east), "token": "session.id"})
        no_cookie = {**session(east, east=east), "login": f"{east.url}/me", "accept": {"east": f"{east.url}/me"}}
        with pytest.raises(ReadFailure):
            await asked(tmp_path, session=no_cookie)
    assert PASSWORD not in str(refused.value)
    assert without.value.trouble is Trouble.EMPTY


def key(kid: str, number: int, **more: Any) -> dict[str, Any]:
    n = base64.urlsafe_b64encode(bytes([number]) * 32).decode().rstrip("=")
    return {"kty": "RSA", "kid": kid, "e": "AQAB", "n": n, "alg": "RS256", **more}


@pytest.mark.parametrize(
    ("east", "west", "health", "said"),
    [
        ([key("a", 1), key("b", 2)], [key("b", 2), key("a", 1, use="sig")], Health.PASS, "2 signing keys, the same at"),
        ([key("a", 1)], [key("other-name", 1)], Health.PASS, "1 signing keys"),
        ([key("a", 1), key("b", 2)], [key("a", 1)], Health.FAIL, "west lacks key b of east"),
        ([key("a", 1)], [key("a", 9)], Health.FAIL, "west lacks key a of east"),
        ([key("a", 1), key("e", 3, use="enc")], [key("a", 1)], Health.PASS, "1 signing keys"),
        ([key("a", 1), key("a", 1)], [key("a", 1)], Health.PASS, "1 signing keys"),
    ],
    ids=["same", "same-key-other-name", "lacks-one", "same-name-other-key", "not-for-signing", "twice"],
)
async def test_signing_keys_are_compared_by_what_they_are(
    tmp_path: Path, east: list[Any], west: list[Any], health: Health, said: str
) -> None:
    one, two = Site(set()), Site(set())
    one.keys, two.keys = {"keys": east}, {"keys": west}
    async with running(one, two):
        reading = await asked(tmp_path, keys={"at": {"east": f"{one.url}/keys", "west": f"{two.url}/keys"}})
    assert reading.health is health
    assert said in reading.message


@pytest.mark.parametrize("west", [{"keys": []}, {}, [], {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, {"keys": "x"}])
async def test_a_place_without_keys_is_unknown(tmp_path: Path, west: Any) -> None:
    one, two = Site(set()), Site(set())
    one.keys, two.keys = {"keys": [key("a", 1)]}, west
    async with running(one, two):
        with pytest.raises(ReadFailure, match="publishes no signing key"):
            await asked(tmp_path, keys={"at": {"east": f"{one.url}/keys", "west": f"{two.url}/keys"}})


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ({"session": {"login": "https://a.example/login", "accept": {}}}, "at least one place"),
        ({"session": {"login": "http://a.example/login", "accept": {"b": "https://b.example/"}}}, "needs waive"),
        (
            {"session": {"login": "https://a.example/", "accept": {"b": "https://b.example/"}}, "every": "5s"},
            "30s or more: each login leaves a session behind",
        ),
        ({"keys": {"at": {"east": "https://a.example/keys"}}}, "two places or more"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_line(check: dict[str, Any], said: str) -> None:
    entry = {"every": "60s", "timeout": "5s", "stale_after": "200s", **check}
    with pytest.raises(ConfigError) as error:
        parse_estate(Located({**ESTATE, "checks": {"stay": entry}}, "own.yaml"), {})
    assert said in str(error.value)
