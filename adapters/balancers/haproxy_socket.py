"""One query to HAProxy's runtime API: one connection, one line, the whole answer until it closes.

Protocol: HAProxy management guide, section 9.3 "Unix Socket commands".
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable

from adapters.net.late import forget_soon
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.units import time_limit

MAX_ANSWER = 64 << 20
CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
PROMPT = 2.0
"""Seconds within which a command must have its connection; later, nothing is sent."""
SEVERITY = re.compile(rb"\[(?:[a-z]+|[0-7])\]: ?")
"""What stands before a message when the socket has `severity-output`."""
NO_WORKER = b"Can't find the target PID"
"""What the master answers when it has no such worker, as after a reload that failed."""
UNKNOWN = b"Unknown command"
"""How an answer to a foreign command begins. A master may keep the connection open after it."""
MASTER = "of a master's socket the estate needs the worker, as in `socket: /run/haproxy-master.sock@1`"
Address = str | tuple[str, int]


class _Connection(asyncio.Protocol):
    """Collects an answer; `closed` ends with None, or with the error that cut the connection."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.chunks.append(data)
        self.size += len(data)
        if len(self.chunks) == 1 and data.startswith(NO_WORKER) and data.endswith(b"\n"):
            self.connection_lost(None)  # the master may keep the connection open after this line
        if self.size > MAX_ANSWER and self.transport is not None:
            self.chunks.clear()
            self.connection_lost(OSError(f"the answer is longer than {MAX_ANSWER >> 20} MiB"))
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self.closed.done():
            return
        if error is None:
            self.closed.set_result(None)
        else:
            self.closed.set_exception(error)


async def _connect(address: Address) -> _Connection:
    loop = asyncio.get_running_loop()
    if isinstance(address, str):
        return (await loop.create_unix_connection(_Connection, address))[1]
    return (await loop.create_connection(_Connection, *address))[1]


async def _answer(connection: _Connection, line: bytes, last: bool) -> bytes:
    assert connection.transport is not None
    connection.transport.write(line + b"\n")
    if last:
        connection.transport.write_eof()
    await connection.closed
    return b"".join(connection.chunks)


def _abort(connection: _Connection) -> None:
    if connection.transport is not None:
        connection.transport.abort()
    if not connection.closed.done():
        connection.closed.cancel()


async def read(
    address: Address, line: bytes, deadline: float, *, last: bool = False, heard: Callable[[int], None] | None = None
) -> bytes:
    """The answer to a query that changes nothing. Raises ReadFailure.

    `last` says that no line follows, which the master's socket waits for before it closes. `heard` is told the process
    that listens at the other end of a Unix socket, as the kernel names it; 0 where it does not.
    """
    connection: _Connection | None = None
    try:
        async with asyncio.timeout(deadline):
            connection = await _connect(address)
            if heard is not None:
                heard(_listener(connection))
            try:
                answer = await _answer(connection, line, last)
            finally:
                _abort(connection)
    except TimeoutError as error:
        if connection is not None and b"".join(connection.chunks[:1]).startswith(UNKNOWN):
            raise ReadFailure(Trouble.ERROR, f"HAProxy does not know the command; {MASTER}") from error
        raise ReadFailure(Trouble.TIMEOUT, f"HAProxy did not answer within {time_limit(deadline)}") from error
    except PermissionError as error:
        raise ReadFailure(Trouble.DENIED, f"HAProxy socket: {error.strerror}") from error
    except OSError as error:
        raise ReadFailure(Trouble.UNREACHABLE, f"HAProxy socket: {error.strerror or error}") from error
    if not answer.strip():
        raise ReadFailure(Trouble.EMPTY, "HAProxy closed the connection without an answer")
    if answer.startswith(NO_WORKER):
        raise ReadFailure(Trouble.UNREACHABLE, f"HAProxy's master: {answer[:100].decode('utf-8', 'replace').strip()}")
    if _message(answer[:100]).startswith(b"Permission denied"):
        raise ReadFailure(Trouble.DENIED, "HAProxy: Permission denied at the level of this socket")
    return answer


async def act(address: Address, line: bytes, deadline: float, *, last: bool = False) -> str:
    """Send one command and return HAProxy's answer; success is an empty text. `last` as in `read`.

    Raises EffectRefused when no byte was sent, EffectUnknown when some were and no complete answer came. HAProxy
    reports success with a blank line, so a connection closed without any byte is a lost answer.
    """
    loop = asyncio.get_running_loop()
    end, soon = loop.time() + deadline, loop.time() + min(deadline, PROMPT)
    try:
        async with asyncio.timeout_at(soon):
            connection = await _connect(address)
        if connection.transport is not None:
            forget_soon(connection.transport)
        if loop.time() >= soon:  # this process was suspended: the connection came before the timer fired
            _abort(connection)
            raise TimeoutError
    except TimeoutError as error:
        message = f"no connection to HAProxy within {time_limit(min(deadline, PROMPT))}"
        raise EffectRefused(message, "unreachable") from error
    except OSError as error:
        raise EffectRefused(f"HAProxy socket: {error.strerror or error}", "unreachable") from error
    try:
        async with asyncio.timeout_at(end):
            answer = await _answer(connection, line, last)
    except TimeoutError as error:
        raise EffectUnknown(f"HAProxy did not answer within {time_limit(deadline)}", "timeout") from error
    except OSError as error:
        raise EffectUnknown(f"HAProxy socket: {error.strerror or error}", "reset") from error
    finally:
        _abort(connection)
    if not answer.endswith(b"\n"):
        raise EffectUnknown("HAProxy closed the connection without a complete answer", "reset")
    return _message(answer).decode("utf-8", "replace").strip()


def _listener(connection: _Connection) -> int:
    """The process that listens at the other end of a Unix socket (unix(7), SO_PEERCRED)."""
    peer: socket.socket | None = connection.transport.get_extra_info("socket") if connection.transport else None
    if peer is None or peer.family != socket.AF_UNIX:
        return 0
    pid: int = CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))[0]
    return pid


def _message(answer: bytes) -> bytes:
    severity = SEVERITY.match(answer)
    return answer[severity.end() :] if severity else answer
