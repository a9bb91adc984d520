"""An engine on another host, reached through ssh: a local socket whose every connection is a `recovery bridge` there.

The remote engine sees the account that ssh logged in; nothing listens on a network. Runs in a thread of its own, so
the console's start does not wait for it. ssh shares one connection (ControlMaster), so only the first needs a login.

A request is handed over only after the bridge has said that it reached the engine (`READY`). Until then ssh has failed
and nothing was sent: the local client gets ssh's own message as an answer, with exit code 6.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from state.errors import ExitCode, RecoveryError
from state.shell_words import for_any_shell
from state.text import clean

HOST = re.compile(
    r"ssh://((?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?)"
    r"(?:([A-Za-z0-9][A-Za-z0-9.-]*)|\[([0-9A-Fa-f:.]{0,45}:[0-9A-Fa-f:.]{0,45}(?:%[A-Za-z0-9._-]+)?)\])(?::([0-9]{1,5}))?/?"
)
LAST_PORT = 65_535
READY = b"recovery-bridge ready\n"
"""What a bridge writes first, once it is connected to the engine."""
BEFORE_READY = 64 * 1024  # bytes a login shell may print before it
CHUNK = 64 * 1024
STOPPING = 3.0  # seconds
CONNECTING = 8  # seconds; less than a client waits for an answer, so that ssh's message comes first
OPTIONS = (
    "BatchMode=yes",  # nobody is asked for a password behind a screen or in a script
    f"ConnectTimeout={CONNECTING}",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
)
SSH_FAILED = 255  # ssh(1): its own exit code when it, not the remote command, failed
NO_COMMAND = 127  # sh(1): the command was not found
TOLD = 2000  # characters of ssh's stderr that are shown


class FarAddressError(RecoveryError):
    """The address of the remote host is invalid."""

    title = "Bad address"
    kind = "usage"
    hint = "Write ssh://[USER@]HOST[:PORT]."
    exit_code = ExitCode.USAGE


class FarError(RecoveryError):
    """ssh did not reach a `recovery` on the other host; nothing was sent."""

    title = "Host not reached"
    kind = "unreachable"
    exit_code = ExitCode.UNREACHABLE

    def __init__(self, message: str, hint: str, exit_code: ExitCode = ExitCode.UNREACHABLE) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code


def _place(address: str) -> tuple[str, list[str]]:
    """The host with its user, and the options for its port. No part of an address becomes an option of ssh."""
    found = HOST.fullmatch(address)
    if found is None:
        raise FarAddressError(f"{address!r} is not a valid host")
    user, name, number, port = found.groups()
    if port and not 1 <= int(port) <= LAST_PORT:
        raise FarAddressError(f"{address!r}: a port is 1 to {LAST_PORT}")
    return f"{user}{name or number}", ["-p", port] if port else []


def ssh_command(address: str, command: list[str], *options: str) -> list[str]:
    """The ssh command that runs `command` there. Raises FarAddressError."""
    host, port = _place(address)
    settings = [word for option in (*OPTIONS, *options) for word in ("-o", option)]
    return ["ssh", "-T", *settings, *port, "--", host, for_any_shell(command)]


def bridge_command(estate: str | None, *, observe: bool) -> list[str]:
    """The command of one connection."""
    return ["recovery", "bridge", *(["--estate", estate] if estate else []), *(["--observe"] if observe else [])]


def run_far(address: str, argv: list[str], tell: Callable[[str], None]) -> int:
    """Run a verb on the other host; its exit code. `tell` gets what it writes to stderr.

    Raises FarError, FarAddressError.
    """
    try:
        done = subprocess.run(
            ssh_command(address, ["recovery", *argv]), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
    except OSError as error:
        raise FarError(f"ssh: {error.strerror}", "Install the ssh client.") from error
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode in (SSH_FAILED, NO_COMMAND):
        raise far_error(address, done.returncode, said)
    for line in said.splitlines():
        tell(clean(line))
    return done.returncode


def far_error(address: str, code: int | None, said: str) -> FarError:
    """ssh's own message, and what to do about it."""
    host, port = _place(address)
    by_hand = shlex.join(["ssh", *port, host, "recovery", "engine", "status"])
    lines = [clean(line) for line in said[-TOLD:].splitlines() if line.strip()]
    message = "; ".join(lines) or f"ssh ended with code {code} and no message"
    if code == NO_COMMAND:
        hint = f"Install recovery there, in the PATH of a shell without a login. By hand: {by_hand}"
    elif code == SSH_FAILED:
        hint = f"No password and no host key is asked for here: log in once by hand, with a key: {by_hand}"
    elif code == ExitCode.UNREACHABLE:
        hint = f"Start one there: recovery engine start --host {address}"
    else:
        hint = f"See what it answers by hand: {by_hand}"
    missing = code == ExitCode.USAGE
    return FarError(f"{address}: {message}", hint, ExitCode.USAGE if missing else ExitCode.UNREACHABLE)


