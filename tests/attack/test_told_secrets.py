"""No error says a secret: neither one of the estate that a target says again, nor what only looks like one."""

from __future__ import annotations

import asyncio
import base64

import asyncpg
import pytest

from adapters.context import AdapterContext
from adapters.databases.postgres import Access, PostgresNode
from adapters.net.http_act import HttpActor
from adapters.net.http_read import HttpReader
from adapters.net.origin import Credential, Origin
from adapters.secrets import Secret
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble, ViewFailed
from state.estate.model import Polling, SecretRef
from state.hiding import without_secrets
from tests.contract.components import serving

WORD = "correct-horse-battery-staple"
BASIC = base64.b64encode(f"rec:{WORD}".encode()).decode()
SAID = (
    f"connect postgres://rec:{WORD}@db:5432/x failed",
    f"GET http://h:9090/?token={WORD}&x=1 refused",
    f"GET http://h:9090/?api_key={WORD}",
    f"https://u:{WORD}/with/slash@h refused",
    f"bad header Authorization: Bearer {WORD}",
    f"bad header Authorization: Basic {BASIC}",
    f"ClientResponseError(request_info=RequestInfo(url=URL('http://u:{WORD}@h/'), headers={{'password': '{WORD}'}}))",
    f'{{"user": "x", "password": "{WORD}"}}',
    f"password='{WORD}' host=db",
    f"-----BEGIN EC PRIVATE KEY-----\n{WORD}\n-----END EC PRIVATE KEY-----",
    f"token eyJhbGciOiJIUzI1NiJ9.{WORD.replace('-', '')}abc.sig is expired",
    f"url=%2F%3Fsecret%3D{WORD}",
)


@pytest.mark.parametrize("said", SAID)
def test_what_looks_like_a_secret_is_in_no_error(said: str) -> None:
    for error in (
        ReadFailure(Trouble.ERROR, said),
        EffectRefused(said),
        EffectUnknown(said),
        ViewFailed("x", said),
    ):
        shown = f"{error} {error!r} {getattr(error, 'message', '')}"
        for word in (WORD, WORD.replace("-", ""), BASIC):
            assert word not in shown
        assert "***" in shown


@pytest.mark.parametrize(
    "said",
    [
        "PostgreSQL n1: password authentication failed for user rec",
        "n1: token of the cluster is of scope main",
        "127.0.0.1:8008 answered 401 to /patroni",
        "HAProxy did not answer within 0.9 s",
        'line 3 of the metrics cannot be read: http_requests_total{path="/a"} x',
    ],
)
def test_other_words_stay(said: str) -> None:
    assert without_secrets(said) == said


async def test_a_target_that_says_what_it_was_sent_gives_nothing_away() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = b"you sent " + base64.b64encode(head) + b" " + head.replace(b"\r\n", b" ") + WORD.encode()
        writer.write(b"HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async with serving(serve) as port:
        url, credential = f"http://127.0.0.1:{port}", Credential(Secret(WORD), "rec")
        reply = await HttpActor(Origin.of(url), credential=credential).send("POST", "/x", {}, deadline=60)
        assert "***" in reply.text
        for part in (WORD, WORD[:8], WORD[-8:]):
            assert part not in reply.text


async def test_a_source_hides_the_secrets_of_its_estate(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", WORD)
    context = AdapterContext(tmp_path, Polling())
    context.secret(SecretRef(env="WORD"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = f"no such user, or wrong word {WORD}".encode()
        writer.write(b"HTTP/1.1 500 X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async with serving(serve) as port:
        reader = HttpReader(f"http://127.0.0.1:{port}")

        async def ask(*, deadline: float) -> bytes:
            return await reader.get("/x", deadline=deadline)

        with pytest.raises(ReadFailure, match=r"wrong word \*\*\*$") as failure:
            await context.source("x", ask).read()  # type: ignore[arg-type]
        assert WORD[:8] not in f"{failure.value!r}"
        await reader.close()


async def test_a_server_of_postgres_that_says_the_password_again(tmp_path) -> None:
    """A server that asks for the password in plain text gets it, over TLS or loopback; its error is still shown."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(4), "big")
        await reader.readexactly(size - 4)
        writer.write(b"R" + (8).to_bytes(4, "big") + (3).to_bytes(4, "big"))
        await reader.readexactly(1)
        size = int.from_bytes(await reader.readexactly(4), "big")
        word = (await reader.readexactly(size - 4)).rstrip(b"\0")
        fields = b"SFATAL\0C28P01\0Mwrong word " + word + b"\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        await writer.drain()
        writer.close()

    async with serving(serve) as port:
        (tmp_path / "word").write_text(WORD)
        (tmp_path / "word").chmod(0o600)
        context = AdapterContext(tmp_path, Polling())
        node = PostgresNode("n1", "127.0.0.1", port, Access("rec", "postgres", context.secret(SecretRef(file="word"))))
        with pytest.raises(ReadFailure) as bare:
            await node.read(deadline=60)
        assert isinstance(bare.value.__cause__, asyncpg.PostgresError)
        with pytest.raises(ReadFailure, match=r"wrong word \*\*\*") as failure:
            await context.source("postgres:x/n1", node.read).read()
        assert WORD[:8] not in f"{failure.value}"
