"""An engine on another host, reached through ssh: a local socket whose every connection is a `recovery bridge` there.

The remote engine sees the account that ssh logged in; nothing listens on a network. Runs in a thread of its own, so
the console's start does not wait for it. ssh shares one connection (ControlMaster), so only the first needs a login.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from state.errors import ExitCode, RecoveryError

HOST = re.compile(r"ssh://((?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*)(?::([0-9]{1,5}))?/?")
CHUNK = 64 * 1024
STOPPING = 3.0  # seconds


class FarAddressError(RecoveryError):
    """The address of the remote host is invalid."""

    title = "Bad address"
    hint = "Write ssh://[USER@]HOST[:PORT]."
    exit_code = ExitCode.USAGE


def ssh_command(address: str, control: Path, *, estate: str | None, observe: bool) -> list[str]:
    """The ssh command for each connection. Raises FarAddressError; no part of an address becomes an option."""
    found = HOST.fullmatch(address)
    if found is None:
        raise FarAddressError(f"{address!r} is not a valid host")
    command = ["recovery", "bridge", *(["--estate", estate] if estate else []), *(["--observe"] if observe else [])]
    shared = ["-o", "ControlMaster=auto", "-o", f"ControlPath={control}", "-o", "ControlPersist=10"]
    port = ["-p", found[2]] if found[2] else []
    return ["ssh", "-T", "-o", "BatchMode=yes", *shared, *port, "--", found[1], shlex.join(command)]


class FarEngine:
    """The local end. As a context manager: the path of a socket that connects to the remote engine."""

    def __init__(self, address: str, *, estate: str | None = None, observe: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="recovery-", dir="/tmp")
        self.path = Path(self._folder.name) / "far.sock"
        self._command = ssh_command(address, Path(self._folder.name) / "control", estate=estate, observe=observe)
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="far-engine", daemon=True)
        self._ending: asyncio.Event | None = None

    def __enter__(self) -> Path:
        self._thread.start()
        self._listening.wait(STOPPING)
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ending is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(STOPPING)
        self._folder.cleanup()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._ending = asyncio.Event()
        clients: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._bridge(reader, writer))
            clients.add(task)
            task.add_done_callback(clients.discard)

        server = await asyncio.start_unix_server(accept, str(self.path))
        self._listening.set()
        await self._ending.wait()
        server.close()
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _bridge(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one ssh."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
        assert process.stdin is not None
        assert process.stdout is not None
        copies = [
            asyncio.ensure_future(_copy(reader, process.stdin)),
            asyncio.ensure_future(_copy(process.stdout, writer)),
        ]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(copies[1:], timeout=STOPPING)
        finally:
            for copy in copies:
                copy.cancel()
            writer.close()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(CHUNK):
            sink.write(chunk)
            await sink.drain()
