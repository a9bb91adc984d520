"""The engine's front door, asked over real sockets."""

import asyncio
import gzip
import json
import os
import re
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.api_server import ROUTES, ApiServer, EngineMetrics, LoopLag, MetricsServer, Sockets
from adapters.api_server.room import MOST_OF_ACTOR
from adapters.api_server.server import bind
from state.api.messages import API_VERSION, ChainProof
from state.api.views.header import HeaderView
from state.api.wire import Mirror, columns
from state.errors import ConfigError, EffectUnknown, JournalUnavailable, NotFound, Problem, RecoveryError, Refused
from tests.support.front_desk import HEADER, Desk
from tests.support.ports import free_port
from tests.support.real_engine import until


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
async def sockets(desk: Desk, tmp_path: Path) -> AsyncIterator[Sockets]:
    where = Sockets(tmp_path)
    server = ApiServer(desk, where)
    await server.start()
    yield where
    await server.stop()
    assert not where.engine.exists()
    assert not where.observe.exists()


async def ask(path: Path, method: str, target: str, **more: Any) -> tuple[int, Any, Mapping[str, str]]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.request(method, f"http://engine{target}", **more) as response,
    ):
        raw = await response.read()
        is_json = response.content_type == "application/json"
        return response.status, json.loads(raw) if is_json else raw, response.headers


def concrete(path: str) -> str:
    return path.replace("{topic}", "header").replace("{run}", "r1").replace("{name}", "A-1")


def test_modes_of_the_sockets(sockets: Sockets) -> None:
    assert stat.S_IMODE(sockets.engine.stat().st_mode) == 0o600
    assert stat.S_IMODE(sockets.observe.stat().st_mode) == 0o666


async def test_the_kernel_says_who_calls(desk: Desk, sockets: Sockets) -> None:
    status, answer, headers = await ask(sockets.engine, "GET", "/v1/hello", headers={"X-User": "root"})
    assert status == 200
    assert headers["Recovery-Version"] == str(API_VERSION)
    assert answer["value"][:6] == [API_VERSION, "shop", "lab", "u1", ["commander"], None]
    assert desk.calls[0][1].session == f"pid:{os.getpid()}"
    _, answer, _ = await ask(sockets.observe, "GET", "/v1/hello")
    assert answer["value"][5][0] == "observer"


CALL = (
    "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);"
    "s.sendall(b'GET /v1/hello HTTP/1.1\\r\\nHost: e\\r\\nConnection: close\\r\\n\\r\\n');"
    "print(s.makefile().read())"
)


async def call_as(argv: list[str], path: Path) -> subprocess.CompletedProcess[str]:
    program = [*argv, "/usr/bin/env", "python3", "-c", CALL, str(path)]
    return await asyncio.to_thread(subprocess.run, program, capture_output=True, text=True, check=False)


async def test_another_account_is_unknown_and_kept_out_of_the_engine_socket(desk: Desk) -> None:
    """As root with a real other account; otherwise the calling process at least proves to be this one's account."""
    root = os.getuid() == 0
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if root else []
    with tempfile.TemporaryDirectory(prefix="recovery-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        server = ApiServer(desk, Sockets(Path(folder)))
        await server.start()
        try:
            seen = await call_as(other, server.sockets.observe)
            assert desk.calls[-1][1].uid == (65534 if root else os.getuid())
            assert ('"shop","lab","",[],["observer"' in seen.stdout) is root
            inside = await call_as(other, server.sockets.engine)
            assert ("PermissionError" in inside.stderr) is root
        finally:
            await server.stop()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES if route.acts}))
async def test_the_observers_socket_has_no_acting_route(desk: Desk, sockets: Sockets, method: str, path: str) -> None:
    status, answer, _ = await ask(sockets.observe, method, concrete(path), json={})
    assert status == 404
    assert answer["title"] == "Bad request"
    assert desk.calls == []


KNOWN = list(columns(ChainProof)).index("known")
TOLD = "/v1/session"
"""Where consoles of both sockets tell what they showed: a POST that nothing is done with but keeping it."""


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES if not route.acts and route.path != TOLD}))
async def test_reading_routes_take_no_other_method(desk: Desk, sockets: Sockets, path: str) -> None:
    for where in (sockets.observe, sockets.engine):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            status, _, _ = await ask(where, method, concrete(path), json={})
            assert status == 405
    assert desk.calls == []


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES if route.acts}))
async def test_acting_routes_reach_the_engine_with_the_caller(desk: Desk, sockets: Sockets, path: str) -> None:
    body: dict[str, Any] = {"do": "undo", "run": "R-1", "verb": "pause", "a": "orders/n1", "b": "orders/n2"}
    if path.startswith("/v1/access/"):
        body = {"grant": "G-AAAAAA", "verifier": "SCRAM-SHA-256$…", "reason": "it stays", "residue": []}
    if path == "/v1/releases":
        body = {"service": "checkout", "digest": f"sha256:{'5' * 64}", "version": "v5"}
    if path == "/v1/approvals":
        body = {"plan": "P", "fingerprint": "F", "reason": "because I want it"}
    if path == "/v1/approvals/{name}":
        body = {"do": "withdraw"}
    status, answer, _ = await ask(sockets.engine, "POST", concrete(path), json=body)
    assert status == 200
    assert isinstance(answer["value"], list)
    [(_, caller)] = desk.calls
    assert (caller.uid, caller.person, caller.read_only) == (os.getuid(), "u1", False)


