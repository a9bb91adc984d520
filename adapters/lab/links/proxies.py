"""The proxies that links run through: streams over TCP or a Unix socket, and datagrams for DNS."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from adapters.lab.links.links import CHUNK, Mode, NetworkLink, abort

ProxyAddress = tuple[str, int] | Path
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
UPSTREAM_TIMEOUT = 2.0  # seconds; a component of the lab is on loopback and accepts at once
DATAGRAMS = 64  # requests in flight per datagram proxy


async def connect(address: ProxyAddress) -> Streams:
    """Open a stream to a TCP address or a Unix socket. Raises OSError or TimeoutError."""
    async with asyncio.timeout(UPSTREAM_TIMEOUT):
        if isinstance(address, Path):
            return await asyncio.open_unix_connection(str(address))
        return await asyncio.open_connection(*address)


async def listen(address: ProxyAddress, accept: Callable[..., None]) -> asyncio.Server:
    """Listen on a TCP address, or on a Unix socket with mode 0600. Raises OSError."""
    if isinstance(address, Path):
        address.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(accept, str(address))
        address.chmod(0o600)
        return server
    return await asyncio.start_server(accept, *address, reuse_address=True)


async def relay(link: NetworkLink, client: Streams, upstream: Streams) -> None:
    """Carry both directions of one connection under the rule of `link` until both ends are done."""
    writers = (client[1], upstream[1])
    link.opened(*writers)
    pumps = (
        _pump(link, client[0], upstream[1], answering=False),
        _pump(link, upstream[0], client[1], answering=True),
    )
    try:
        await asyncio.gather(*pumps)
    finally:
        link.closed(*writers)
        for writer in writers:
            writer.transport.abort() if writer.is_closing() else writer.close()


async def _pump(
    link: NetworkLink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answering: bool
) -> None:
    try:
        while chunk := await reader.read(CHUNK):
            writer.write(await link.shape(chunk, answering=answering))
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()  # one end closed: close the other now, not at its own timeout


class StreamProxy:
    """One listening address in front of one upstream address, under one link."""

    def __init__(self, link: NetworkLink, address: ProxyAddress, upstream: ProxyAddress) -> None:
        self.link = link
        self.address = address
        self.upstream = upstream
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        link.follow(self._follow)

    async def start(self) -> None:
        """Begin to accept. Raises OSError when the address is taken."""
        self._server = await listen(self.address, self._accept)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.link.cut(reset=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, mode: Mode) -> None:
        if mode is Mode.REFUSE and self._server is not None:
            self._server.close()
            self._server = None
            if isinstance(self.address, Path):
                self.address.unlink(missing_ok=True)
        elif mode is not Mode.REFUSE and self._server is None:
            await self.start()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: asyncio 3.11 reports the cancellation of a task that it made itself as an error.
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.serve((reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            abort(writer, reset=True)

    async def serve(self, client: Streams) -> None:
        """Serve one accepted connection. Raises OSError when the upstream does not answer."""
        await self.forward(client, self.link, b"")

    async def forward(self, client: Streams, link: NetworkLink, opening: bytes) -> None:
        """Connect upstream, send `opening` first, then relay. Raises OSError."""
        reader, writer = client
        if link.mode in (Mode.RESET, Mode.REFUSE):
            abort(writer, reset=True)
            return
        link.opened(writer)
        try:
            buffered = await link.hold(reader)
        finally:
            link.closed(writer)
        if buffered is None or writer.is_closing():
            abort(writer, reset=False)
            return
        if link.mode is Mode.GARBAGE:
            writer.write(os.urandom(64))
            await writer.drain()
            writer.close()
            return
        upstream = await connect(self.upstream)
        if opening or buffered:
            upstream[1].write(opening + buffered)
        await relay(link, client, upstream)


class DatagramProxy(asyncio.DatagramProtocol):
    """One UDP address in front of another: one request, one answer, as in DNS."""

    def __init__(self, link: NetworkLink, address: tuple[str, int], upstream: tuple[str, int]) -> None:
        self.link = link
        self.address = address
        self.upstream = upstream
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        link.follow(self._follow)

    async def start(self) -> None:
        """Begin to listen. Raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self.address)

    async def stop(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
            await asyncio.sleep(0)  # the loop closes an aborted socket in its next iteration
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, mode: Mode) -> None:
        closed = mode in (Mode.REFUSE, Mode.RESET)  # a closed port is answered by the kernel with ICMP
        if closed:
            await self.stop()
        elif self._transport is None:
            await self.start()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(self._tasks) >= DATAGRAMS or self.link.mode is Mode.BLACKHOLE:
            return
        task = asyncio.create_task(self._ask(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, question: bytes, client: tuple[str, int]) -> None:
        self.link.accepted += 1
        try:
            answer = await asyncio.wait_for(_exchange(self.upstream, question), UPSTREAM_TIMEOUT)
        except (OSError, TimeoutError):
            return  # no answer: send nothing, as a real network would
        shaped = await self.link.shape(answer, answering=True)
        if self._transport is not None:
            self._transport.sendto(shaped, client)


class _Answer(asyncio.DatagramProtocol):
    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


async def _exchange(address: tuple[str, int], question: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Answer(answer), remote_addr=address)
    try:
        transport.sendto(question)
        return await answer
    finally:
        transport.close()
