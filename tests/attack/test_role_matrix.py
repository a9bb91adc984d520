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
from console.cli.db_acts import DATABASE_VERBS
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from console.client.engine_client import EngineClient
from state.api.releases import ReleaseRecord
from state.api.requests import Decide, PlanChange, Submission, Typed, write
from state.changes.model import Risk
from state.errors import NotFound, RecoveryError, Refused
from state.estate.people import Role
from state.granting.scram import verifier
from tests.scenarios.test_exit_codes import CARD, CONTROL, MATRIX, READING, asking
from tests.support.acting_site import HERE, Site, acting_site
from tests.support.release_site import digest
from tests.support.run_books import SHOP
from tests.support.verbs import by_path

ACTS = ("responder", "commander")
ROLES: tuple[tuple[str, ...], ...] = (*((role,) for role in get_args(Role) if role not in ACTS), ())
"""Every role that starts nothing, and none."""
BY_RISK = {"traffic record": Risk.B3, "db switchover": Risk.B3}
"""Verbs of the matrix that a responder may not carry out."""
NODES = {"[to]": "n2", "to": "n3", "node": "n2", "slot": "s1", "point": "before"}
"""What the words of a verb of databases may be."""
GIVES = ("access request", "access extend", "access end", "access accept")
MAY: Mapping[str, tuple[str, ...]] = {"release record": ("pipeline",), **dict.fromkeys(GIVES, ("access-admin",))}
"""What another role may do."""
WORDS: Mapping[str, str] = {
    **{
        name: row.words + (" --yes-nonce" if row.codes.keys() == CARD.keys() else "")
        for name, row in MATRIX.items()
        if row.codes.keys() in (CARD.keys(), CONTROL.keys())
    },
    **{
        f"db {verb.name}": " ".join(["orders", *(NODES[word] for word in verb.words), "--yes-nonce"])
        for verb in DATABASE_VERBS
    },
    "access request": "orders read-all --reason 'rows are missing' --ticket INC-1 --secret-fd 1 --yes-nonce",
    "access extend": "{grant} --reason 'rows are missing' --yes-nonce",
    "access end": "{grant} --within 1",
    "access accept": "{grant} --reason 'it may stay as it is'",
    "journal retain": "",
    "engine stop": "",
}
"""Every verb that asks the engine for an effect, with words that would have one where its caller might."""
APPROVING = {"approve", *(f"approvals {verb}" for verb in ("withdraw", "alone", "halt", "review"))}
"""Verbs about the plans of others: see test_role_approvals.py."""
OWN_PROCESS = {
    "lab fault inject", "lab fault lift", "lab up", "lab down", "demo", "engine run", "engine start", "console",
    "bridge", "runbook new", "db compare", "db verify", "db restore-window", "db restore-command", "db lost",
    "db prepare", "host prepare", "trust", "access list", "access certificate", "access proof", "approvals show",
    "journal anchors", "journal sessions",
}  # fmt: skip
"""Verbs that start processes, read, or write files as the account that calls: they ask the engine for no effect."""
WEIGHT = PlanChange("server.weight", {**SHOP, "server": "green", "weight": 7})
ROUTE_MAY: Mapping[str, tuple[str, ...]] = {
    "/v1/releases": ("pipeline",), "/v1/access/end": ("access-admin",), "/v1/access/accept": ("access-admin",),
    "/v1/preview": ("access-admin",),
}  # fmt: skip
"""Routes that another role may use: a card that it may not confirm, and what its verbs are for."""
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
    "/v1/access/claim": {"grant": "{grant}", "verifier": verifier("a secret of somebody else")},
    "/v1/access/end": {"grant": "{grant}"},
    "/v1/access/accept": {"grant": "{grant}", "reason": "it may stay as it is", "residue": []},
    "/v1/shutdown": {},
}
"""A request for each acting route that would do something where its caller might."""
QUIET = ("request.refused", "engine.heartbeat", "source.silent", "source.back", "service.unknown", "service.known")
"""Entries that no effect makes."""


def test_every_acting_route_is_in_the_matrix() -> None:
    assert set(BODIES) == {route.path for route in ROUTES if route.acts}


def test_every_verb_is_in_the_matrix_or_asks_for_no_effect() -> None:
    groups = (set(WORDS), APPROVING, OWN_PROCESS, READING)
    assert set().union(*groups) == set(by_path())
    assert sum(map(len, groups)) == len(by_path())


async def prepared(site: Site) -> dict[str, str]:
    """A run that asks, an open plan, and a recorded release, all of somebody who may: what there is to be misused."""
    run = await asking(site)
    card = await site.engine.preview(HERE, WEIGHT)
    await site.engine.releases.record(HERE, ReleaseRecord("shop", digest(1), "1"))
    grant = site.access.made(person="somebody").grant
    async with asyncio.timeout(30):
        while grant not in site.engine.view("access").grants:
            await asyncio.sleep(0.05)
    return {"run": run, "plan": card.plan, "fingerprint": card.fingerprint, "name": "A-1", "grant": grant}


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
        tried = by_role = 0
        for name, words in WORDS.items():
            if set(MAY.get(name, ())) & set(roles):
                continue
            given = [*name.split(), *shlex.split(words.format(**names)), "--estate", str(site.estate)]
            with nothing_happens(site):
                code = await asyncio.to_thread(run_to_code, recovery, given)
                said = capsys.readouterr().err
                assert code == 4, (name, said)
                by_role += (found := "rule role" in said or "rule known-person" in said)
                assert found or "access-admin" in roles, (name, said)  # who may plan meets other rules before
                assert "by rule " in said, (name, said)
                assert not found or "Ask a person who has the role" in said or "people.NAME" in said, (name, said)
            tried += 1
        assert tried >= len(WORDS) - len(MAY) >= 35
        assert by_role >= (15 if "access-admin" in roles else tried)


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
            if set(ROUTE_MAY.get(path, ())) & set(roles) and socket == "engine.sock":
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
