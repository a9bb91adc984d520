"""How PostgreSQL is reached: over its Unix socket, and by a client certificate of an own CA; on a real server."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.context import AdapterContext, split_address
from adapters.databases.patroni import PatroniOptions, build
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_examine import look_at_server
from adapters.net.origin import ClientCertificate, tls_context
from adapters.secrets import Secret
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ConfigError, ReadFailure, Trouble
from state.estate.model import Polling
from state.health import Health
from tests.contract.components import PASSWORD, Pair, kill_pair, make_primary, postgres_with_tls
from tests.support.certificates import Authority, Certified


async def test_a_unix_socket_by_its_folder_and_port(pair: Pair) -> None:
    node = PostgresNode("a", *split_address(f"{pair.place}:{pair.primary}"), Access("recovery", "postgres"))
    reading = await node.read(deadline=60)
    assert (reading.in_recovery, reading.server_address) == (False, "")
    await node.close()


async def test_no_such_socket_is_unreachable(folder: Path) -> None:
    node = PostgresNode("a", str(folder), 5432, Access("recovery", "postgres"))
    with pytest.raises(ReadFailure) as failure:
        await node.read(deadline=60)
    assert failure.value.trouble is Trouble.UNREACHABLE


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[tuple[Pair, Authority]]:
    """A primary that speaks TLS and lets `certified` in by a certificate only, and the CA of both."""
    place = Path(tempfile.mkdtemp(dir=folder))
    made, server = make_primary(place, postgres_with_tls()), Authority(Path(tempfile.mkdtemp(dir=folder)))
    issued = server.issue("server")
    rules = place / "a" / "pg_hba.conf"
    rules.write_text(f"hostssl all certified 127.0.0.1/32 cert\n{rules.read_text()}")
    made.psql(made.primary, "create role certified login in role pg_monitor")
    for name, file in (("cert_file", issued.cert), ("key_file", issued.key), ("ca_file", server.ca)):
        made.psql(made.primary, f"alter system set ssl_{name} = '{file}'")
    made.psql(made.primary, "alter system set ssl = on")
    made.psql(made.primary, "select pg_reload_conf()")
    yield made, server
    kill_pair(made)


def certified(secured: tuple[Pair, Authority], shown: Certified | None, user: str = "certified") -> PostgresNode:
    pair, authority = secured
    client = None if shown is None else ClientCertificate(shown.cert, shown.key)
    password = Secret(PASSWORD) if user == "recovery" else None
    return PostgresNode(
        "a", "127.0.0.1", pair.primary, Access(user, "postgres", password, tls_context(authority.ca, client=client))
    )


async def test_a_client_certificate_is_accepted_in_place_of_a_password(secured: tuple[Pair, Authority]) -> None:
    node = certified(secured, secured[1].issue("certified"))
    assert not (await node.read(deadline=60)).in_recovery
    await node.close()
    without = certified(secured, None, "recovery")
    assert not (await without.read(deadline=60)).in_recovery
    await without.close()


@pytest.mark.parametrize("shown", ["none", "another name"])
async def test_no_certificate_or_that_of_another_name_is_denied(secured: tuple[Pair, Authority], shown: str) -> None:
    files = None if shown == "none" else secured[1].issue("somebody")
    with pytest.raises(ReadFailure) as failure:
        await certified(secured, files).read(deadline=60)
    assert failure.value.trouble is Trouble.DENIED
    await asyncio.sleep(0.1)  # the refused connection says good-bye over TLS, as it does in an engine that goes on


async def test_refused_tls_names_the_way_out(secured: tuple[Pair, Authority], folder: Path, pair: Pair) -> None:
    server, authority = secured
    other = Authority(Path(tempfile.mkdtemp(dir=folder)))

    async def answer(tls: ssl.SSLContext, *, host: str = "127.0.0.1", port: int = server.primary) -> Diagnosis:
        node = PostgresNode("a", host, port, Access("recovery", "postgres", Secret(PASSWORD), tls))
        async with asyncio.timeout(120):
            while True:  # until a change of its certificate is in force
                found, seen = await look_at_server(Subject("databases/x/a"), node, host, deadline=60)
                if seen is None:
                    break
                await asyncio.sleep(0.1)
        assert [(each.asked, each.health) for each in found] == [(Asked.REACHED, Health.FAIL)]
        return found[0]

    def shows(days: float) -> None:
        issued = authority.issue("server", days=days)
        for name, file in (("cert_file", issued.cert), ("key_file", issued.key)):
            server.psql(server.primary, f"alter system set ssl_{name} = '{file}'")
        server.psql(server.primary, "select pg_reload_conf()")

    private = await answer(tls_context(other.ca))
    assert "TLS refused: certificate signature failure" in private.reason
    assert private.next.startswith("`ca` of the entry")
    named = await answer(tls_context(authority.ca), host="localhost")
    assert "mismatch" in named.reason
    assert named.next.startswith("give its address by a name that its certificate has")
    none = await answer(tls_context(authority.ca), port=pair.primary)
    assert "TLS refused: the server has none" in none.reason
    assert none.next.startswith("let it have TLS")
    shows(-1)
    try:
        ended = await answer(tls_context(authority.ca))
    finally:
        shows(100)
    assert "TLS refused: certificate has expired" in ended.reason
    assert ended.next == "renew its certificate there: it has ended"


NODE = {"site": "east", "postgres": "10.1.0.11:5432", "api": "https://10.1.0.11:8008"}


def entry(node: dict[str, Any], **fields: Any) -> PatroniOptions:
    return PatroniOptions(kind="patroni", scope="orders", user="recovery", nodes={"n1": {**NODE, **node}}, **fields)


REASON = {"tls": "VLAN 12 has the database hosts only"}


@pytest.mark.parametrize(
    ("node", "fields", "place"),
    [
        ({}, {"tls": "plain"}, ("nodes", "n1", "postgres")),
        ({"api": "http://10.1.0.11:8008"}, {}, ("nodes", "n1", "api")),
        ({}, {"waive": REASON}, ("waive", "tls")),
        ({"postgres": "/run/postgresql:5432", "api": "http://127.0.0.1:8008"}, {"waive": REASON}, ("waive", "tls")),
        ({"postgres": "/run/postgresql"}, {}, ("nodes", "n1", "postgres")),
        ({"postgres": f"/{'x' * 90}:5432"}, {}, ("nodes", "n1", "postgres")),
        ({}, {"cert": "c.pem"}, ("cert",)),
        ({}, {"key": "c.key"}, ("key",)),
    ],
)
def test_what_is_refused(node: dict[str, Any], fields: dict[str, Any], place: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        entry(node, **fields)
    assert [error["loc"] for error in refused.value.errors()] == [place]


def test_plain_text_is_allowed_by_a_reason_and_a_socket_needs_none() -> None:
    assert entry({"api": "http://10.1.0.11:8008"}, tls="plain", waive=REASON).goes_without == ("tls",)
    here = entry({"postgres": "/var/run/postgresql:5432", "api": "http://127.0.0.1:8008"})
    assert not here.goes_without


def test_a_key_that_others_may_read_or_that_has_a_passphrase_is_a_finding(tmp_path: Path) -> None:
    issued = Authority(tmp_path)
    context = AdapterContext(tmp_path, Polling())
    locked = issued.issue("locked", passphrase="open sesame")
    with pytest.raises(ConfigError, match="without a passphrase"):
        build("orders", entry({}, cert=locked.cert.name, key=locked.key.name), context)
    wide = issued.issue("wide")
    wide.key.chmod(0o644)
    with pytest.raises(ConfigError, match="0600 or stricter"):
        build("orders", entry({}, cert=wide.cert.name, key=wide.key.name), context)
    wide.key.chmod(0o600)
    build("orders", entry({}, cert=wide.cert.name, key=wide.key.name), context)
