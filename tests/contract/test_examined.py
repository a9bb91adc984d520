"""What each product tells when it is examined, and that nothing is changed by it."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers import haproxy_examine
from adapters.balancers.haproxy import HAProxy, HaproxyOptions
from adapters.context import AdapterContext
from adapters.databases import patroni_examine
from adapters.databases.patroni_options import PatroniOptions
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_examine import look_at_server
from adapters.examining import examine_estate
from adapters.monitors import alertmanager, alertmanager_examine, prometheus, prometheus_examine
from adapters.net.certificates import look_at_certificate
from adapters.net.examined import look_at_name
from adapters.secrets import Secret
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.estate.model import Estate, Polling, SecretRef
from state.health import Health
from tests.contract.components import PASSWORD, Pair, RunningHAProxy, serving
from tests.contract.web import canned
from tests.support.certificates import Authority, Certified
from tests.support.ports import free_port

IT = Subject("x/it")


def of(found: list[Diagnosis], asked: Asked) -> list[tuple[Health, str]]:
    return [(row.health, row.reason) for row in found if row.asked is asked]


def balancer(socket: str) -> HaproxyOptions:
    return HaproxyOptions(kind="haproxy", site="east", socket=socket)


async def test_the_level_of_a_socket_is_tried_and_no_server_is_touched(
    haproxy: RunningHAProxy, context: AdapterContext
) -> None:
    edge = HAProxy("edge", str(haproxy.socket))
    before = await edge.ask("show servers state", deadline=60)
    may = await haproxy_examine.examine("edge", balancer(str(haproxy.socket)), context, deadline=60)
    may_not = await haproxy_examine.examine("edge", balancer(str(haproxy.user_socket)), context, deadline=60)
    after = await edge.ask("show servers state", deadline=60)
    assert [row[:9] for row in map(bytes.split, before.splitlines())] == [
        row[:9] for row in map(bytes.split, after.splitlines())
    ]
    assert [health for health, _ in of(may, Asked.RIGHTS)] == [Health.PASS]
    ((health, reason),) = of(may_not, Asked.RIGHTS)
    assert (health, "below admin" in reason) == (Health.WARN, True)
    ((health, who),) = of(may, Asked.IDENTIFIED)
    assert health is Health.PASS
    assert f"process {haproxy.process.pid}" in who  # type: ignore[union-attr]


async def test_a_socket_that_is_not_there_fails_and_one_that_hangs_is_unknown(
    folder: Path, context: AdapterContext
) -> None:
    (gone,) = await haproxy_examine.examine("edge", balancer("/tmp/there-is-no-such.sock"), context, deadline=60)
    assert (gone.asked, gone.health) == (Asked.REACHED, Health.FAIL)
    path = Path(tempfile.mkdtemp(dir=folder)) / "h.sock"

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(hang, path):
        (mute,) = await haproxy_examine.examine("edge", balancer(str(path)), context, deadline=0.2)
    assert (mute.asked, mute.health) == (Asked.REACHED, Health.UNKNOWN)


@pytest.mark.parametrize(
    ("role", "health", "told"),
    [("recovery", Health.PASS, "has pg_monitor"), ("nobody_much", Health.FAIL, "lacks pg_monitor")],
)
async def test_what_a_role_may_see(pair: Pair, role: str, health: Health, told: str) -> None:
    password = Secret(PASSWORD if role == "recovery" else "x")
    node = PostgresNode("a", "127.0.0.1", pair.primary, Access(role, "postgres", password))
    found, server = await look_at_server(IT, node, "here", deadline=60)
    assert server is not None
    assert not server.in_recovery
    first = of(found, Asked.RIGHTS)[0]
    assert first[0] is health
    assert told in first[1]
    assert of(found, Asked.CLOCK)[0][0] is Health.PASS


async def test_a_superuser_is_too_much_and_a_password_that_ends_is_told(pair: Pair) -> None:
    pair.psql(pair.primary, "create role ending login superuser password 'x' valid until '2001-01-01'")
    pair.psql(pair.primary, "create role soon login password 'x' valid until 'tomorrow'")
    try:
        local = PostgresNode("a", str(pair.place), pair.primary, Access("ending", "postgres"))
        found, _ = await look_at_server(IT, local, "here", deadline=60)
        assert of(found, Asked.RIGHTS)[0][0] is Health.WARN
        assert [h for h, text in of(found, Asked.CREDENTIAL) if "expired" in text] == [Health.FAIL]
        near = PostgresNode("a", "127.0.0.1", pair.primary, Access("soon", "postgres", Secret("x")))
        found, _ = await look_at_server(IT, near, "here", deadline=60)
        assert Health.WARN in {health for health, _ in of(found, Asked.CREDENTIAL)}
    finally:
        pair.psql(pair.primary, "drop role ending")
        pair.psql(pair.primary, "drop role soon")


async def test_a_wrong_password_is_a_credential_that_fails(pair: Pair) -> None:
    node = PostgresNode("a", "127.0.0.1", pair.primary, Access("recovery", "postgres", Secret("wrong")))
    found, server = await look_at_server(IT, node, "here", deadline=60)
    assert server is None
    ((health, reason),) = of(found, Asked.CREDENTIAL)
    assert (health, 'user "recovery"' in reason, "wrong" in reason) == (Health.FAIL, True, False)


def member(scope: str = "orders", name: str = "n1", role: str = "primary", **more: Any) -> dict[str, Any]:
    return {"state": "running", "role": role, "patroni": {"version": "4.1.5", "scope": scope, "name": name}, **more}


@asynccontextmanager
async def manager(
    own: Any, patch: tuple[int, str], *, credential: bool, context: AdapterContext, names: tuple[str, ...] = ("n1",)
) -> AsyncIterator[list[Diagnosis]]:
    """The answers about a cluster of one node whose manager answers so; no server is there."""
    cluster = {"members": [{"name": name, "role": "leader", "state": "running"} for name in names]}
    answers: dict[str, tuple[int, Any] | bytes | None] = {
        "GET /patroni": (200, own),
        "GET /cluster": (200, cluster),
        "PATCH /config": patch,
    }
    (context.base / "api").write_text("s3cret")
    (context.base / "api").chmod(0o600)
    async with canned(answers) as server:
        account = {"api_user": "rec", "api_password": SecretRef(file="api")} if credential else {}
        node = {"site": "east", "postgres": f"127.0.0.1:{free_port()}", "api": server.url}
        entry = PatroniOptions(kind="patroni", scope="orders", user="r", tls="loopback", nodes={"n1": node}, **account)
        yield await patroni_examine.examine("orders", entry, context, deadline=60)
        for line, headers, body in server.asked:
            if not line.startswith("GET"):
                assert (line, body) == ("PATCH /config", b"{}")
                assert ("authorization" in headers) <= credential


@pytest.mark.parametrize(
    ("patch", "credential", "asked", "health", "told"),
    [
        ((400, ""), True, Asked.RIGHTS, Health.WARN, "everybody"),
        ((400, ""), False, Asked.RIGHTS, Health.WARN, "everybody"),
        ((401, "not authenticated"), True, Asked.CREDENTIAL, Health.FAIL, "rec may not switch over: not authenticated"),
        ((401, "no auth header received"), False, Asked.RIGHTS, Health.WARN, "without a credential may not"),
        ((403, "Access is denied"), True, Asked.RIGHTS, Health.FAIL, "from here: Access is denied"),
        ((503, ""), True, Asked.RIGHTS, Health.UNKNOWN, "answered 503"),
    ],
)
async def test_who_may_switch_over(
    context: AdapterContext, patch: tuple[int, str], credential: bool, asked: Asked, health: Health, told: str
) -> None:
    async with manager(member(), patch, credential=credential, context=context) as found:
        (answer,) = [row for row in found if row.asked in (Asked.RIGHTS, Asked.CREDENTIAL)]
        assert (answer.asked, answer.health) == (asked, health)
        assert told in answer.reason


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (member(scope="batman"), "says it is member n1 of scope batman, not member n1 of scope orders"),
        (member(name="n7"), "n1 says it is member n7 of scope orders, not member n1 of scope orders"),
        ({"role": "primary"}, "the answer at `api` is not Patroni's"),
    ],
)
async def test_another_member_or_cluster_is_told_as_it_calls_itself(
    context: AdapterContext, own: Any, told: str
) -> None:
    async with manager(own, (400, ""), credential=True, context=context) as found:
        assert of(found, Asked.IDENTIFIED) == [(Health.FAIL, told)]
        assert of(found, Asked.ROLE)[0][0] is Health.UNKNOWN, "no member of this cluster says that it leads"


async def test_a_member_that_the_estate_lacks_warns(context: AdapterContext) -> None:
    async with manager(member(), (400, ""), credential=True, context=context, names=("n1", "n4")) as found:
        assert (Health.WARN, "the cluster also has n4, which the estate does not have") in of(found, Asked.NAME)


@pytest.mark.parametrize("state", ["stopped", "crashed", "creating replica", "waiting for leader to bootstrap"])
async def test_a_member_whose_server_does_not_run_follows_nobody(context: AdapterContext, state: str) -> None:
    own = {**member(role="replica"), "state": state}
    async with manager(own, (400, ""), credential=True, context=context) as found:
        said = of(found, Asked.ROLE)
        assert (Health.FAIL, f"its server does not run: Patroni says {state}") in said
        assert not [text for health, text in said if health is Health.PASS]


async def test_a_role_without_its_server_is_patronis_word_alone(context: AdapterContext) -> None:
    async with manager(member(), (400, ""), credential=False, context=context) as found:
        whole = [row for row in found if row.target == "databases/orders"]
        assert [(row.asked, row.health) for row in whole] == [(Asked.ROLE, Health.UNKNOWN)]
        assert "n1 leads, 0 of 0 others follow, by Patroni's word alone: PostgreSQL of n1" in whole[0].reason


async def test_a_pause_is_told(context: AdapterContext) -> None:
    async with manager(member(pause=True), (400, ""), credential=True, context=context) as found:
        assert (Health.WARN, "Patroni is paused: nothing fails over by itself") in of(found, Asked.ROLE)


async def test_prometheus_tells_its_build_and_which_services_it_lacks(tmp_path: Path) -> None:
    context = AdapterContext(tmp_path, Polling(), {"p": ("checkout", "chekcout")})
    series = {"metric": {"service": "checkout"}, "value": [1, "1"]}
    answers: dict[str, tuple[int, Any] | bytes | None] = {
        "GET /api/v1/query": (200, {"status": "success", "data": {"resultType": "vector", "result": [series]}}),
        "GET /api/v1/status/buildinfo": (200, {"status": "success", "data": {"version": "3.1.0"}}),
        "GET /api/v1/status/runtimeinfo": (200, {"status": "success", "data": {"storageRetention": "15d"}}),
    }
    async with canned(answers) as server:
        options = prometheus.OPTIONS(kind="prometheus", url=server.url)
        found = await prometheus_examine.examine("p", options, context, deadline=60)
        assert of(found, Asked.IDENTIFIED) == [(Health.PASS, "version 3.1.0, keeps samples 15d")]
        assert [health for health, _ in of(found, Asked.NAME)] == [Health.PASS, Health.FAIL]
        assert "did you mean 'checkout'?" in of(found, Asked.NAME)[1][1]
        del answers["GET /api/v1/status/buildinfo"]
        found = await prometheus_examine.examine("p", options, context, deadline=60)
        assert of(found, Asked.IDENTIFIED)[0][0] is Health.PASS, "what answers like it need not tell"
        answers["GET /api/v1/query"] = (401, "no")
        found = await prometheus_examine.examine("p", options, context, deadline=60)
        assert [(row.asked, row.health) for row in found] == [(Asked.CREDENTIAL, Health.FAIL)]


async def test_alertmanager_tells_its_cluster_and_whether_the_watchdog_fires(context: AdapterContext) -> None:
    status = {
        "versionInfo": {"version": "0.27.0"},
        "cluster": {"status": "ready", "peers": [{"name": "a"}, {"name": "b"}]},
    }
    answers: dict[str, tuple[int, Any] | bytes | None] = {
        "GET /api/v2/status": (200, status),
        "GET /api/v2/alerts": (200, [{"labels": {"alertname": "Watchdog"}}]),
    }
    async with canned(answers) as server:
        options = alertmanager.OPTIONS(kind="alertmanager", url=server.url)
        found = await alertmanager_examine.examine("a", options, context, deadline=60)
        assert of(found, Asked.IDENTIFIED) == [(Health.PASS, "version 0.27.0, cluster ready with 2 members")]
        assert of(found, Asked.ROLE)[0][0] is Health.PASS
        answers["GET /api/v2/alerts"] = (200, [])
        answers["GET /api/v2/status"] = (200, {"who": "knows"})
        found = await alertmanager_examine.examine("a", options, context, deadline=60)
        assert (of(found, Asked.IDENTIFIED)[0][0], of(found, Asked.ROLE)[0][0]) == (Health.FAIL, Health.WARN)


@asynccontextmanager
async def https(shown: Certified, context: ssl.SSLContext) -> AsyncIterator[int]:
    context.load_cert_chain(shown.cert, shown.key)

    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize(
    ("days", "health", "told"),
    [(81.5, Health.PASS, "81 days"), (5.5, Health.WARN, "5 days"), (-3.5, Health.FAIL, "expired 3 days ago")],
)
async def test_the_days_of_a_certificate_are_told_also_when_none_are_left(
    tmp_path: Path, days: float, health: Health, told: str
) -> None:
    shown = Authority(tmp_path).issue("server", days=days)
    async with https(shown, ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)) as port:
        found = await look_at_certificate(IT, "127.0.0.1", port, time.time(), deadline=60)
    assert found is not None
    assert (found.asked, found.health) == (Asked.CERTIFICATE, health)
    assert told in found.reason


async def test_no_certificate_is_no_answer() -> None:
    async with canned({}) as server:
        assert await look_at_certificate(IT, "127.0.0.1", server.port, time.time(), deadline=60) is None
    assert await look_at_certificate(IT, "127.0.0.1", free_port(), time.time(), deadline=60) is None


async def test_names_of_hosts() -> None:
    assert await look_at_name(IT, "10.1.0.11", deadline=60) is None
    assert await look_at_name(IT, "/var/run/postgresql", deadline=60) is None
    here = await look_at_name(IT, "localhost", deadline=60)
    assert here is not None
    assert here.health is Health.PASS
    nowhere = await look_at_name(IT, "no-such-host.invalid", deadline=60)
    assert nowhere is not None
    assert nowhere.health in (Health.FAIL, Health.UNKNOWN)


def estate(**sections: Mapping[str, Any]) -> Estate:
    from adapters.registry import kinds

    data = {"estate": "e", "environment": "lab", "sites": {"east": {}}, **sections}
    return Estate.model_validate(data, context=kinds())


async def test_an_entry_without_its_secret_is_asked_nothing_and_the_others_are(tmp_path: Path) -> None:
    wide = tmp_path / "token"
    wide.write_text("s3cret")
    wide.chmod(0o644)
    async with canned({}) as server:
        found = await examine_estate(
            estate(
                balancers={"edge": {"kind": "memory", "site": "east", "backends": {"shop": {"blue": 100}}}},
                monitors={"p": {"kind": "prometheus", "url": server.url, "token": {"file": "token"}}},
                services={
                    "shop": {"tier": 1, "rto": "5m", "rpo": "1MB", "traffic": {"balancers": ["edge"], "backend": "shp"}}
                },
            ),
            tmp_path,
            deadline=60,
        )
        assert not server.asked
    (mode,) = [row for row in found if row.target == "monitors/p"]
    assert (mode.asked, mode.health) == (Asked.FILES, Health.FAIL)
    assert "mode 0644" in mode.reason
    assert "s3cret" not in mode.reason
    edge = {row.asked: row for row in found if row.target == "balancers/edge"}
    assert edge[Asked.REACHED].health is Health.PASS
    assert edge[Asked.NAME].reason == "no backend shp, which service shop names; did you mean 'shop'?"


async def test_a_backend_without_servers_is_there_and_fails(tmp_path: Path) -> None:
    traffic = {"balancers": ["edge"], "backend": "shop"}
    made = estate(
        balancers={"edge": {"kind": "memory", "site": "east", "backends": {"shop": {}}}},
        services={"shop": {"tier": 1, "rto": "5m", "rpo": "1MB", "traffic": traffic}},
    )
    found = await examine_estate(made, tmp_path, deadline=60)
    told = "backend shop, which service shop names, has no server: it answers 503"
    assert of(found, Asked.NAME) == [(Health.FAIL, told)]


async def test_a_waiver_is_said_with_its_reason(tmp_path: Path) -> None:
    reason = "VLAN 12 has these hosts only"
    monitors = {"p": {"kind": "prometheus", "url": "http://192.0.2.1:9090", "waive": {"tls": reason}}}
    found = await examine_estate(estate(monitors=monitors), tmp_path, deadline=0.2)
    assert (Health.WARN, f"goes without tls: {reason}") in of(found, Asked.TRANSPORT)
    assert Health.UNKNOWN in {row.health for row in found} or Health.FAIL in {row.health for row in found}
