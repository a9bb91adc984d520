"""One question to HAProxy's runtime API: one connection, one line, the whole answer until it closes.

Protocol: HAProxy management guide, section 9.3 "Unix Socket commands".
"""

from __future__ import annotations

import asyncio

from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble

MAX_ANSWER = 64 << 20
PROMPT = 2.0
"""Seconds from deciding on a command to the connection it leaves by; later, nothing is sent."""
Address = str | tuple[str, int]


class _Dialogue(asyncio.Protocol):
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


async def _dial(address: Address) -> _Dialogue:
    loop = asyncio.get_running_loop()
    if isinstance(address, str):
        return (await loop.create_unix_connection(_Dialogue, address))[1]
    return (await loop.create_connection(_Dialogue, *address))[1]


async def _answer(dialogue: _Dialogue, line: bytes) -> bytes:
    assert dialogue.transport is not None
    dialogue.transport.write(line + b"\n")
    await dialogue.closed
    return b"".join(dialogue.chunks)


def _hang_up(dialogue: _Dialogue) -> None:
    if dialogue.transport is not None:
        dialogue.transport.abort()
    if not dialogue.closed.done():
        dialogue.closed.cancel()


async def read(address: Address, line: bytes, deadline: float) -> bytes:
    """The answer to a question that changes nothing. Raises ReadFailure."""
    try:
        async with asyncio.timeout(deadline):
            dialogue = await _dial(address)
            try:
                answer = await _answer(dialogue, line)
            finally:
                _hang_up(dialogue)
    except TimeoutError as error:
        raise ReadFailure(Trouble.TIMEOUT, f"HAProxy did not answer within {deadline:g} s") from error
    except PermissionError as error:
        raise ReadFailure(Trouble.DENIED, f"HAProxy socket: {error.strerror}") from error
    except OSError as error:
        raise ReadFailure(Trouble.ERROR, f"HAProxy socket: {error.strerror or error}") from error
    if not answer.strip():
        raise ReadFailure(Trouble.EMPTY, "HAProxy closed the connection without an answer")
    if answer.startswith(b"Permission denied"):
        raise ReadFailure(Trouble.DENIED, "HAProxy: Permission denied at this socket's level")
    return answer


async def act(address: Address, line: bytes, deadline: float) -> str:
    """Send one command and return HAProxy's words; success is an empty text.

    Raises EffectRefused when no byte was sent, EffectUnknown when some were and no whole answer came. HAProxy
    says success with a blank line, so a connection closed without any byte is a lost answer.
    """
    loop = asyncio.get_running_loop()
    end, soon = loop.time() + deadline, loop.time() + min(deadline, PROMPT)
    try:
        async with asyncio.timeout_at(soon):
            dialogue = await _dial(address)
        if loop.time() >= soon:  # this process stood still: the answer was there before the alarm was
            _hang_up(dialogue)
            raise TimeoutError
    except TimeoutError as error:
        message = f"no connection to HAProxy within {min(deadline, PROMPT):.3g} s"
        raise EffectRefused(message, "unreachable") from error
    except OSError as error:
        raise EffectRefused(f"HAProxy socket: {error.strerror or error}", "unreachable") from error
    try:
        async with asyncio.timeout_at(end):
            answer = await _answer(dialogue, line)
    except TimeoutError as error:
        raise EffectUnknown(f"HAProxy did not answer within {deadline:.3g} s", "timeout") from error
    except OSError as error:
        raise EffectUnknown(f"HAProxy socket: {error.strerror or error}", "reset") from error
    finally:
        _hang_up(dialogue)
    if not answer.endswith(b"\n"):
        raise EffectUnknown("HAProxy closed the connection without a whole answer", "reset")
    return answer.decode("utf-8", "replace").strip()