class FarEngine:
    """The local end. As a context manager: the path of a socket that connects to the remote engine."""

    def __init__(self, address: str, *, estate: str | None = None, observe: bool = False) -> None:
        self._address = address
        self._place = _place(address)
        self._folder = tempfile.TemporaryDirectory(prefix="recovery-", dir="/tmp")
        self.path = Path(self._folder.name) / "far.sock"
        self._control = Path(self._folder.name) / "control"
        shared = ("ControlMaster=auto", f"ControlPath={self._control}", "ControlPersist=10")
        self._command = ssh_command(address, bridge_command(estate, observe=observe), *shared)
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
        if self._control.exists():  # else the shared connection would stay for a while
            end = ["ssh", "-O", "exit", "-o", f"ControlPath={self._control}", "--", self._place[0]]
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(end, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=STOPPING)
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
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            writer.write(_answer(FarError(f"ssh: {error.strerror}", "Install the ssh client.")))
            writer.close()
            return
        try:
            if await _ready(process):
                await _carry(reader, writer, process)
            else:
                writer.write(_answer(far_error(self._address, *await _ended(process))))
                await writer.drain()
        except ConnectionError:
            return  # the client has gone
        finally:
            writer.close()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)  # Popen would also reap it, which only the loop may
            await process.wait()


async def _ready(process: asyncio.subprocess.Process) -> bool:
    """Whether the bridge has reached the engine. What a login shell prints before that is left out."""
    assert process.stdout is not None
    seen = 0
    with contextlib.suppress(ValueError):  # a line that is too long is not the bridge's
        while line := await process.stdout.readline():
            seen += len(line)
            if line.endswith(READY):
                return True
            if seen > BEFORE_READY:
                break
    return False


async def _ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """How ssh ended, and its message. The shared connection may keep stderr open, so its end is not waited for."""
    assert process.stderr is not None
    said = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOPPING):
            await process.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            while chunk := await process.stderr.read(CHUNK):
                said += chunk
    return process.returncode, said.decode("utf-8", "replace")


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, process: asyncio.subprocess.Process
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    copies = [
        asyncio.ensure_future(_copy(reader, process.stdin)),
        asyncio.ensure_future(_copy(process.stdout, writer)),
        asyncio.ensure_future(_copy(process.stderr, None)),
    ]
    try:
        await asyncio.wait(copies[:2], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(copies[1:2], timeout=STOPPING)
    finally:
        for copy in copies:
            copy.cancel()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter | None) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(CHUNK):
            if sink is not None:
                sink.write(chunk)
                await sink.drain()


def _answer(error: FarError) -> bytes:
    """An error as the engine would answer it."""
    told = {
        "kind": error.kind,
        "title": error.title,
        "message": str(error),
        "hint": error.hint,
        "exit_code": int(error.exit_code),
    }
    body = json.dumps(told).encode()
    head = f"HTTP/1.1 502 ssh\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
