"""Reading over HTTP against a real socket: redirects, leaks, sizes, encodings, silence, rubbish."""

from __future__ import annotations

import asyncio
import gzip
import time
import traceback
import tracemalloc
import zlib

import pytest

from adapters.net.http_read import CLOSE_SECONDS, HttpReader
from adapters.net.origin import Credential, Origin
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from tests.contract.components import serving
from tests.contract.web import canned


def zipped(body: bytes) -> bytes:
    """Without the time of day, so that every process of a run names a test alike."""
    return gzip.compress(body, mtime=0)


async def troubled(reader: HttpReader, deadline: float = 0.5, cap: int = 1000) -> ReadFailure:
    with pytest.raises(ReadFailure) as failure:
        await reader.get("/x", deadline=deadline, cap=cap)
    await reader.close()
    return failure.value


def encoded(body: bytes, encoding: str = "gzip", more: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


async def test_body_is_given_and_the_connection_is_kept() -> None:
    async with canned({"GET /x": (200, "hello")}) as server:
        reader = HttpReader(server.url)
        for _ in range(5):
            assert await reader.get("/x", deadline=1) == b"hello"
        assert server.connections == 1
        await reader.close()


async def test_a_kept_connection_that_the_server_closed_is_no_failure() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()

    async with serving(serve) as port:
        reader = HttpReader(f"http://127.0.0.1:{port}")
        for _ in range(3):
            assert await reader.get("/x", deadline=1) == b"ok"
        await reader.close()


async def test_at_most_two_connections_even_when_many_ask() -> None:
    async with canned({"GET /x": (200, "hello")}) as server:
        reader = HttpReader(server.url)
        bodies = await asyncio.gather(*(reader.get("/x", deadline=1) for _ in range(20)))
        assert set(bodies) == {b"hello"}
        assert server.connections == 2
        await reader.close()


async def test_waiting_for_a_connection_is_part_of_the_deadline() -> None:
    async with canned({"GET /x": None}) as server:
        reader = HttpReader(server.url)
        deadlines = (2.0, 2.0, 0.3, 0.3, 0.3, 0.3)
        met = await asyncio.gather(*(reader.get("/x", deadline=d) for d in deadlines), return_exceptions=True)
        assert {each.trouble for each in met if isinstance(each, ReadFailure)} == {Trouble.TIMEOUT}
        assert len([each for each in met if isinstance(each, ReadFailure)]) == 6
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
        (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", b"hello"),
        (encoded(zipped(b"hello world")), b"hello world"),
        (encoded(zipped(b"hello ") + zipped(b"world"), "x-gzip"), b"hello world"),
        (encoded(b"hello", "identity"), b"hello"),
        (encoded(b"hello", "identity", f"Content-Security-Policy: {'x' * 20_000}\r\n"), b"hello"),
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
        place = other.url.replace("://", "://user:pa55@")
        raw = f"HTTP/1.1 {status} Moved\r\nLocation: {place}/x\r\nContent-Length: 0\r\n\r\n".encode()
        async with canned({"GET /x": raw}) as server:
            failure = await troubled(HttpReader(server.url, credential=Credential(Secret("t0ken"))))
            assert server.asked[0][1]["authorization"] == "Bearer t0ken"
        assert other.asked == []
    assert failure.trouble is Trouble.ERROR
    assert f"127.0.0.1:{other.port}" in failure.message
    assert "t0ken" not in failure.message
    assert "pa55" not in failure.message


@pytest.mark.parametrize("raw", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", None])
async def test_no_failure_shows_the_credential(raw: bytes | None) -> None:
    async with canned({"GET /x": raw}) as server:
        failure = await troubled(HttpReader(server.url, credential=Credential(Secret("t0ken"))), deadline=0.2)
    assert "t0ken" not in "".join(traceback.format_exception(failure))
    assert "t0ken" not in repr(failure.__cause__)


async def test_proxies_and_passwords_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    async with canned({}) as proxy, canned({"GET /x": (200, "direct")}) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        reader = HttpReader(server.url)
        assert await reader.get("/x", deadline=1) == b"direct"
        assert proxy.asked == []
        assert "authorization" not in server.asked[0][1]
        await reader.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("raw", "trouble", "message"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, Trouble.ERROR, "longer than 1000"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000, Trouble.ERROR, "longer than 1000"),
        (encoded(zipped(b"x" * 5000)), Trouble.ERROR, "longer than 1000"),
        (encoded(zipped(b"x" * 900) + zipped(b"y" * 900)), Trouble.ERROR, "longer than 1000"),
        (encoded(zipped(b"x" * 500)[:-9]), Trouble.ERROR, "gzip stream of the answer is cut short"),
        (encoded(zipped(b"x" * 500) + b"more"), Trouble.ERROR, "not valid gzip"),
        (encoded(b"hello"), Trouble.ERROR, "not valid gzip"),
        (encoded(zlib.compress(b"hello"), "deflate"), Trouble.ERROR, "was not asked for"),
        (encoded(b"hello", "br"), Trouble.ERROR, "was not asked for"),
        (encoded(b"hello", "secret"), Trouble.ERROR, "was not asked for"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", Trouble.ERROR, "transfer"),
        (CHUNKED + b"Content-Length: 5\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n", Trouble.ERROR, "not valid HTTP"),
        (CHUNKED + b"\r\nfffffff\r\n", Trouble.ERROR, "before a complete answer"),
        (CHUNKED + b"\r\n5\r\nhello\r\n", Trouble.ERROR, "before a complete answer"),
        (CHUNKED + b"\r\n-1\r\n", Trouble.ERROR, "not valid HTTP"),
        (CHUNKED + b"\r\nzz\r\n", Trouble.ERROR, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, Trouble.ERROR, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: y", Trouble.UNREACHABLE, "closed before an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", Trouble.ERROR, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", Trouble.ERROR, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", Trouble.ERROR, "closed before a complete answer"),
        (b"\x16\x03\x01\x00garbage\r\n\r\n", Trouble.ERROR, "not valid HTTP"),
        (b"", Trouble.UNREACHABLE, "closed before an answer"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Trouble.EMPTY, "an empty answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Trouble.EMPTY, "an empty answer"),
        (b"HTTP/1.1 401 X\r\nContent-Length: 2\r\n\r\nno", Trouble.DENIED, "401"),
        (b"HTTP/1.1 403 X\r\nContent-Length: 2\r\n\r\nno", Trouble.DENIED, "403"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops", Trouble.ERROR, "oops"),
        (b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", Trouble.ERROR, "101"),
        (None, Trouble.TIMEOUT, "within 0.5 s"),
    ],
)
async def test_each_trouble_has_its_name(raw: bytes | None, trouble: Trouble, message: str) -> None:
    async with canned({"GET /x": raw}) as server:
        failure = await troubled(HttpReader(server.url))
    assert failure.trouble is trouble
    assert message in failure.message
    assert "\n" not in failure.message


async def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    async with canned({"GET /x": encoded(zipped(bytes(100 << 20)))}) as server:
        reader = HttpReader(server.url)
        tracemalloc.start()
        try:
            assert "longer than" in (await troubled(reader, deadline=5, cap=1 << 20)).message
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()


async def test_a_slow_trickle_does_not_outlive_the_deadline() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        for _ in range(100):
            writer.write(b"x")
            await asyncio.sleep(0.05)

    async with serving(serve) as port:
        failure = await troubled(HttpReader(f"http://127.0.0.1:{port}"), deadline=0.3)
    assert failure.trouble is Trouble.TIMEOUT


async def test_closing_waits_for_nobody() -> None:
    async with canned({"GET /x": None}) as server:
        reader = HttpReader(server.url)
        asking = asyncio.create_task(reader.get("/x", deadline=20))
        while not server.asked:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        await reader.close()
        await reader.close()
        assert time.monotonic() - began < 2 * CLOSE_SECONDS
        with pytest.raises(ReadFailure):
            await asking


async def test_nobody_listening_is_unreachable() -> None:
    failure = await troubled(HttpReader("http://127.0.0.1:1"))
    assert failure.trouble is Trouble.UNREACHABLE
    assert failure.message == "127.0.0.1:1: Connection refused"


async def test_a_socket_path_that_nobody_serves_is_unreachable(tmp_path) -> None:
    failure = await troubled(HttpReader("http://lab", unix=str(tmp_path / "gone.sock")))
    assert (failure.trouble, failure.message) == (Trouble.UNREACHABLE, "lab:80: No such file or directory")


async def test_plain_text_behind_https_is_an_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(serve) as port:
        failure = await troubled(HttpReader(f"https://127.0.0.1:{port}"))
    assert failure.trouble is Trouble.ERROR
    assert "TLS refused" in failure.message


async def test_a_certificate_file_that_is_missing_is_an_error(tmp_path) -> None:
    failure = await troubled(HttpReader("https://127.0.0.1:1", ca=tmp_path / "gone.pem"))
    assert failure.trouble is Trouble.ERROR


@pytest.mark.parametrize("path", ["x", "/x y", "/x\r\nHost: other", "/ü"])
async def test_a_path_cannot_smuggle(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        await HttpReader("http://127.0.0.1:1").fetch(path, deadline=1)


async def test_a_path_is_sent_as_it_is_given() -> None:
    async with canned({"GET /pre/x": (200, "ok")}) as server:
        reader = HttpReader(f"{server.url}/pre/")
        await reader.get("/x?query=a%2Bb+%7Bc%7D&d=%E4", deadline=1)
        assert server.asked[0][0] == "GET /pre/x?query=a%2Bb+%7Bc%7D&d=%E4"
        await reader.close()


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://u:p@x", "http://x/?q=1", "http://x/#f", "x:80"])
def test_an_origin_is_scheme_host_port_and_prefix_only(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|credentials|more than"):
        Origin.of(url)
    assert Origin.of("https://h/prom/") == Origin("https", "h", 443, "/prom")
