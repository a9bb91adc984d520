"""The lean HTTP reader against a real socket: redirects, leaks, sizes, silence, rubbish."""

from __future__ import annotations

import asyncio

import pytest

from adapters.net.http_read import HttpReader
from adapters.net.origin import Credential, Origin
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from tests.contract.components import serving
from tests.contract.web import canned


async def troubled(reader: HttpReader, deadline: float = 0.5, cap: int = 1000) -> ReadFailure:
    with pytest.raises(ReadFailure) as failure:
        await reader.get("/x", deadline=deadline, cap=cap)
    await reader.close()
    return failure.value


async def test_body_is_given_and_the_connection_is_kept() -> None:
    async with canned({"GET /x": (200, "hello")}) as server:
        reader = HttpReader(server.url)
        for _ in range(5):
            assert await reader.get("/x", deadline=1) == b"hello"
        assert server.connections == 1
        await reader.close()


async def test_at_most_two_connections_even_when_many_ask() -> None:
    async with canned({"GET /x": (200, "hello")}) as server:
        reader = HttpReader(server.url)
        bodies = await asyncio.gather(*(reader.get("/x", deadline=1) for _ in range(20)))
        assert set(bodies) == {b"hello"}
        assert server.connections == 2
        await reader.close()


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
            b"hello world",
        ),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: x\r\n\r\n", b"a"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok"),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_every_framing_in_pieces_of_every_size(raw: bytes, body: bytes, step: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for start in range(0, len(raw), step):
            writer.write(raw[start : start + step])
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(serve) as port:
        reader = HttpReader(f"http://127.0.0.1:{port}")
        assert await reader.get("/x", deadline=2) == body
        await reader.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_shown_not_followed_and_no_credential_travels(status: int) -> None:
    async with canned({"GET /x": (200, "stolen")}) as other:
        raw = f"HTTP/1.1 {status} Moved\r\nLocation: {other.url}/x\r\nContent-Length: 0\r\n\r\n".encode()
        async with canned({"GET /x": raw}) as server:
            failure = await troubled(HttpReader(server.url, credential=Credential(Secret("t0ken"))))
            assert server.asked[0][1]["authorization"] == "Bearer t0ken"
        assert other.asked == []
    assert failure.trouble is Trouble.ERROR
    assert f"127.0.0.1:{other.port}" in failure.message
    assert "t0ken" not in failure.message


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with canned({}) as proxy, canned({"GET /x": (200, "direct")}) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        reader = HttpReader(server.url)
        assert await reader.get("/x", deadline=1) == b"direct"
        assert proxy.asked == []
        await reader.close()


@pytest.mark.parametrize(
    ("raw", "trouble", "message"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, Trouble.ERROR, "longer than 1000"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000, Trouble.ERROR, "longer than 1000"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", Trouble.ERROR, "longer than 1000"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", Trouble.ERROR, "longer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Trouble.ERROR, "chunk"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, Trouble.ERROR, "header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", Trouble.ERROR, "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", Trouble.ERROR, "closed before a whole answer"),
        (b"\x16\x03\x01\x00garbage\r\n\r\n", Trouble.ERROR, "no HTTP"),
        (b"", Trouble.ERROR, "closed before a whole answer"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Trouble.EMPTY, "nothing"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Trouble.EMPTY, "nothing"),
        (b"HTTP/1.1 401 X\r\nContent-Length: 2\r\n\r\nno", Trouble.DENIED, "401"),
        (b"HTTP/1.1 403 X\r\nContent-Length: 2\r\n\r\nno", Trouble.DENIED, "403"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops", Trouble.ERROR, "oops"),
        (None, Trouble.TIMEOUT, "within 0.5 s"),
    ],
)
async def test_each_trouble_has_its_name(raw: bytes | None, trouble: Trouble, message: str) -> None:
    async with canned({"GET /x": raw}) as server:
        failure = await troubled(HttpReader(server.url))
    assert failure.trouble is trouble
    assert message in failure.message


async def test_a_slow_trickle_does_not_outlive_the_deadline() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        for _ in range(100):
            writer.write(b"x")
            await asyncio.sleep(0.05)

    async with serving(serve) as port:
        failure = await troubled(HttpReader(f"http://127.0.0.1:{port}"), deadline=0.3)
    assert failure.trouble is Trouble.TIMEOUT


async def test_nobody_listening_is_an_error() -> None:
    assert (await troubled(HttpReader("http://127.0.0.1:1"))).trouble is Trouble.ERROR


async def test_plain_text_behind_https_is_an_error() -> None:
    async with canned({"GET /x": (200, "plain")}) as server:
        reader = HttpReader(server.url.replace("http:", "https:"))
        assert (await troubled(reader)).trouble is Trouble.ERROR


@pytest.mark.parametrize("path", ["x", "/x y", "/x\r\nHost: other", "/ü"])
async def test_a_path_cannot_smuggle(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        await HttpReader("http://127.0.0.1:1").fetch(path, deadline=1)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://u:p@x", "http://x/?q=1", "http://x/#f", "x:80"])
def test_an_origin_is_scheme_host_port_and_prefix_only(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|credentials|more than"):
        Origin.of(url)
    assert Origin.of("https://h/prom/") == Origin("https", "h", 443, "/prom")
