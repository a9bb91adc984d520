"""What a grant of the tier of superusers left: a picture before anybody can log in, one after its end, the difference.

It is compared again until nothing differs, or a person who is not its holder has accepted what does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from state.errors import ReadFailure
from state.granting.model import Bundle
from state.granting.picture import PART, PictureItem, PictureKind, differences
from state.grants.events import GrantCompared, GrantPictured
from state.grants.fold import Grant
from state.journal.events import Body
from state.ports.access import CanGrant
from state.units import counted

DEADLINE = 20.0
AGAIN, LATER = 2.0, 30.0
"""Seconds until a picture that could not be taken is tried again, and until what differs is compared again."""
NO_PICTURE = f"{PictureKind.UNREAD.value} in (cluster): no picture was taken before anybody could log in"
MOST_TOLD = 200
Note = Callable[[Body], Awaitable[bool]]
"""Records it; whether that was possible."""


class Pictures:
    """Takes them, and compares. `oids` are the grants beside one whose roles are left out, as they come and go."""

    def __init__(self, oids: Callable[[Grant], Collection[int]], note: Note) -> None:
        self._oids, self._note = oids, note
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def keep(self, grant: Grant, target: CanGrant) -> None:
        """Have done for it what is due, unless that is under way."""
        if grant.bundle != Bundle.SUPERUSER.value:
            return
        before = grant.ended is None and not grant.opening and not grant.pictured
        after = grant.ended is not None and not grant.settled
        task = self._tasks.get(grant.id)
        if (before or after) and (task is None or task.done()):
            doing = self._compared(grant, target) if after else self._taken(grant, target)
            self._tasks[grant.id] = asyncio.create_task(doing, name=f"picture {grant.id}")

    async def close(self) -> None:
        """Leave it; the next engine goes on."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _taken(self, grant: Grant, target: CanGrant) -> None:
        try:
            items = await target.picture(self._oids(grant), deadline=DEADLINE)
        except ReadFailure:
            await asyncio.sleep(AGAIN)
            return
        parts = [items[at : at + PART] for at in range(0, len(items), PART)] or [[]]
        for number, part in enumerate(parts, 1):
            told = f"{grant.id}: picture of {grant.database} before it, {number} of {len(parts)}"
            lines = tuple(each.line for each in part)
            if not await self._note(GrantPictured(grant.id, number, len(parts), lines, told)):
                return

    async def _compared(self, grant: Grant, target: CanGrant) -> None:
        """Until the journal says that it is settled."""
        while not grant.settled:
            found = await self._differences(grant, target)
            if found is not None and (found != grant.residue or not grant.compared):
                await self._note(GrantCompared(grant.id, found, _words(grant, found)))
            await asyncio.sleep(AGAIN if found is None else LATER)

    async def _differences(self, grant: Grant, target: CanGrant) -> tuple[str, ...] | None:
        """What differs, each with its way out; None when it was not read."""
        if not grant.pictured:
            return (NO_PICTURE,)
        try:
            after = await target.picture(self._oids(grant), deadline=DEADLINE)
        except ReadFailure:
            return None
        before = [PictureItem.of(line) for line in grant.picture]
        found = [f"{each.told}. {each.way_out}" for each in differences(before, after)]
        more = [f"{len(found) - MOST_TOLD} more; compare by hand"] if len(found) > MOST_TOLD else []
        return tuple([*found[:MOST_TOLD], *more])


def _words(grant: Grant, found: Sequence[str]) -> str:
    if not found:
        return f"{grant.id}: {grant.database} is as it was before it"
    return f"{grant.id}: {counted(len(found), 'thing')} at {grant.database} not as before it: {found[0]}"
