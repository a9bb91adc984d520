"""Keeps a running engine within reach: what removes its sockets' folder does not end the engine.

logind removes /run/user/UID with the last session of an account, systemd-tmpfiles old folders below /tmp.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from console.engine.control import listens
from console.engine.host import make_private, write_index
from console.places import EnginePlace
from state.errors import RecoveryError

if TYPE_CHECKING:
    from adapters.api_server import ApiServer

LOOK = 1.0
"""Seconds between two looks at the sockets."""

log = logging.getLogger("recovery.engine")


async def keep_door(door: ApiServer, place: EnginePlace, environment: str) -> None:
    """Make the sockets and the index file anew whenever they are gone; tried until it works, logged once."""
    told = ""
    while True:
        await asyncio.sleep(LOOK)
        lost = door.lost()
        if not lost and place.index.exists():
            told = ""
            continue
        try:
            if len(lost) == 2 and await asyncio.to_thread(listens, place):
                raise OSError(f"another process listens in {place.runtime}")
            make_private(place.runtime)
            await door.reopen()
            write_index(place, environment)
            log.warning("the sockets in %s were removed; they are made anew", place.runtime)
        except (OSError, RecoveryError) as error:
            if str(error) != told:
                log.error("the sockets in %s were removed and cannot be made anew: %s", place.runtime, error)
            told = str(error)
