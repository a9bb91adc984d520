"""One question to one name server over UDP, over TCP where the answer is cut; read beside the event loop.

Names in an answer may point into it: 500 bytes can stand for thousands of labels, and 64 kB took 20 s to read. So an
answer is bounded in bytes and records before it is read, and read in a thread of its own.
"""

from __future__ import annotations

import asyncio
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import dns.exception
import dns.message

from state.errors import ReadFailure, Trouble

HEADER = struct.Struct("!HHHHHH")
CUT = 0x0200
"""The flag of an answer that did not fit (TC)."""
LARGEST, MOST_RECORDS = 16 << 10, 250
QUICK = 128
"""Bytes of an answer that are read at once: most have fewer."""
READER = ThreadPoolExecutor(1, "dns answer")


class _Datagrams(asyncio.DatagramProtocol):
    """Waits for the answer with the number of the question; the kernel takes none from another address."""

    def __init__(self, number: int) -> None:
        self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._number = number

    def datagram_received(self, data: bytes, _address: object) -> None:
        fits = len(data) >= HEADER.size and HEADER.unpack_from(data)[0] == self._number
        if fits and not self.heard.done():
            self.heard.set_result(data)

    def error_received(self, error: Exception) -> None:
        if not self.heard.done():
            self.heard.set_exception(error)


async def ask_server(query: dns.message.Message, host: str, port: int) -> dns.message.Message:
    """The answer to a question. Has no limit of time. Raises OSError, EOFError and DNSException, and ReadFailure
    for an answer that is longer than any that is asked for here."""
    wire = query.to_wire()
    answer = await _over_udp(wire, query.id, host, port)
    if HEADER.unpack_from(answer)[1] & CUT:
        answer = await _over_tcp(wire, host, port)
    work = partial(understood_answer, answer, query)
    if len(answer) <= QUICK:
        return work()
    return await asyncio.get_running_loop().run_in_executor(READER, work)


def understood_answer(wire: bytes, query: dns.message.Message) -> dns.message.Message:
    """What the bytes of an answer say. Raises DNSException and ReadFailure."""
    records = sum(HEADER.unpack_from(wire)[3:]) if len(wire) >= HEADER.size else 0
    if len(wire) > LARGEST or records > MOST_RECORDS:
        raise ReadFailure(Trouble.ERROR, f"an answer of {len(wire)} bytes and {records} records is not read")
    try:
        answer = dns.message.from_wire(wire, keyring=query.keyring, request_mac=query.mac)
    except (ValueError, IndexError, struct.error) as error:  # of the library, for bytes that are no answer
        raise dns.exception.FormError from error
    if not query.is_response(answer):
        raise dns.exception.FormError
    return answer


async def _over_udp(wire: bytes, number: int, host: str, port: int) -> bytes:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Datagrams(number), remote_addr=(host, port))
    try:
        transport.sendto(wire)
        return await protocol.heard
    finally:
        transport.close()


async def _over_tcp(wire: bytes, host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(struct.pack("!H", len(wire)) + wire)
        await writer.drain()
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        if not HEADER.size <= size <= LARGEST:
            raise ReadFailure(Trouble.ERROR, f"an answer of {size} bytes is not read")
        return await reader.readexactly(size)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
