"""Drops who does not finish its request or does not read its answer; each account is named once a minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from adapters.api_server.accounts import ACCOUNTS
from adapters.api_server.room import Room
from adapters.api_server.stream import STALLED

LOOK = 0.5
"""Seconds between two looks for connections that wait too long."""
TELL_AGAIN = 60.0
"""Seconds between two lines of the log about one account."""

log = logging.getLogger("recovery.door")


async def drop_overdue(rooms: Sequence[Room]) -> None:
    """As long as the engine lives."""
    told: dict[int, float] = {}
    while True:
        await asyncio.sleep(LOOK)
        now = asyncio.get_running_loop().time()
        for room in rooms:
            for handler, seat, why in room.overdue(STALLED):
                room.leave(handler)
                if now - told.get(seat.uid, float("-inf")) > TELL_AGAIN:
                    told[seat.uid] = now
                    log.warning("a connection of the account %s was dropped: %s", ACCOUNTS.name(seat.uid), why)