async def test_no_body_is_unpacked(desk: Desk, sockets: Sockets) -> None:
    """Before: 1 MB became 1 GB before anybody asked whether a body was wanted, and nobody could stop anything."""
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    request = gzip.compress(b'{"do": "undo", "run": "R-1", "verb": "pause"}')
    status, _, _ = await ask(sockets.engine, "POST", "/v1/preview", data=request, headers=packed)
    assert status == 400
    assert desk.calls == []
    bomb = gzip.compress(bytes(64 << 20))
    began = time.process_time()
    for _ in range(20):
        assert (await ask(sockets.observe, "GET", "/v1/hello", data=bomb, headers=packed))[0] in (200, 413)
    packing = time.process_time() - began
    began = time.process_time()
    for _ in range(20):
        gzip.decompress(bomb)
    assert packing < time.process_time() - began


async def test_journal_and_views(sockets: Sockets) -> None:
    _, view, _ = await ask(sockets.observe, "GET", "/v1/view/header")
    assert view["estate"] == "shop"
    _, rows, _ = await ask(sockets.observe, "GET", "/v1/journal?after=3&limit=2")
    assert [row[0] for row in rows["value"]] == [4, 5]
    _, verified, _ = await ask(sockets.observe, "GET", "/v1/journal/verify")
    assert (verified["problem"], verified["value"][KNOWN]) == ("", 0)
    _, verified, _ = await ask(sockets.observe, "GET", "/v1/journal/verify?head=aaaaaaaa")
    assert verified["value"][KNOWN] == 7
    for wrong in ("", "aaaaaaa", "zzzzzzzz"):
        assert (await ask(sockets.observe, "GET", f"/v1/journal/verify?head={wrong}"))[1]["kind"] == "bad-input"
    _, raw, _ = await ask(sockets.observe, "GET", "/v1/journal/export")
    assert raw == b'{"seq":1}\n{"seq":2}\n'
    for wrong in ("/v1/journal?after=-1", "/v1/journal?limit=x", "/v1/journal?after=%C2%B2"):
        assert (await ask(sockets.observe, "GET", wrong))[0] == 400
    assert (await ask(sockets.observe, "GET", "/v1/view/nothing"))[0] == 404


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refused("floor", "1 of 1 serves", "Ready another first"), 403, 4),
        (NotFound("no run r9"), 404, 2),
        (ConfigError((Problem("a.yaml", 1, 2, "x", "y"),)), 400, 2),
        (EffectUnknown("no answer"), 409, 5),
        (JournalUnavailable("disk full"), 503, 4),
    ],
)
async def test_expected_errors_carry_title_code_and_rule(
    desk: Desk, sockets: Sockets, error: RecoveryError, status: int, code: int
) -> None:
    desk.raises = error
    got, answer, _ = await ask(sockets.engine, "POST", "/v1/submit", json={})
    assert (got, answer["exit_code"]) == (status, code)
    assert set(answer) == {"kind", "title", "message", "exit_code", "rule", "fact", "way_out", "who", "problems"}
    assert answer["kind"] == error.kind
    if isinstance(error, Refused):
        assert (answer["rule"], answer["way_out"]) == ("floor", "Ready another first")


async def test_a_defect_is_an_answer_of_its_own_kind_without_its_trace(desk: Desk, sockets: Sockets) -> None:
    desk.raises = ZeroDivisionError("a secret of the defect")
    got, answer, _ = await ask(sockets.engine, "POST", "/v1/submit", json={})
    assert (got, answer["kind"], answer["exit_code"]) == (500, "engine-error", 3)
    assert answer["message"] == "the engine failed at POST /v1/submit"
    assert "engine.log" in answer["way_out"]
    assert "secret" not in str(answer)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "text/plain", 400),
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "application/json", 413),
        (b'{"plan": "a", "plan": "b"}', "application/json", 400),
        (b'{"plan": {"x": 1e999}}', "application/json", 400),
        (b'{"plan": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b'{"plan": NaN}', "application/json", 400),
    ],
)
async def test_bad_bodies_never_reach_the_engine(
    desk: Desk, sockets: Sockets, body: bytes, kind: str, status: int
) -> None:
    got, answer, _ = await ask(sockets.engine, "POST", "/v1/submit", data=body, headers={"Content-Type": kind})
    assert got == status
    assert answer["exit_code"] == 2
    assert desk.calls == []


