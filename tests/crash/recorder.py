"""A relay between the engine and a target: counts the commands that change something, may answer in its place."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adapters.lab.links.proxies import ProxyAddress, connect

CHANGING = (b"set server ", b"set map ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ")
"""How a command that changes its target begins, in HAProxy's protocol and in HTTP."""
TURN = 0.02
"""Seconds in which the loop does what was scheduled."""

Answer = Callable[[bytes], bytes | None]
"""What to say in the target's place; None = let the command through."""


@dataclass
class Recorder:
    """What passed. `on_effect` is called before a command that changes something is let through. `answer` is what such
    a command is answered with here, `told` what a question is."""

    on_effect: Callable[[str], None] = lambda command: None
    answer: Answer = lambda command: None
    told: Answer = lambda question: None
    effects: list[str] = field(default_factory=list)
    chunks: int = 0

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.effects)

    def saw(self, chunk: bytes) -> None:
        """Note one chunk on its way to the target."""
        self.chunks += 1
        if chunk.startswith(CHANGING):
            command = chunk.split(b"\n", 1)[0].decode("latin-1").strip()
            self.effects.append(command)
            self.on_effect(command)


@asynccontextmanager
async def recording(recorder: Recorder, upstream: ProxyAddress, at: Path | None = None) -> AsyncIterator[str]:
    """Listen at a socket path, or on a free loopback port, and relay to `upstream`; gives the address."""
    tasks: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _relay(recorder, reader, writer, upstream)
        except (OSError, TimeoutError):
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        writers.add(writer)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda _: writers.discard(writer))
        task.add_done_callback(lambda _: writer.close())

    if at is not None:
        server = await asyncio.start_unix_server(accept, str(at))
        listens = str(at)
    else:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        listens = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield listens
    finally:
        server.close()
        await asyncio.sleep(TURN)  # those already accepted become tasks
        for writer in writers:
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(TURN)  # aborted transports let go of their sockets


async def _relay(
    recorder: Recorder, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: ProxyAddress
) -> None:
    """Carry one connection. A command answered here never reaches the target; an empty answer resets."""
    target, sink = await connect(upstream)
    back = asyncio.create_task(_pump(target, writer))
    try:
        while chunk := await reader.read(65536):
            recorder.saw(chunk)
            said = (recorder.answer if chunk.startswith(CHANGING) else recorder.told)(chunk)
            if said is not None:
                if said:
                    writer.write(said)
                    await writer.drain()
                else:
                    writer.transport.abort()
                return
            sink.write(chunk)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
        await back
    finally:
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        sink.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The target's words to the engine; an engine that was killed is no error here."""
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()
    except OSError:
        writer.transport.abort()
