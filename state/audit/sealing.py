"""Seals the journal: a quarter of an hour or some thousand entries at a time, each with a key of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from state.audit.events import JournalKeyed, JournalSealed, JournalUnsealed
from state.audit.seals import Seals
from state.errors import JournalUnavailable
from state.journal.events import Event, Observation
from state.journal.writer import Journal
from state.ports.keys import KeysFailed, SealKeys
from state.proof.anchors import NAMESPACE as ANCHOR
from state.proof.anchors import Anchor
from state.proof.seals import NAMESPACE, statement
from state.proof.sshsig import fingerprint
from state.units import counted

PERIOD = 900.0
"""Seconds of one period at most: what an intruder with this host could write anew, were there no anchors."""
MOST = 2000
"""Entries of one period at most."""
LOOK = 1.0
AGAIN = 60.0
"""Seconds until a seal that could not be made is tried again."""


class Sealing:
    """Makes seals as they are due. A period ends when its seal is durable; then its private key is destroyed."""

    def __init__(self, keys: SealKeys, journal: Journal, seals: Seals, actor: str, since: Callable[[], float]) -> None:
        """`since`: the monotonic clock of the engine."""
        self._keys, self._journal, self._seals = keys, journal, seals
        self._actor, self._mono = actor, since
        self._not_before = float("-inf")
        self._one = asyncio.Lock()

    async def watch(self) -> None:
        """Seal what an earlier engine left, then as it is due."""
        await self.seal()
        while True:
            await asyncio.sleep(LOOK)
            if self.due:
                await self.seal()

    @property
    def due(self) -> bool:
        """Whether there is enough, or it is old enough."""
        open_ones, now = self._journal.seq - self._seals.sealed, self._mono()
        old = now - self._seals.at >= PERIOD and open_ones > 1  # more than the entry of the seal itself
        return now >= self._not_before and (old or open_ones >= MOST)

    async def seal(self) -> None:
        """Seal every entry so far. What fails is recorded once, and tried again."""
        async with self._one:
            try:
                await self._seal()
            except KeysFailed as error:
                self._not_before = self._mono() + AGAIN
                await self._tell(str(error))
            except JournalUnavailable:
                self._not_before = self._mono() + AGAIN  # no entry, no seal: the journal itself is told of elsewhere

    async def sign_anchor(self, anchor: Anchor) -> Anchor:
        """The anchor, signed with the key of the period that goes on; without any, as it is. Raises KeysFailed."""
        async with self._one:
            period, public = self._seals.period, self._seals.public
            if not period:
                return anchor
            keyed = replace(anchor, period=period, public=public)
            return replace(keyed, signature=await self._keys.sign(period, keyed.statement, ANCHOR))

    async def _seal(self) -> None:
        seals, journal = self._seals, self._journal
        if not seals.period or await self._keys.public(seals.period) != seals.public:
            await self._begin()
        period, public, first = seals.period, seals.public, seals.sealed + 1
        last, head = journal.seq, journal.head.hex()
        if last < first:
            return
        following = await self._keys.make(period + 1)
        told = {"first": first, "last": last, "head": head, "period": period, "public": public, "next": following}
        signature = await self._keys.sign(period, statement(told), NAMESPACE)
        words = f"entries {first} to {last} are sealed with key {period}; the next is {fingerprint(following)}"
        await self._record(JournalSealed(period, first, last, head, public, following, signature, words))
        await self._keys.destroy(period)

    async def _begin(self) -> None:
        lost, period = self._seals.period, self._seals.period + 1
        public = await self._keys.make(period)
        why = f"the private key of period {lost} is not there: a new line of keys" if lost else "the line of keys"
        await self._record(JournalKeyed(period, public, f"{why} begins with {fingerprint(public)}"))

    async def _tell(self, reason: str) -> None:
        if self._seals.failing == reason:
            return
        first = self._seals.sealed + 1
        open_ones = counted(self._journal.seq - self._seals.sealed, "entry", "entries")
        try:
            await self._record(JournalUnsealed(first, reason, f"{open_ones} cannot be sealed: {reason}"))
        except JournalUnavailable:
            return

    async def _record(self, body: Observation) -> None:
        await self._journal.append(Event(body, self._actor))
