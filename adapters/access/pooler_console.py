"""PgBouncer's own console: PostgreSQL's protocol 3.0 with simple queries only, which asyncpg does not read rows from.

Sources: PostgreSQL manual, "Message Flow" and "SASL Authentication"; RFC 5802, RFC 7677; PgBouncer, "Admin console".
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import struct
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

from state.errors import ReadFailure, Trouble
from state.text import clean

VERSION = 196_608
LONGEST = 1 << 22
"""Bytes of one message: ten thousand clients need less."""
MOST_ROWS = 20_000
MOST_ITERATIONS = 1_000_000
DATABASE = "pgbouncer"


@asynccontextmanager
async def pooler_console(
    host: str, port: int, user: str, password: str, *, deadline: float
) -> AsyncIterator[PoolerConsole]:
    """A session of the console. Raises ReadFailure."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(deadline):
            reader, writer = await asyncio.open_connection(host, port)
            made = PoolerConsole(reader, writer)
            await made.log_in(user, password)
            yield made
    except TimeoutError as error:
        raise ReadFailure(Trouble.TIMEOUT, f"it did not answer within {deadline:g} s") from error
    except (OSError, EOFError) as error:
        raise ReadFailure(Trouble.ERROR, clean(str(error) or type(error).__name__, 200)) from error
    except (struct.error, UnicodeDecodeError, ValueError, IndexError, KeyError) as error:
        raise ReadFailure(Trouble.ERROR, f"its answer is not as expected ({type(error).__name__})") from error
    finally:
        if writer is not None:
            writer.transport.abort()


class PoolerConsole:
    """One session. What is not as the protocol says raises ValueError, struct.error and EOFError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def log_in(self, user: str, password: str) -> None:
        """Raises ReadFailure where it refuses."""
        texts = ("user", user, "database", DATABASE, "application_name", "recovery")
        body = b"".join(each.encode() + b"\0" for each in texts) + b"\0"
        self._writer.write(struct.pack("!ii", len(body) + 8, VERSION) + body)
        exchange = ScramExchange(password)
        while True:
            kind, body = await self._message()
            if kind == b"Z":
                return
            if kind == b"R":
                self._authenticate(body, user, password, exchange)

    def _authenticate(self, body: bytes, user: str, password: str, exchange: ScramExchange) -> None:
        (code,) = struct.unpack_from("!i", body)
        rest = body[4:]
        if code == 3:
            raise ReadFailure(Trouble.DENIED, "it asks for the password in the clear, which is not sent")
        if code == 5:
            inner = hashlib.md5(f"{password}{user}".encode(), usedforsecurity=False).hexdigest()
            self._send(b"p", b"md5" + _md5_hex(inner.encode() + rest[:4]) + b"\0")
        elif code == 10:
            first = exchange.first()
            self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
        elif code == 11:
            self._send(b"p", exchange.final(rest))
        elif code == 12:
            exchange.verify(rest)
        elif code != 0:
            raise ReadFailure(Trouble.DENIED, f"it asks for authentication {code}, which is not known here")

    async def show(self, what: str) -> Sequence[Mapping[str, str]]:
        """The rows of SHOW. Raises ReadFailure where it refuses."""
        self._send(b"Q", f"SHOW {what}".encode() + b"\0")
        names: list[str] = []
        rows: list[Mapping[str, str]] = []
        while True:
            kind, body = await self._message()
            if kind == b"Z":
                return rows
            if kind == b"T":
                names = list(_columns(body))
            elif kind == b"D":
                rows.append(dict(zip(names, _values(body), strict=True)))
            if len(rows) > MOST_ROWS:
                raise ValueError("too many rows")

    def _send(self, kind: bytes, body: bytes) -> None:
        self._writer.write(kind + struct.pack("!i", len(body) + 4) + body)

    async def _message(self) -> tuple[bytes, bytes]:
        head = await self._reader.readexactly(5)
        (length,) = struct.unpack_from("!i", head, 1)
        if not 4 <= length <= LONGEST:
            raise ValueError("a message of an impossible length")
        body = await self._reader.readexactly(length - 4)
        if head[:1] == b"E":
            raise ReadFailure(Trouble.DENIED, _refusal(body))
        return head[:1], body


def _md5_hex(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


def _refusal(body: bytes) -> str:
    """The message of an ErrorResponse, cleaned."""
    fields = {each[:1]: each[1:].decode("utf-8", "replace") for each in body.split(b"\0") if each}
    return clean(fields.get(b"M", "it refused without a reason"), 200)


def _columns(body: bytes) -> Iterator[str]:
    (count,) = struct.unpack_from("!h", body)
    at = 2
    for _ in range(count):
        end = body.index(b"\0", at)
        yield body[at:end].decode()
        at = end + 19


def _values(body: bytes) -> Iterator[str]:
    """Texts; what is null is empty."""
    (count,) = struct.unpack_from("!h", body)
    at = 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        yield body[at : at + length].decode() if length >= 0 else ""
        at += max(length, 0)


class ScramExchange:
    """The client's side of SCRAM-SHA-256, without channel binding."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._nonce = secrets.token_urlsafe(18)
        self._server_signature = b""

    def first(self) -> bytes:
        """The first message of the client."""
        return f"n,,n=,r={self._nonce}".encode()

    def final(self, server_first: bytes) -> bytes:
        """The proof. Raises ValueError for a nonce that is not ours, or a demand that is out of bounds."""
        told = server_first.decode()
        fields = dict(each.split("=", 1) for each in told.split(","))
        iterations = int(fields["i"])
        if not fields["r"].startswith(self._nonce) or not 1 <= iterations <= MOST_ITERATIONS:
            raise ValueError("not an answer to our nonce")
        salt = base64.b64decode(fields["s"], validate=True)
        salted = hashlib.pbkdf2_hmac("sha256", self._password.encode(), salt, iterations)
        client = hmac.digest(salted, b"Client Key", "sha256")
        without = f"c=biws,r={fields['r']}"
        signed = f"n=,r={self._nonce},{told},{without}".encode()
        signature = hmac.digest(hashlib.sha256(client).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client, signature, strict=True))
        self._server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        return f"{without},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, server_final: bytes) -> None:
        """Raises ValueError unless the server knows the password's verifier too."""
        fields = dict(each.split("=", 1) for each in server_final.decode().split(","))
        if not hmac.compare_digest(base64.b64decode(fields["v"], validate=True), self._server_signature):
            raise ValueError("the server does not prove that it knows the password")
