"""The fault proxies: what each mode does to a client that is connected, and to one that connects."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.lab.links.links import Mode, NetworkLink
from adapters.lab.links.proxies import DatagramProxy, StreamProxy
from adapters.lab.links.startup import SSL_REQUEST, StartupProxy, application_name
from tests.support.ports import free_port

HOST = "127.0.0.1"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(1000):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[StreamProxy]:
    upstream, here = (free_port() for _ in range(2))
    server = await asyncio.start_server(echo, HOST, upstream)
    proxy = StreamProxy(NetworkLink("test", "a test"), (HOST, here), (HOST, upstream))
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()


async def open_client(proxy: StreamProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    assert isinstance(proxy.address, tuple)
    return await asyncio.open_connection(*proxy.address)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes, limit: float = 1) -> bytes:
    writer.write(text)
    return await asyncio.wait_for(reader.read(1000), limit)


async def test_pass_carries_both_directions_and_the_end_of_file(proxy: StreamProxy) -> None:
    reader, writer = await open_client(proxy)
    assert await ask(reader, writer, b"hello") == b"hello"
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 1) == b""
    writer.close()


async def test_latency_delays_each_chunk(proxy: StreamProxy) -> None:
    reader, writer = await open_client(proxy)
    await proxy.link.set(Mode.LATENCY, 0.1)
    began = time.monotonic()
    assert await ask(reader, writer, b"slow", 2) == b"slow"
    assert time.monotonic() - began >= 0.2, "there and back"
    writer.close()


async def test_blackhole_holds_what_was_said_and_gives_it_back(proxy: StreamProxy) -> None:
    reader, writer = await open_client(proxy)
    assert await ask(reader, writer, b"one") == b"one"
    await proxy.link.set(Mode.BLACKHOLE)
    with pytest.raises(TimeoutError):
        await ask(reader, writer, b"two", 0.2)
    late_reader, late_writer = await open_client(proxy)
    with pytest.raises(TimeoutError):
        await ask(late_reader, late_writer, b"three", 0.2)
    await proxy.link.set(Mode.PASS)
    assert await asyncio.wait_for(reader.read(1000), 1) == b"two"
    assert await asyncio.wait_for(late_reader.read(1000), 1) == b"three"
    writer.close()
    late_writer.close()


async def test_a_client_that_leaves_a_blackhole_is_forgotten(proxy: StreamProxy) -> None:
    await proxy.link.set(Mode.BLACKHOLE)
    for _ in range(20):
        reader, writer = await open_client(proxy)
        with pytest.raises(TimeoutError):
            await ask(reader, writer, b"?", 0.01)
        writer.close()
    async with asyncio.timeout(2):
        while proxy.link.connections:
            await asyncio.sleep(0.01)


async def test_reset_ends_open_and_new_connections_with_an_error(proxy: StreamProxy) -> None:
    reader, writer = await open_client(proxy)
    assert await ask(reader, writer, b"one") == b"one"
    await proxy.link.set(Mode.RESET)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(1000), 1)
    late_reader, late_writer = await open_client(proxy)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(late_reader.read(1000), 1)
    writer.close()
    late_writer.close()


async def test_refuse_closes_the_port_until_pass(proxy: StreamProxy) -> None:
    await proxy.link.set(Mode.REFUSE)
    with pytest.raises(ConnectionRefusedError):
        await open_client(proxy)
    await proxy.link.set(Mode.PASS)
    reader, writer = await open_client(proxy)
    assert await ask(reader, writer, b"back") == b"back"
    writer.close()


async def test_garbage_answers_with_nonsense(proxy: StreamProxy) -> None:
    open_reader, open_writer = await open_client(proxy)
    assert await ask(open_reader, open_writer, b"one") == b"one"
    await proxy.link.set(Mode.GARBAGE)
    answer = await ask(open_reader, open_writer, b"exactly sixteen!")
    assert len(answer) == 16
    assert answer != b"exactly sixteen!"
    reader, writer = await open_client(proxy)
    assert len(await asyncio.wait_for(reader.read(), 1)) == 64
    writer.close()
    open_writer.close()


async def test_a_dead_upstream_is_seen_as_a_reset(proxy: StreamProxy) -> None:
    here, nobody = (free_port() for _ in range(2))
    dead = StreamProxy(NetworkLink("dead", "nobody listens"), (HOST, here), (HOST, nobody))
    await dead.start()
    reader, writer = await open_client(dead)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(10), 3)
    writer.close()
    await dead.stop()


async def test_a_unix_socket_is_private_and_refused_by_its_absence(tmp_path: Path) -> None:
    upstream, here = tmp_path / "u", tmp_path / "h"
    server = await asyncio.start_unix_server(echo, str(upstream))
    proxy = StreamProxy(NetworkLink("unix", "a test"), here, upstream)
    await proxy.start()
    assert here.stat().st_mode & 0o777 == 0o600
    reader, writer = await asyncio.open_unix_connection(str(here))
    assert await ask(reader, writer, b"x") == b"x"
    await proxy.link.set(Mode.REFUSE)
    with pytest.raises(FileNotFoundError):
        await asyncio.open_unix_connection(str(here))
    writer.close()
    await proxy.stop()
    server.close()


class Shout(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data.upper(), addr)


async def test_datagrams_pass_vanish_and_are_refused() -> None:
    upstream, here = (free_port() for _ in range(2))
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Shout, local_addr=(HOST, upstream))
    proxy = DatagramProxy(NetworkLink("dns", "a test"), (HOST, here), (HOST, upstream))
    await proxy.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect((HOST, here))

        async def question() -> bytes:
            await loop.sock_sendall(client, b"who")
            return await asyncio.wait_for(loop.sock_recv(client, 100), 0.3)

        assert await question() == b"WHO"
        await proxy.link.set(Mode.BLACKHOLE)
        with pytest.raises(TimeoutError):
            await question()
        await proxy.link.set(Mode.REFUSE)
        with pytest.raises(ConnectionRefusedError):
            await question()
        await proxy.link.set(Mode.PASS)
        assert await question() == b"WHO"
    await proxy.stop()
    server.close()


def startup(name: str) -> bytes:
    body = struct.pack("!I", 196608) + b"user\0replication\0application_name\0" + name.encode() + b"\0\0"
    return struct.pack("!I", len(body) + 4) + body


def test_the_application_name_of_a_startup_message() -> None:
    assert application_name(startup("n3")) == "n3"
    assert application_name(b"\0\0\0\x08\0\x03\0\0") == ""


async def test_one_standby_is_cut_and_the_other_is_not() -> None:
    upstream, here = (free_port() for _ in range(2))
    server = await asyncio.start_server(echo, HOST, upstream)
    links = {name: NetworkLink(name, "a standby") for name in ("n2", "n3")}
    proxy = StartupProxy(links, NetworkLink("other", "the rest"), (HOST, here), (HOST, upstream))
    await proxy.start()
    await links["n3"].set(Mode.BLACKHOLE)
    reader, writer = await open_client(proxy)
    assert await ask(reader, writer, struct.pack("!II", 8, SSL_REQUEST)) == b"N", "no TLS in the lab"
    assert await ask(reader, writer, startup("n2")) == startup("n2")
    cut_reader, cut_writer = await open_client(proxy)
    with pytest.raises(TimeoutError):
        await ask(cut_reader, cut_writer, startup("n3"), 0.2)
    await links["n3"].set(Mode.PASS)
    assert await asyncio.wait_for(cut_reader.read(1000), 1) == startup("n3")
    for each in (writer, cut_writer):
        each.close()
    await proxy.stop()
    server.close()