async def test_who_may_act_can_stop_on_the_fullest_socket(desk: Desk, sockets: Sockets) -> None:
    held = []
    for _ in range(MOST_OF_ACTOR + 40):
        held.append(connection := socket.socket(socket.AF_UNIX))
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, str(sockets.engine))
    status, answer, _ = await ask(sockets.engine, "GET", "/v1/hello")
    assert (status, answer["message"]) == (
        503,
        "this account has too many connections open: this one can only stop runs",
    )
    assert (await ask(sockets.engine, "POST", "/v1/stop", json={}))[0] == 200
    assert [name for name, _ in desk.calls][-1] == "stop"
    assert (await ask(sockets.observe, "GET", "/v1/hello"))[0] == 200, "the other socket has room of its own"
    for connection in held:
        connection.close()

    async def again() -> bool:
        return (await ask(sockets.engine, "GET", "/v1/hello"))[0] == 200

    await until(again, 60)


@pytest.mark.parametrize("sent", [b"", b"GET /v1/hello HT", b"GET /v1/hello HTTP/1.1\r\nHost: "])
async def test_a_connection_without_a_whole_request_is_closed(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("adapters.api_server.server.IDLE", 0.3)
    server = ApiServer(desk, Sockets(tmp_path))
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(server.sockets.observe))
    writer.write(sent)
    assert await asyncio.wait_for(reader.read(), 3) == b""
    writer.close()
    await server.stop()


async def test_a_body_that_does_not_arrive_is_not_waited_for(
    desk: Desk, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.api_server.routes.BODY_DEADLINE", 0.2)
    reader, writer = await asyncio.open_unix_connection(str(sockets.engine))
    head = b"POST /v1/submit HTTP/1.1\r\nHost: e\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    writer.write(head + b'{"plan"')
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 3)
    writer.close()
    assert desk.calls == []


async def test_a_console_of_another_version_is_told(sockets: Sockets) -> None:
    status, answer, _ = await ask(sockets.engine, "GET", "/v1/hello", headers={"Recovery-Version": "9"})
    assert status == 409
    assert "version 9" in answer["message"]


async def test_the_stream_ticks_and_sends_only_what_changed(desk: Desk, sockets: Sockets) -> None:
    mirror = Mirror(HeaderView)
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(sockets.observe))) as session,
        session.get("http://engine/v1/stream?topics=header,journal") as response,
    ):
        lines = [json.loads(await response.content.readline()) for _ in range(3)]
        assert set(lines[0]["tick"]) == {"mono", "wall"}
        assert [line["topic"] for line in lines[1:]] == ["header", "journal"]
        assert mirror.apply(lines[1]) == HEADER
        began = time.monotonic()
        for number in range(50):
            desk.touch(effects=f"u{number}")
            await asyncio.sleep(0.01)
        desk.touch(effects="last")
        batches = 0
        while mirror.view is None or mirror.view.effects != "last":
            line = json.loads(await response.content.readline())
            batches += "tick" in line
            if "topic" in line:
                assert line["set"].keys() == {"effects"}
                mirror.apply(line)
        assert batches <= 4 * (time.monotonic() - began) + 2
        began = time.monotonic()
        assert "tick" in json.loads(await response.content.readline())
        assert time.monotonic() - began < 1.5
    assert (await ask(sockets.observe, "GET", "/v1/stream?topics=nothing"))[0] == 404


async def test_a_stalled_reader_delays_nobody_and_is_dropped(
    desk: Desk, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.api_server.stream.STALLED", 1.0)
    stalled = socket.socket(socket.AF_UNIX)
    stalled.setblocking(False)
    await asyncio.get_running_loop().sock_connect(stalled, str(sockets.observe))
    await asyncio.get_running_loop().sock_sendall(stalled, b"GET /v1/stream HTTP/1.1\r\nHost: e\r\n\r\n")
    gaps = []
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(sockets.observe))) as session,
        session.get("http://engine/v1/stream?topics=journal") as response,
    ):
        last = time.monotonic()
        for number in range(14):
            desk.touch(effects=str(number % 10) * 400_000)
            await response.content.readline()
            gaps.append(time.monotonic() - last)
            last = time.monotonic()
    assert max(gaps) < 1.3
    received = 0
    while chunk := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(stalled, 1 << 20), 2.0):
        received += len(chunk)
    stalled.close()
    assert received < 4_000_000


def test_a_path_too_long_for_the_kernel_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 100"):
        bind(tmp_path / ("x" * 100), 0o600)


async def test_metrics_on_loopback(desk: Desk) -> None:
    port = free_port()
    lag = LoopLag()
    lag.record(0.5)
    server = MetricsServer(EngineMetrics(desk, lag, lambda: 3), port)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as response:
            text = await response.text()
    finally:
        await server.stop()
    assert "recovery_loop_lag_worst_seconds 0.5" in text
    assert "recovery_streams 3.0" in text
    assert re.search(r"^recovery_tasks [1-9]", text, re.MULTILINE)
    assert 'recovery_source_failing{source="pg:n1",trouble=""} 0.0' in text
