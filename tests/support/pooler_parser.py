"""What a program says that stands where PgBouncer's console should be."""

from __future__ import annotations

import asyncio
import struct

from adapters.access.pooler_console import PoolerConsole


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


WELCOME = _message(b"R", struct.pack("!i", 0)) + _message(b"Z", b"I")
COLUMN = b"name\0" + b"\0" * 18
ROW = struct.pack("!hi", 1, 3) + b"abc"
ROWS = _message(b"T", struct.pack("!h", 1) + COLUMN) + _message(b"D", ROW) + _message(b"Z", b"I")
CHALLENGE = _message(b"R", struct.pack("!i", 11) + b"r=abc,s=AAAA,i=4096")
REFUSAL = _message(b"E", b"SFATAL\0Mno such user\0\0")
POOLER_SEEDS = (WELCOME + ROWS, CHALLENGE + WELCOME, REFUSAL, _message(b"R", struct.pack("!i", 5) + b"salt") + WELCOME)


POOLER_RAISES = (EOFError, struct.error, ValueError, IndexError, KeyError)
"""What `pooler_console` of the adapter makes a ReadFailure of."""


class _Silent:
    """A writer that nobody reads."""

    def write(self, data: bytes) -> None:
        """Nothing."""


def pooler_console(data: bytes) -> None:
    """Log in and ask."""
    asyncio.run(_asked(data))


async def _asked(data: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    console = PoolerConsole(reader, _Silent())  # type: ignore[arg-type]
    await console.log_in("boss", "secret")
    for row in await console.show("CLIENTS"):
        assert all(isinstance(each, str) for each in row.values())
