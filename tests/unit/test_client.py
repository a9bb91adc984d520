"""The engine client against servers that behave, refuse, vanish and lie."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import console.client.engine_client
import console.client.replies
from adapters.api_server.answers import failure
from console.client.engine_client import Connected, EngineClient, Line, Lost
from console.client.engine_errors import EngineError, EngineUnreachable
from state.api.messages import API_VERSION, Hello
from state.api.requests import Pause, PlanChange, Submission
from state.api.views.header import HeaderView
from state.api.wire import named, plain
from state.errors import (
    BadArguments,
    ConfigError,
    EffectRefused,
    EffectUnknown,
    EngineFailed,
    ExitCode,
    JournalUnavailable,
    NotFound,
    Problem,
    ReadFailure,
    RecoveryError,
    Refused,
    Trouble,
    UnsuitableArgument,
)

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
WRONG = Problem("argument", 0, 0, "'x'", "n: a number")
HELLO = Hello(API_VERSION, "shop", "lab", "u1", ("commander",), None, 1, 2.0, 3.0)


@contextlib.asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[EngineClient]:
    """A socket that reads one request and lets `answer` write."""

    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.add(task)
        with contextlib.suppress(OSError, EOFError):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
            await answer(head + await reader.readexactly(size), writer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    with tempfile.TemporaryDirectory(prefix="tc-") as folder:
        path = str(Path(folder) / "s")
        server = await asyncio.start_unix_server(serve, path)
        async with server:
            yield EngineClient(path)
            await asyncio.gather(*served)


def reply(value: object, status: str = "200 OK") -> Answer:
    return reply_of(json.dumps(value).encode(), status)


def reply_of(body: bytes, status: str) -> Answer:
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return answer


def chunked(*pieces: bytes, end: bool = True) -> bytes:
    body = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + (b"0\r\n\r\n" if end else b"")


async def test_hello_is_revived_and_cleaned() -> None:
    hostile = plain(HELLO)
    assert isinstance(hostile, list)
    hostile[1] = "shop\x1b[2J"
    async with answering(reply({"value": hostile})) as client:
        hello = await client.hello()
    assert hello.estate == "shop\\x1b[2J"
    assert hello.roles == ("commander",)


async def test_another_version_is_refused_in_message() -> None:
    async with answering(reply({"value": [API_VERSION + 1, "whatever"]})) as client:
        with pytest.raises(Refused, match=f"version {API_VERSION + 1}"):
            await client.hello()


async def test_no_socket_is_unreachable_with_its_exit_code() -> None:
    with pytest.raises(EngineUnreachable, match="does not exist") as told:
        await EngineClient("/tmp/no-such-engine/s").hello()
    assert told.value.exit_code is ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    ("told", "kind", "message"),
    [
        (Refused("role", "observer", "ask"), Refused, "role: observer. ask"),
        (NotFound("no run r-9"), NotFound, "no run r-9"),
        (JournalUnavailable("disk full"), JournalUnavailable, "disk full"),
        (EffectUnknown("lost"), EffectUnknown, "lost"),
        (EffectRefused("permission denied"), EffectRefused, "permission denied"),
        (ReadFailure(Trouble.TIMEOUT, "no answer"), ReadFailure, "no answer"),
        (EngineFailed("it failed"), EngineFailed, "it failed"),
        (BadArguments((WRONG,)), BadArguments, "argument: found 'x', expected n: a number"),
        (ConfigError((WRONG,)), ConfigError, "a number"),
        (UnsuitableArgument("weight: x\x1b[1m"), EngineError, r"x\\x1b\[1m"),
    ],
)
async def test_errors_come_back_as_what_they_were(told: RecoveryError, kind: type[RecoveryError], message: str) -> None:
    answer = failure(told)
    async with answering(reply(json.loads(answer.body), f"{answer.status} No")) as client:  # type: ignore[arg-type]
        with pytest.raises(kind, match=message) as raised:
            await client.preview(PlanChange("server.drain"))
    assert (raised.value.kind, raised.value.exit_code) == (told.kind, told.exit_code)


@pytest.mark.parametrize("body", [b"500 Internal Server Error", b"[]", b"{}", b'{"title": "Odd", "exit_code": 99}'])
async def test_an_error_that_says_nothing_is_unknown_and_after_an_acting_request_so_is_its_outcome(body: bytes) -> None:
    async with answering(reply_of(body, "500 Internal Server Error")) as client:
        with pytest.raises(EngineFailed) as told:
            await client.view("overview")
        assert (told.value.exit_code, told.value.kind) == (ExitCode.UNKNOWN, "engine-error")
        with pytest.raises(EffectUnknown, match="may have accepted"):
            await client.submit(Submission("p", "f"))


async def test_an_unknown_error_keeps_its_exit_code() -> None:
    answer = {"kind": "bad-request", "title": "Bad request", "message": "no", "exit_code": 2}
    async with answering(reply(answer, "400 Bad Request")) as client:
        with pytest.raises(EngineError) as told:
            await client.view("header")
    assert told.value.exit_code is ExitCode.USAGE
    assert told.value.title == "Bad request"


async def test_silence_after_an_acting_request_is_unknown_not_failed() -> None:
    async def vanish(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with answering(vanish) as client:
        with pytest.raises(EffectUnknown, match="may have accepted"):
            await client.submit(Submission("p", "f"))
        with pytest.raises(EngineUnreachable):
            await client.preview(PlanChange("server.drain"))


async def test_half_an_answer_to_an_acting_request_is_unknown() -> None:
    async def half(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"value"')

    async with answering(half) as client:
        with pytest.raises(EffectUnknown):
            await client.stop_all()


async def test_no_engine_to_act_on_is_unreachable_not_unknown() -> None:
    with pytest.raises(EngineUnreachable):
        await EngineClient("/tmp/no-such-engine/s").submit(Submission("p", "f"))


async def test_requests_carry_their_body_and_type() -> None:
    seen: list[bytes] = []

    async def note(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        await reply({"value": ["r-1", "started", ""]})(request, writer)

    async with answering(note) as client:
        accepted = await client.control("r/1 x", Pause())
    assert accepted.run == "r-1"
    assert seen[0].startswith(b"POST /v1/runs/r%2F1%20x/control HTTP/1.1\r\n")
    assert b"Content-Type: application/json\r\n" in seen[0]
    assert seen[0].endswith(b'{"verb": "pause"}')


async def test_stream_lines_survive_any_cut() -> None:
    lines = b'{"tick":{"mono":1,"wall":2}}\n{"topic":"header","set":{}}\n\n'

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(chunked(*(lines[place : place + 1] for place in range(len(lines)))))

    got: list[Mapping[str, object]] = []

    async def collect(client: EngineClient) -> None:
        async for line in client.stream(("header",)):
            got.append(line)

    async with answering(answer) as client:
        with pytest.raises(EngineUnreachable, match="closed the stream"):
            await collect(client)
    assert [next(iter(line)) for line in got] == ["tick", "topic"]


async def test_a_silent_stream_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.client.replies, "SILENCE_LIMIT", 0.05)

    async def stall(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(chunked(b'{"tick":{"mono":1,"wall":2}}\n', end=False))
        await writer.drain()
        await asyncio.sleep(0.5)

    async with answering(stall) as client:
        with pytest.raises(EngineUnreachable, match="in time"):
            _all = [line async for line in client.stream(("header",))]


@pytest.mark.parametrize("garbage", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nnot json", b"\xff\x00"])
async def test_what_is_no_engine_is_unreachable(garbage: bytes) -> None:
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)

    async with answering(answer) as client:
        with pytest.raises(EngineUnreachable):
            await client.hello()


async def test_following_reconnects_and_starts_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.client.engine_client, "BACK_OFF", (0.01,))

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/hello" in request:
            await reply({"value": plain(HELLO)})(request, writer)
        else:
            writer.write(chunked(b'{"tick":{"mono":1,"wall":2}}\n'))

    told: list[object] = []
    async with answering(answer) as client, contextlib.aclosing(client.follow(("header",))) as items:
        async for item in items:
            told.append(item)
            if len(told) == 5:
                break
    assert [type(item) for item in told] == [Connected, Line, Lost, Connected, Line]


async def test_following_never_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.client.engine_client, "BACK_OFF", (0.001,))
    tries = 0
    async for item in EngineClient("/tmp/no-such-engine/s").follow(("header",)):
        assert isinstance(item, Lost)
        tries += 1
        if tries == 50:
            break
    assert tries == 50


async def test_view_is_neutralised() -> None:
    header = HeaderView("a\x1b]0;x\x07", "lab", None, None, (), "", 1, "aa", "", ("\u202e",), {})
    async with answering(reply(named(header))) as client:
        view = await client.view("header")
    assert view == replace(header, estate="a\\x1b]0;x\\x07", alarms=("\\u202e",))
