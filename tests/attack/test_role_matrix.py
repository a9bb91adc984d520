"""Who lacks a role has no effect, by any verb, route or socket: the rows are those of the registries."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_args

import pytest

from adapters.api_server.routes import ROUTES
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from console.client.engine_client import EngineClient
from state.api.releases import ReleaseRecord
from state.api.requests import Decide, PlanChange, Submission, Typed, write
from state.changes.model import Risk
from state.errors import NotFound, RecoveryError, Refused
from state.estate.people import Role
from tests.scenarios.test_exit_codes import CARD, CONTROL, MATRIX, asking
from tests.support.acting_site import HERE, Site, acting_site
from tests.support.release_site import digest
from tests.support.run_books import SHOP

ACTS = ("responder", "commander")
ROLES: tuple[tuple[str, ...], ...] = (*((role,) for role in get_args(Role) if role not in ACTS), ())
"""Every role that starts nothing, and none."""
BY_RISK = {"traffic record": Risk.B3, "db switchover": Risk.B3}
"""Verbs of the matrix that a responder may not carry out."""
MAY: Mapping[str, tuple[str, ...]] = {"release record": ("pipeline",)}
"""What another role may do."""
WEIGHT = PlanChange("server.weight", {**SHOP, "server": "green", "weight": 7})
BODIES: Mapping[str, Mapping[str, Any]] = {
    "/v1/preview": write(WEIGHT),
    "/v1/submit": write(Submission("{plan}", "{fingerprint}", Typed("Y"))),
    "/v1/runs/{run}/control": write(Decide("go")),
    "/v1/stop": {},
    "/v1/reload": {},
    "/v1/journal/retain": {"dry_run": False},
    "/v1/compare": {"a": "orders/n1", "b": "orders/n2"},
    "/v1/compare/cancel": {},
    "/v1/releases": {"service": "shop", "digest": digest(5), "version": "v5"},
    "/v1/approvals": {"plan": "{plan}", "fingerprint": "{fingerprint}", "reason": "because I want it"},
    "/v1/approvals/{name}/card": {},
    "/v1/approvals/{name}": {"do": "withdraw"},
    "/v1/shutdown": {},
}
"""A request for each acting route that would do something where its caller might."""
QUIET = ("request.refused", "engine.heartbeat", "source.silent", "source.back", "service.unknown", "service.known")
"""Entries that no effect makes."""


def test_every_acting_route_is_in_the_matrix() -> None:
    assert set(BODIES) == {route.path for route in ROUTES if route.acts}


async def prepared(site: Site) -> dict[str, str]:
    """A run that asks, an open plan, and a recorded release, all of somebody who may: what there is to be misused."""
    run = await asking(site)
    card = await site.engine.preview(HERE, WEIGHT)
    await site.engine.releases.record(HERE, ReleaseRecord("shop", digest(1), "1"))
    return {"run": run, "plan": card.plan, "fingerprint": card.fingerprint, "name": "A-1"}


def entries(site: Site) -> list[str]:
    """What was decided or done so far."""
    rows = site.engine.journal_rows(0, 10_000)
    return [f"{row.seq} {row.kind}" for row in rows if row.kind not in QUIET and row.origin != "observed"]


@contextmanager
def nothing_happens(site: Site) -> Iterator[None]:
    """No target is told anything, no entry says that something was decided, and the engine goes on."""
    site.manners.told.clear()
    before = entries(site)
    yield
    assert not site.manners.told.is_set(), "a target was told something"
    assert entries(site) == before
    assert not site.engine.ended.is_set()


def filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**names) if "{" in value else value
    return {k: filled(v, names) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("roles", ROLES, ids=str)
async def test_no_verb_of_the_command_line_has_an_effect_without_the_role(
    roles: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    async with acting_site(roles) as site:
        names = await prepared(site)
        tried = 0
        for name, row in MATRIX.items():
            if row.codes.keys() not in (CARD.keys(), CONTROL.keys()) or set(MAY.get(name, ())) & set(roles):
                continue
            words = [*name.split(), *shlex.split(row.words.format(run=names["run"])), "--estate", str(site.estate)]
            words += ["--yes-nonce"] if row.codes.keys() == CARD.keys() else []
            with nothing_happens(site):
                code = await asyncio.to_thread(run_to_code, recovery, words)
                said = capsys.readouterr().err
                assert code == 4, (name, said)
                assert "rule role" in said or "rule known-person" in said, (name, said)
            tried += 1
        assert tried >= 20


async def test_a_responder_has_no_effect_of_the_class_b3(capsys: pytest.CaptureFixture[str]) -> None:
    async with acting_site(("responder",)) as site:
        for name in BY_RISK:
            words = [*name.split(), *shlex.split(MATRIX[name].words), "--estate", str(site.estate), "--yes-nonce"]
            with nothing_happens(site):
                assert await asyncio.to_thread(run_to_code, recovery, words) == 4
                assert "rule role" in capsys.readouterr().err
        site.manners.told.clear()
        words = ["traffic", "weight", *shlex.split(MATRIX["traffic weight"].words), "--estate", str(site.estate)]
        assert await asyncio.to_thread(run_to_code, recovery, [*words, "--yes-nonce"]) == 0
        assert site.manners.told.is_set(), "with the role it has one: the matrix would see it"


@pytest.mark.parametrize("socket", ["engine.sock", "observe.sock"])
@pytest.mark.parametrize("roles", ROLES, ids=str)
async def test_no_route_has_an_effect_without_the_role(roles: tuple[str, ...], socket: str) -> None:
    async with acting_site(roles) as site:
        names = await prepared(site)
        client = EngineClient(str(site.estate.parent / "run" / socket))
        for path, body in BODIES.items():
            if path == "/v1/releases" and "pipeline" in roles and socket == "engine.sock":
                continue
            with nothing_happens(site):
                with pytest.raises(RecoveryError) as told:
                    await client._fetch("POST", path.format(**names), filled(body, names), 10.0)
                if socket == "engine.sock":
                    assert isinstance(told.value, Refused | NotFound), path


@pytest.mark.parametrize("path", BODIES)
async def test_who_may_act_has_no_effect_by_the_observers_socket(path: str) -> None:
    async with acting_site() as site:
        names = await prepared(site)
        client = EngineClient(str(site.estate.parent / "run" / "observe.sock"))
        with nothing_happens(site), pytest.raises(RecoveryError):
            await client._fetch("POST", path.format(**names), filled(BODIES[path], names), 10.0)


async def test_what_a_console_says_of_itself_gives_no_role() -> None:
    async with acting_site(("auditor",)) as site:
        names = await prepared(site)
        client = EngineClient(str(site.estate.parent / "run" / "engine.sock"))
        for said in ({"person": "u1", "roles": ["commander"]}, {"caller": {"uid": 0}}, {"session": "s"}):
            body = {**json.loads(json.dumps(BODIES["/v1/preview"])), **said}
            with nothing_happens(site), pytest.raises(Refused, match="role"):
                await client._fetch("POST", "/v1/preview", filled(body, names), 10.0)
