"""A certificate that is looked for in vain twice is unreadable, until it is read again."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.net.certificate_watch import AGAIN, EVERY, SOON, CertificateWatch
from adapters.net.origin import tls_context
from tests.support.certificates import Authority, Certified

NOBODY = 1
"""A port at which nothing listens."""


class Hand:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def refusing() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that serves no TLS to whoever asks for it as PostgreSQL's clients do; with what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(8))
        writer.write(b"N")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


async def test_two_looks_in_vain_are_told_and_asked_again_after_a_while() -> None:
    clock = Hand()
    async with refusing() as (port, asked):
        watch = CertificateWatch("127.0.0.1", port, postgres=True, via=None, clock=clock)
        seen = []
        for passed in (0.0, SOON - 0.1, 0.2, AGAIN - 1.0, 2.0):
            clock.now += passed
            assert await watch.days(deadline=5) is None
            seen.append((len(asked), watch.unread))
    assert seen == [(1, False), (1, False), (2, True), (2, True), (3, True)]


@pytest.mark.parametrize("days", [40, -3])
async def test_what_was_read_stays_told_while_it_cannot_be_read(tmp_path: Path, days: int) -> None:
    clock, made = Hand(), Authority(tmp_path).issue("a", days=days)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.cert, made.key)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    watch = CertificateWatch("127.0.0.1", port, postgres=False, via=None, clock=clock)
    async with server:
        assert (await watch.days(deadline=5), watch.unread) == (days - 1, False)
    for passed in (EVERY + 1, SOON + 1):
        clock.now += passed
        assert await watch.days(deadline=5) == days - 1
    assert watch.unread
    again = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    clock.now += AGAIN + 1
    async with again:
        assert (await watch.days(deadline=5), watch.unread) == (days - 1, False)


async def test_a_server_behind_a_socket_file_has_none() -> None:
    watch = CertificateWatch("/run/postgresql", NOBODY, postgres=True, via=None)
    assert (await watch.days(deadline=1), await watch.days(deadline=1), watch.unread) == (None, None, False)


async def test_replication_trap_68_a_leaf_of_another_ca_is_not_believed_and_its_end_is_told(tmp_path: Path) -> None:
    """The CA and the leaf must match: after a renewal by another CA the open connections say nothing of it."""
    clock, folders = Hand(), [tmp_path / each for each in ("ours", "other")]
    for folder in folders:
        folder.mkdir()
    ours, other = map(Authority, folders)
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    def serves(made: Certified) -> None:
        shown.load_cert_chain(made.cert, made.key)
        clock.now += EVERY + 1

    serves(ours.issue("a", days=40))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=shown)
    port = server.sockets[0].getsockname()[1]
    watch = CertificateWatch(
        "127.0.0.1", port, postgres=False, via=None, trusted=lambda: tls_context(ours.ca), clock=clock
    )
    async with server:
        assert (await watch.days(deadline=5), watch.refused) == (39, "")
        serves(other.issue("a", days=50))
        assert (await watch.days(deadline=5), watch.unread) == (49, False)
        assert watch.refused.startswith("TLS refused: ")
        serves(ours.issue("b", days=60, address="127.0.0.9"))
        assert (await watch.days(deadline=5), watch.refused) == (59, watch.refused)
        assert "127.0.0.1" in watch.refused, "a leaf of our CA for another host"
        serves(ours.issue("c", days=-2))
        assert (await watch.days(deadline=5), watch.refused) == (-3, ""), "its end is told by its days"
        serves(ours.issue("d", days=70))
        assert (await watch.days(deadline=5), watch.refused) == (69, "")
