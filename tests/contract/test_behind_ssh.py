"""Targets behind a real sshd: HAProxy's socket, PostgreSQL with TLS and by its Unix socket, HTTP."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from adapters.context import split_address
from adapters.databases.postgres import Access, PostgresNode
from adapters.examining import examine_estate
from adapters.net.certificates import look_at_certificate
from adapters.net.http_act import HttpActor
from adapters.net.http_read import HttpReader
from adapters.net.origin import Origin, tls_context
from adapters.net.ssh import SshConnections
from adapters.registry import kinds
from adapters.secrets import Secret
from adapters.wiring import wire
from state.diagnosis.model import Asked, Subject
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.hosts import HostWaivers
from state.estate.model import Estate
from state.health import Health
from tests.contract.components import (
    PASSWORD,
    Pair,
    RunningHAProxy,
    kill_pair,
    make_primary,
    postgres_with_tls,
)
from tests.contract.web import canned
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.sshd import Sshd


@pytest.fixture
async def hosts(sshd: Sshd) -> AsyncIterator[SshConnections]:
    made = SshConnections({"edge1": sshd.host}, sshd.folder)
    yield made
    await made.close()


async def test_a_haproxy_behind_ssh_is_read_and_set(haproxy: RunningHAProxy, hosts: SshConnections, sshd: Sshd) -> None:
    haproxy.restart()
    before = sshd.sessions()
    edge = HAProxy("edge", f"ssh://edge1{haproxy.socket}", hosts.to("edge1"))
    direct = HAProxy("edge", str(haproxy.socket))
    assert (await edge.identify(deadline=60)).difference(await direct.identify(deadline=60)) == ""
    assert (await edge.set_weight("app", "blue", 7, deadline=60)).code == "silent"
    assert (await direct.read(deadline=60)).servers["app/blue"].weight == 7
    assert (await edge.read(deadline=60)).servers["app/blue"].weight == 7
    assert len(sshd.sessions() - before) == 1, "one connection is kept for all"
    haproxy.restart()


async def test_a_socket_that_is_not_there_behind_ssh_is_unreachable_and_nothing_is_claimed(
    hosts: SshConnections,
) -> None:
    edge = HAProxy("edge", "ssh://edge1/tmp/there-is-no-such.sock", hosts.to("edge1"))
    with pytest.raises(ReadFailure, match="edge1") as failure:
        await edge.read(deadline=60)
    assert failure.value.trouble is Trouble.UNREACHABLE
    with pytest.raises((EffectRefused, EffectUnknown)):
        await edge.set_weight("app", "blue", 3, deadline=60)


async def test_without_a_way_there_nothing_was_sent(sshd: Sshd) -> None:
    closed = SshConnections({"edge1": sshd.host.model_copy(update={"port": free_port()})}, sshd.folder)
    edge = HAProxy("edge", "ssh://edge1/tmp/h.sock", closed.to("edge1"))
    with pytest.raises(ReadFailure, match=r"edge1: ssh: .*refused") as failure:
        await edge.read(deadline=60)
    assert failure.value.trouble is Trouble.UNREACHABLE
    with pytest.raises(EffectRefused, match="refused") as refusal:
        await edge.set_weight("app", "blue", 3, deadline=60)
    assert refusal.value.code == "unreachable"
    actor = HttpActor(Origin.of("http://127.0.0.1:1"), via=closed.to("edge1"))
    with pytest.raises(EffectRefused, match="refused") as refusal:
        await actor.send("POST", "/switchover", {}, deadline=60)
    assert refusal.value.code == "unreachable"
    await closed.close()


async def test_http_through_a_host_is_read_over_kept_connections_and_acted_on_once(hosts: SshConnections) -> None:
    async with canned({"GET /x": (200, "page"), "POST /x": (202, "done")}) as server:
        reader = HttpReader(server.url, via=hosts.to("edge1"))
        for _ in range(3):
            assert await reader.get("/x", deadline=60) == b"page"
        assert server.connections == 1
        reply = await HttpActor(Origin.of(server.url), via=hosts.to("edge1")).send("POST", "/x", {}, deadline=60)
        assert (reply.status, server.connections) == (202, 2)
        assert {headers["host"] for _, headers, _ in server.asked} == {f"127.0.0.1:{server.port}"}
        await reader.close()
    gone = HttpReader(f"http://127.0.0.1:{free_port()}", via=hosts.to("edge1"))
    with pytest.raises(ReadFailure) as failure:
        await gone.get("/x", deadline=60)
    assert failure.value.trouble is Trouble.UNREACHABLE
    await gone.close()


async def test_tls_through_a_host_is_with_the_target_itself(hosts: SshConnections, tmp_path: Path) -> None:
    way, ours, other = hosts.to("edge1"), Authority(tmp_path), Authority(Path(tempfile.mkdtemp(dir=tmp_path)))
    issued = ours.issue("web", days=5.5)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.cert, issued.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    url = f"https://127.0.0.1:{port}"
    trusting, doubting = HttpReader(url, ca=ours.ca, via=way), HttpReader(url, ca=other.ca, via=way)
    assert await trusting.get("/", deadline=60) == b"ok"
    with pytest.raises(ReadFailure, match="TLS refused"):
        await doubting.get("/", deadline=60)
    assert (await HttpActor(Origin.of(url), ours.ca, via=way).send("POST", "/", {}, deadline=60)).text == "ok"
    told = await look_at_certificate(Subject("x"), "127.0.0.1", port, time.time(), deadline=60, via=way)
    assert told is not None
    assert (told.health, "5 days" in told.reason) == (Health.WARN, True)
    for each in (trusting, doubting):
        await each.close()
    server.close()


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[tuple[Pair, Authority]]:
    """A primary that speaks TLS, and its CA."""
    place, authority = Path(tempfile.mkdtemp(dir=folder)), Authority(Path(tempfile.mkdtemp(dir=folder)))
    pair, server = make_primary(place, postgres_with_tls()), authority.issue("server")
    for name, file in (("cert_file", server.cert), ("key_file", server.key)):
        pair.psql(pair.primary, f"alter system set ssl_{name} = '{file}'")
    pair.psql(pair.primary, "alter system set ssl = on")
    pair.psql(pair.primary, "select pg_reload_conf()")
    yield pair, authority
    kill_pair(pair)


async def test_postgresql_through_a_host_is_verified_by_its_own_name(
    secured: tuple[Pair, Authority], hosts: SshConnections, tmp_path: Path
) -> None:
    pair, authority = secured
    way = hosts.to("edge1")
    access = Access("recovery", "postgres", Secret(PASSWORD), tls_context(authority.ca), way)
    node = PostgresNode("a", "127.0.0.1", pair.primary, access)
    assert not (await node.read(deadline=60)).in_recovery
    encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    assert (await node.ask(encrypted, deadline=60))["ssl"] is True
    await node.close()
    other = Authority(tmp_path)
    stranger = PostgresNode(
        "a", "127.0.0.1", pair.primary, Access("recovery", "postgres", None, tls_context(other.ca), way)
    )
    with pytest.raises(ReadFailure, match="TLS refused"):
        await stranger.read(deadline=60)
    named = PostgresNode("a", "localhost", pair.primary, access)  # the certificate has 127.0.0.1 only
    with pytest.raises(ReadFailure, match="mismatch"):
        await named.read(deadline=60)


async def test_postgresqls_own_socket_on_another_host(secured: tuple[Pair, Authority], hosts: SshConnections) -> None:
    pair, _ = secured
    address = split_address(f"{pair.place}:{pair.primary}")
    node = PostgresNode("a", *address, Access("recovery", "postgres", via=hosts.to("edge1")))
    reading = await node.read(deadline=60)
    assert (reading.in_recovery, reading.server_address) == (False, "")
    await node.close()


async def test_an_estate_with_hosts_is_wired_and_examined(haproxy: RunningHAProxy, sshd: Sshd) -> None:
    reason = "a host of this test alone"
    host = sshd.host.model_copy(update={"waive": HostWaivers(host_key=reason)})
    async with canned({"GET /health": (200, "ok")}) as server:
        target = {"site": "east", "service": "shop", "url": f"{server.url}/health"}
        estate = Estate.model_validate(
            {
                "estate": "e",
                "environment": "lab",
                "sites": {"east": {}},
                "hosts": {"edge1": host.model_dump(exclude_none=True, exclude={"connect_timeout"})},
                "services": {"shop": {"tier": 1, "rto": "5m", "rpo": "1MB"}},
                "balancers": {"edge": {"kind": "haproxy", "site": "east", "socket": f"ssh://edge1{haproxy.socket}"}},
                "monitors": {"probes": {"kind": "http", "via": "edge1", "targets": {"one": target}}},
            },
            context=kinds(),
        )
        found = await examine_estate(estate, sshd.folder, deadline=60)
        bad = [(row.target, row.asked, row.health) for row in found if row.health is not Health.PASS]
        assert bad == [("hosts/edge1", Asked.TRANSPORT, Health.WARN)]
        assert {row.target for row in found} == {"balancers/edge", "monitors/probes/one", "hosts/edge1"}
        outside = wire(estate, sshd.folder)
        try:
            await asyncio.gather(*(source.read() for source in outside.sources))
        finally:
            for source in outside.sources:
                await source.close()
            assert outside.connections is not None
            await outside.connections.close()
