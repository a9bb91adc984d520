"""TLS as it is verified on a real connection: reading and acting alike."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from adapters.net.examined import look_at_http
from adapters.net.http_act import HttpActor
from adapters.net.http_read import HttpReader
from adapters.net.origin import Credential, Origin
from adapters.secrets import Secret
from state.diagnosis.model import Asked, Subject
from state.errors import EffectRefused, ReadFailure, Trouble
from state.health import Health


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its key; it is its own CA."""

    cert: Path
    key: Path


def certificate(folder: Path, alternative: str) -> Certificate:
    place = Path(tempfile.mkdtemp(dir=folder))
    made = Certificate(place / "cert.pem", place / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", f"subjectAltName={alternative}", "-keyout", made.key, "-out", made.cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


@asynccontextmanager
async def listening(made: Certificate, heard: list[bytes]) -> AsyncIterator[str]:
    """An HTTPS server with this certificate; what it decrypts is heard."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.cert, made.key)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def ours(folder: Path) -> Certificate:
    return certificate(folder, "IP:127.0.0.1")


@pytest.fixture(scope="module")
def of_another_host(folder: Path) -> Certificate:
    return certificate(folder, "DNS:db.example")


async def test_a_certificate_of_the_given_ca_is_trusted(ours: Certificate) -> None:
    heard: list[bytes] = []
    async with listening(ours, heard) as url:
        reader = HttpReader(url, ca=ours.cert)
        assert await reader.get("/x", deadline=2) == b"ok"
        await reader.close()
        assert (await HttpActor(Origin.of(url), ours.cert).send("POST", "/x", {}, deadline=2)).text == "ok"
    assert len(heard) == 2


async def test_without_a_ca_this_machine_is_not_believed_either(ours: Certificate) -> None:
    heard: list[bytes] = []
    async with listening(ours, heard) as url:
        reader = HttpReader(url)
        with pytest.raises(ReadFailure, match="TLS refused: self-signed certificate"):
            await reader.get("/x", deadline=60)
        await reader.close()
    assert heard == []


@pytest.mark.parametrize("wrong", ["other ca", "other host"])
async def test_any_other_certificate_is_refused_before_a_credential_is_sent(
    wrong: str, ours: Certificate, of_another_host: Certificate
) -> None:
    heard: list[bytes] = []
    shown, ca = (ours, of_another_host) if wrong == "other ca" else (of_another_host, of_another_host)
    credential = Credential(Secret("t0ken"))
    async with listening(shown, heard) as url:
        reader = HttpReader(url, ca=ca.cert, credential=credential)
        with pytest.raises(ReadFailure, match="TLS refused") as failure:
            await reader.get("/x", deadline=2)
        await reader.close()
        with pytest.raises(EffectRefused, match="TLS refused") as refusal:
            await HttpActor(Origin.of(url), ca.cert, credential).send("POST", "/x", {}, deadline=2)
    assert failure.value.trouble is Trouble.ERROR
    assert refusal.value.code == "unreachable"
    assert heard == []


@contextmanager
def wanting(made: Certificate) -> Iterator[str]:
    """An HTTPS server that wants a certificate of its clients, as Patroni's is made."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(made.cert))
    context.load_cert_chain(made.cert, made.key)
    context.verify_mode = ssl.CERT_REQUIRED

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Nothing: each refused client is one."""

    with Quiet(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


async def test_a_server_that_wants_a_client_certificate_is_named_as_such(ours: Certificate) -> None:
    """With TLS 1.3 the refusal comes after the handshake, as an error of the system to the client."""
    with wanting(ours) as url:
        async with asyncio.timeout(120):
            while True:  # it may have closed the connection before its alert is read
                reader = HttpReader(url, ca=ours.cert)
                found, _ = await look_at_http(Subject("databases/x/a"), reader, "/patroni", deadline=60)
                await reader.close()
                (answer,) = [each for each in found if each.asked is Asked.REACHED]
                assert "not permitted" not in answer.reason
                if "TLS" in answer.reason:
                    break
    assert answer.health is Health.FAIL
    assert "TLS refused: the server says certificate required" in answer.reason
    assert answer.next == "it asks for a client certificate: cert and key of the entry"
