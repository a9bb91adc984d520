"""The Patroni adapter against recorded answers of 3.0.2 and 4.1, and every outcome of a switchover."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.context import AdapterContext
from adapters.databases.patroni import PatroniCluster, build
from adapters.databases.patroni_options import PatroniOptions
from state.errors import ConfigError, EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.model import SecretRef
from state.ports.database import CanSwitchOver, Database
from tests.contract.patroni_answers import SYSTEM, cluster_41, cluster_302, primary_302, replica_41
from tests.contract.web import Canned, canned

CONFIG = {"ttl": 20, "maximum_lag_on_failover": 33554432}


def entry(api: str, **given: Any) -> PatroniOptions:
    nodes = {
        "n1": {"site": "east", "postgres": "127.0.0.1:1", "api": api},
        "n2": {"site": "east", "postgres": "127.0.0.1:2", "api": api.replace("127.0.0.1", "localhost")},
    }
    fields: dict[str, Any] = {"kind": "patroni", "scope": "orders", "user": "u", "tls": "loopback", "nodes": nodes}
    return PatroniOptions.model_validate({**fields, **given})


def _at(url: str, answer: Any) -> None:
    """Let the cluster's list have n1 at this server, as Patroni tells its members' addresses."""
    if isinstance(answer, tuple):
        for row in answer[1]["members"]:
            if row["name"] == "n1":
                row["api_url"] = f"{url}/patroni"


def told_by(name: str) -> dict[str, Any]:
    """What a newer Patroni tells of itself."""
    return {**primary_302(), "patroni": {"version": "4.1.5", "scope": "orders", "name": name}}


@asynccontextmanager
async def cluster(context: AdapterContext, answers: dict[str, Any]) -> AsyncIterator[tuple[PatroniCluster, Canned]]:
    async with canned(answers) as server:
        _at(server.url, answers.get("GET /cluster"))
        (context.base / "pw").write_text("api-s3cret\n")
        (context.base / "pw").chmod(0o600)
        database, sources = build(
            "orders", entry(server.url, api_user="rec", api_password=SecretRef(file="pw")), context
        )
        yield database, server
        for source in sources:
            await source.close()


async def test_trap_08_patroni_3_parses(context: AdapterContext) -> None:
    answers = {
        "GET /patroni": (200, primary_302()),
        "GET /cluster": (200, cluster_302()),
        "GET /config": (200, {"ttl": 30}),
    }
    async with cluster(context, answers) as (database, _):
        reading = await database.read_member("n1", deadline=1)
    assert (reading.role, reading.state, reading.timeline, reading.lsn) == ("primary", "running", 3, 83886432)
    assert (reading.version, reading.scope, reading.system_id) == ("3.0.2", "orders", SYSTEM)
    assert reading.maximum_lag == 1_048_576
    assert not (reading.paused)
    assert not (reading.unlocked)
    assert not (reading.failsafe)
    assert [(m.name, m.role, m.lag) for m in reading.members] == [
        ("n1", "leader", None),
        ("n2", "replica", 0),
        ("n3", "replica", None),
    ]


async def test_trap_08_patroni_4_parses(context: AdapterContext) -> None:
    answers = {
        "GET /patroni": (200, replica_41()),
        "GET /cluster": (200, cluster_41()),
        "GET /config": (200, CONFIG),
    }
    async with cluster(context, answers) as (database, server):
        reading = await database.read_member("n1", deadline=1)
        again = await database.read_member("n1", deadline=1)
        assert [ask for ask, _, _ in server.asked].count("GET /config") == 1
    assert (reading.role, reading.timeline, reading.lsn) == ("replica", 4, 83886432)
    assert reading.paused
    assert reading.unlocked
    assert reading.failsafe
    assert reading.dcs_age is None, "one answer alone shows no progress"
    assert again.dcs_age is not None, "it stands still since the first, whatever the clock of its host says"
    assert reading.maximum_lag == 33554432
    roles = {m.name: (m.role, m.lag) for m in reading.members}
    assert roles == {
        "n0": ("leader", None),
        "n1": ("quorum_standby", 16),
        "n2": ("sync_standby", 0),
        "n3": ("replica", None),
    }


async def test_replication_trap_33_the_configuration_is_read_anew_once_a_role_is_not_that_of_it(
    context: AdapterContext,
) -> None:
    """Members that open themselves do it within one loop: a configuration of half a minute ago says nothing of it."""
    configured: dict[str, Any] = {"ttl": 30, "standby_cluster": {"host": "10.9.9.9"}}
    own = {**primary_302(), "role": "standby_leader"}
    answers = {"GET /patroni": (200, own), "GET /cluster": (200, cluster_302()), "GET /config": (200, configured)}
    async with cluster(context, answers) as (database, server):

        def asked() -> int:
            return sum(request == "GET /config" for request, _, _ in server.asked)

        assert (await database.read_member("n1", deadline=1)).standby_set is True
        assert ((await database.read_member("n1", deadline=1)).standby_set, asked()) == (True, 1)
        own["role"] = "primary"
        assert ((await database.read_member("n1", deadline=1)).standby_set, asked()) == (True, 2)
        configured["standby_cluster"] = None
        assert ((await database.read_member("n1", deadline=1)).standby_set, asked()) == (False, 3)
        assert ((await database.read_member("n1", deadline=1)).standby_set, asked()) == (False, 3)


async def test_credentials_go_with_the_post_and_not_with_readings(context: AdapterContext) -> None:
    answers: dict[str, Any] = {
        "GET /patroni": (200, told_by("n1")),
        "POST /switchover": (200, 'Successfully switched over to "n2"'),
    }
    async with cluster(context, answers) as (database, server):
        await database.read_member("n1", deadline=1)
        await database.switch_over("n1", "n2", deadline=1)
    *reads, (ask, headers, body) = server.asked
    assert all("authorization" not in each[1] for each in reads)
    assert ask == "POST /switchover"
    assert headers["authorization"] == "Basic " + base64.b64encode(b"rec:api-s3cret").decode()
    assert json.loads(body) == {"leader": "n1", "candidate": "n2"}


async def test_store_unreachable_still_gives_the_nodes_own_word(context: AdapterContext) -> None:
    async with cluster(context, {"GET /patroni": (200, told_by("n1")), "GET /cluster": b""}) as (database, _):
        reading = await database.read_member("n1", deadline=1)
    assert (reading.role, reading.members, reading.maximum_lag) == ("primary", (), None)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ((200, "<html>"), Trouble.ERROR),
        ((200, []), Trouble.ERROR),
        ((200, {"role": "primary"}), Trouble.ERROR),
        ((200, {**replica_41(), "patroni": {"scope": "orders", "name": "n9"}}), Trouble.ERROR),
        ((200, {**replica_41(), "patroni": {"scope": "stock"}}), Trouble.ERROR),
        ((200, ""), Trouble.EMPTY),
        ((401, "no auth header received"), Trouble.DENIED),
        ((503, "down"), Trouble.ERROR),
        (None, Trouble.TIMEOUT),
    ],
)
async def test_no_reading_is_made_of_anything_else(context: AdapterContext, answer: Any, trouble: Trouble) -> None:
    async with cluster(context, {"GET /patroni": answer}) as (database, _):
        with pytest.raises(ReadFailure) as failure:
            await database.read_member("n1", deadline=0.3)
    assert failure.value.trouble is trouble


SWITCHED = (200, 'Successfully switched over to "n2"')
ELSEWHERE = (200, 'Switched over to "n3" instead of "n2"')


@pytest.mark.parametrize(
    ("answer", "code"),
    [(SWITCHED, "switched"), (ELSEWHERE, "landed-elsewhere"), ((202, "Switchover scheduled"), "scheduled")],
)
async def test_trap_06_answers_that_are_believed(context: AdapterContext, answer: Any, code: str) -> None:
    async with cluster(context, {"POST /switchover": answer}) as (database, server):
        receipt = await database.switch_over("n1", "n2", deadline=1)
    assert (receipt.code, receipt.message) == (code, answer[1])
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((412, "switchover is not possible: no good candidates have been found"), "impossible-412"),
        ((400, "Switchover target and source are the same"), "bad-request-400"),
        ((401, "not authenticated"), "denied-401"),
    ],
)
async def test_trap_06_refusals_are_certain(context: AdapterContext, answer: Any, code: str) -> None:
    async with cluster(context, {"POST /switchover": answer}) as (database, server):
        with pytest.raises(EffectRefused) as refusal:
            await database.switch_over("n1", "n2", deadline=1)
    assert (refusal.value.code, refusal.value.message) == (code, answer[1])
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((503, "Switchover failed"), "failed-503"),
        ((503, "Switchover status unknown"), "status-unknown-503"),
        ((503, "Switchover status unknown, it may still be in progress"), "status-unknown-503"),
        ((500, "oops"), "answer-500"),
        (b"", "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nSuccess", "reset"),
        ((200, "Successfully switched over" * 9000), "oversize"),
        (b"not http at all\r\n\r\n", "reset"),
        (None, "timeout"),
        (b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/switchover\r\nContent-Length: 0\r\n\r\n", "redirect"),
    ],
)
async def test_trap_06_everything_else_is_unknown_and_sent_once(
    context: AdapterContext, answer: Any, code: str
) -> None:
    async with cluster(context, {"POST /switchover": answer}) as (database, server):
        with pytest.raises(EffectUnknown) as unknown:
            await database.switch_over("n1", "n2", deadline=0.5)
    assert unknown.value.code == code
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        ((503, "restart conditions are not satisfied"), EffectRefused, "role-503"),
        ((401, "not authenticated"), EffectRefused, "denied-401"),
        ((400, "unknown key"), EffectRefused, "bad-request-400"),
        ((503, "restart failed"), EffectUnknown, "failed-503"),
        ((503, "postgres is still starting"), EffectUnknown, "failed-503"),
        ((202, "restart scheduled"), EffectUnknown, "answer-202"),
        ((500, "oops"), EffectUnknown, "answer-500"),
        (None, EffectUnknown, "timeout"),
    ],
)
async def test_a_restart_is_believed_only_when_the_answer_is_certain(
    context: AdapterContext, answer: Any, error: type[EffectRefused | EffectUnknown], code: str
) -> None:
    async with cluster(context, {"POST /restart": answer}) as (database, server):
        with pytest.raises(error) as met:
            await database.restart("n2", pending=False, deadline=0.5)
    assert met.value.code == code
    assert len(server.asked) == 1


async def test_nobody_there_is_certain(context: AdapterContext) -> None:
    database, _ = build("orders", entry("http://127.0.0.1:1"), context)
    with pytest.raises(EffectRefused) as refusal:
        await database.switch_over("n1", "n2", deadline=1)
    assert refusal.value.code == "unreachable"
    with pytest.raises(EffectRefused, match="n7"):
        await database.switch_over("n1", "n7", deadline=1)


async def test_two_leaders_have_no_identity(context: AdapterContext) -> None:
    one, two = ({"GET /patroni": (200, told_by(name))} for name in ("n1", "n2"))
    async with canned(one) as first, canned(two) as second:
        nodes = {
            name: {"site": "east", "postgres": f"127.0.0.1:{port}", "api": server.url}
            for name, server, port in (("n1", first, 1), ("n2", second, 2))
        }
        database, sources = build("orders", entry(first.url, nodes=nodes), context)
        with pytest.raises(ReadFailure, match="n1 and n2"):
            await database.identify(deadline=60)
        for source in sources:
            await source.close()


def _listed(**at: str) -> dict[str, Any]:
    """GET /cluster with members by name, each at an address."""
    return {"members": [{"name": n, "role": "replica", "state": "running", "api_url": url} for n, url in at.items()]}


@pytest.mark.parametrize("own", ["{url}/patroni", "http://localhost:{port}/patroni"])
async def test_a_member_without_a_name_is_known_by_its_address(context: AdapterContext, own: str) -> None:
    """Patroni before 3.2 tells no name; its cluster tells whose API is where, in any spelling of the address."""
    answers: dict[str, Any] = {"GET /patroni": (200, primary_302()), "GET /cluster": (200, _listed())}
    async with canned(answers) as server:
        url = own.format(url=server.url, port=server.port)
        answers["GET /cluster"] = (200, _listed(n1=url, n2="http://10.255.255.1:8008/patroni"))
        database, sources = build("orders", entry(server.url), context)
        assert (await database.read_member("n1", deadline=60)).role == "primary"
        with pytest.raises(ReadFailure, match="the cluster lists n1 at the address of n2"):
            await database.read_member("n2", deadline=60)
        answers["GET /cluster"] = b""
        assert (await database.read_member("n1", deadline=60)).members == (), "the same server process as before"
        answers["GET /patroni"] = (200, {**primary_302(), "postmaster_start_time": "2026-11-24 00:00:00+00:00"})
        with pytest.raises(ReadFailure, match="tells no name"):
            await database.read_member("n1", deadline=60)
        for source in sources:
            await source.close()


@pytest.mark.parametrize(
    ("rows", "trouble", "said"),
    [
        ({}, Trouble.EMPTY, "tells no name"),
        ({"n1": "http://10.255.255.1:8008/patroni"}, Trouble.EMPTY, "tells no name"),
        ({"n2": "{url}/patroni"}, Trouble.ERROR, "the cluster lists n2 at the address of n1"),
        ({"n1": "{url}/patroni", "n2": "{url}/patroni"}, Trouble.ERROR, "the cluster lists n1 and n2"),
        ({"n1": "no address", "n2": ""}, Trouble.EMPTY, "tells no name"),
    ],
)
async def test_what_nothing_names_is_not_read(
    context: AdapterContext, rows: dict[str, str], trouble: Trouble, said: str
) -> None:
    answers: dict[str, Any] = {"GET /patroni": (200, primary_302())}
    async with canned(answers) as server:
        answers["GET /cluster"] = (200, _listed(**{name: url.format(url=server.url) for name, url in rows.items()}))
        database, sources = build("orders", entry(server.url), context)
        with pytest.raises(ReadFailure, match=said) as refused:
            await database.read_member("n1", deadline=60)
        assert refused.value.trouble is trouble
        for source in sources:
            await source.close()


async def test_it_fulfils_the_ports(context: AdapterContext) -> None:
    database, sources = build("orders", entry("http://127.0.0.1:1"), context)
    assert isinstance(database, Database)
    assert isinstance(database, CanSwitchOver)
    assert [source.key for source in sources] == [
        "postgres:orders/n1",
        "patroni:orders/n1",
        "postgres:orders/n2",
        "patroni:orders/n2",
    ]


@pytest.mark.parametrize(
    ("api", "tls"), [("http://192.0.2.1:8008", "loopback"), ("http://192.0.2.1:8008", "verify-full")]
)
def test_plain_text_stays_on_this_machine(api: str, tls: str) -> None:
    with pytest.raises(ValidationError) as refused:
        entry(api, tls=tls)
    assert [error["loc"] for error in refused.value.errors()] == [("nodes", "n1", "api"), ("nodes", "n2", "api")]


def test_a_missing_ca_is_a_finding(context: AdapterContext) -> None:
    with pytest.raises(ConfigError, match=r"gone\.pem"):
        build("orders", entry("https://127.0.0.1:8008", tls="verify-full", ca="gone.pem"), context)
