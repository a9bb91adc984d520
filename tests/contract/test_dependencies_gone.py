"""Without name resolution targets that are given as addresses are reached, and the others say what is wrong; without
the vault a running engine keeps what it has read."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from adapters.context import AdapterContext
from adapters.databases.postgres import Access, PostgresNode
from adapters.net.http_act import HttpActor
from adapters.net.http_read import HttpReader
from adapters.net.origin import Credential, Origin
from state.errors import ConfigError, EffectRefused, ReadFailure
from state.estate.model import Polling, SecretRef

INFO = b"Name: HAProxy\nVersion: 2.6.12\nPid: 7\nStart_time_sec: 1700000000\n\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every name that was asked for; none is answered."""
    names: list[str] = []

    def resolve(host: str, *args: object, **kwargs: object) -> object:
        names.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return names


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A target that answers like HAProxy or like a web server, by what it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.read(4096)
        writer.write(INFO if said.startswith(b"show") else ANSWER)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_addresses_are_reached_without_a_resolver(asked: list[str], port: int) -> None:
    reader = HttpReader(f"http://127.0.0.1:{port}")
    assert await reader.get("/", deadline=5.0) == b"{}"
    await reader.close()
    actor = HttpActor(Origin.of(f"http://127.0.0.1:{port}"))
    assert (await actor.send("POST", "/", {}, deadline=5.0)).status == 200
    assert (await HAProxy("edge", f"127.0.0.1:{port}").identify(deadline=5.0)).facts["process"] == "7"
    assert asked == []


async def test_a_name_is_an_error_of_its_target_and_nothing_was_sent(asked: list[str]) -> None:
    reader = HttpReader("http://prometheus.example:9090")
    with pytest.raises(ReadFailure, match=r"prometheus\.example"):
        await reader.get("/", deadline=5.0)
    await reader.close()
    with pytest.raises(EffectRefused, match=r"patroni\.example"):
        await HttpActor(Origin.of("http://patroni.example:8008")).send("POST", "/switchover", {}, deadline=5.0)
    node = PostgresNode("n1", "db.example", 5432, Access("recovery", "postgres"))
    with pytest.raises(ReadFailure):
        await node.read(deadline=5.0)
    await node.close()
    assert {"prometheus.example", "patroni.example", "db.example"} <= set(asked)


async def test_a_vault_that_is_gone_after_the_start_is_not_missed(tmp_path: Path, port: int) -> None:
    vault = tmp_path / "vault"
    vault.write_text(f"#!{sys.executable}\nprint('s3cret')\n")
    vault.chmod(0o700)
    context, reference = AdapterContext(tmp_path, Polling()), SecretRef(command=(str(vault),))
    secret = context.secret(reference)
    assert secret is not None
    vault.unlink()
    actor = HttpActor(Origin.of(f"http://127.0.0.1:{port}"), credential=Credential(secret, "recovery"))
    assert (await actor.send("POST", "/", {}, deadline=5.0)).status == 200
    with pytest.raises(ConfigError):  # who starts now is told
        AdapterContext(tmp_path, Polling()).secret(reference)
