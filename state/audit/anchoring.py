"""Sends number and hash of the newest entry to every place of the estate: once a minute, and around what is risky.

Each place is asked by itself: one that hangs is cut off at its limit and holds up no other. Nothing waits for a place
but a B3 or B4, and that no longer than the policy says. What a place missed is not sent later: the newest anchor holds
everything before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from state.audit.place import AnchorHold
from state.audit.sealing import Sealing
from state.audit.seals import AnchorOutages
from state.clock import Clock
from state.errors import JournalUnavailable, ReadFailure, Trouble
from state.estate.model import Estate
from state.estate.policies import AnchorPolicy
from state.journal.events import Event
from state.journal.store import JournalStore
from state.journal.writer import Journal
from state.ports.keys import KeysFailed
from state.ports.outside import Outside
from state.proof.anchors import Anchor
from state.units import counted, time_limit

TICK = 0.5
RISKY = ("B3", "B4")


class Anchoring:
    """Keeps the places of the estate in force up to date. Implements `state.runs.witness.Witness`."""

    def __init__(
        self,
        setup: Callable[[], tuple[Estate, Outside]],
        journal: Journal,
        store: JournalStore,
        sealing: Sealing | None,
        outages: AnchorOutages,
        clock: Clock,
        *,
        node: str,
        actor: str,
    ) -> None:
        self._setup, self._journal, self._store = setup, journal, store
        self._sealing, self._outages, self._clock = sealing, outages, clock
        self._node, self._actor = node, actor
        self._first = ""
        self._holds: dict[str, AnchorHold] = {}
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._made: Anchor | None = None
        self._making = asyncio.Lock()
        self._wanted = 0

    @property
    def _policy(self) -> AnchorPolicy:
        return self._setup()[0].policies.anchors

    async def watch(self) -> None:
        """Send what is due, and record what has changed."""
        while True:
            self._renew()
            self._send_due()
            await self._tell()
            await asyncio.sleep(TICK)

    async def before(self, risk: str) -> str:
        """The intent of an effect is durable: for a risky one, have it anchored, within the time that the policy gives.
        Why the effect must not be sent; empty when it may."""
        policy, seq = self._policy, self._journal.seq
        if risk not in RISKY or not (self._setup()[1].anchors or policy.needed):
            return ""
        self._renew()
        sent = [self._send(hold, behind=True) for hold in self._holds.values()]
        if sent:
            await asyncio.wait(sent, timeout=policy.wait)
        there = sum(hold.seq >= seq for hold in self._holds.values())
        if there >= policy.needed:
            return ""
        places = counted(policy.needed, "place")
        within = time_limit(policy.wait)
        return f"its intent is in {there} of {places} that policies.anchors.needed asks for, after {within}"

    def after(self, risk: str) -> None:
        """The outcome is durable: for a risky one it is anchored at once. Nothing waits for it."""
        if risk in RISKY:
            self._wanted = self._journal.seq

    async def close(self) -> None:
        """Send the last entry once more, where places take it at once, and leave the others."""
        policy = self._policy
        self._renew()
        sent = [self._send(hold, behind=True) for hold in self._holds.values()]
        if sent:
            await asyncio.wait(sent, timeout=policy.wait)
        for task in self._sending.values():
            task.cancel()
        await asyncio.gather(*self._sending.values(), return_exceptions=True)

    def _renew(self) -> None:
        """The places of the estate in force; those that are the same keep what is known of them."""
        places = self._setup()[1].anchors
        for name in [name for name, hold in self._holds.items() if places.get(name) is not hold.place]:
            del self._holds[name]
        for name, place in places.items():
            if name not in self._holds:
                lost = name in self._outages.lost
                self._holds[name] = AnchorHold(name, place, self._clock.mono, lost=lost)

    def _send_due(self) -> None:
        newest, every = self._journal.seq, self._policy.every
        for hold in self._holds.values():
            soon = hold.seq < self._wanted and not hold.reason
            if newest and not self._busy(hold.name) and (soon or hold.due(newest, every)):
                self._send(hold)

    def _busy(self, name: str) -> bool:
        task = self._sending.get(name)
        return task is not None and not task.done()

    def _send(self, hold: AnchorHold, *, behind: bool = False) -> asyncio.Task[None]:
        """Ask a place; one that is being asked is asked again behind that, if what it gets is not new enough."""
        earlier = self._sending.get(hold.name) if behind and self._busy(hold.name) else None
        task = asyncio.create_task(self._keep(hold, earlier), name=f"anchor {hold.name}")
        self._sending[hold.name] = task
        return task

    async def _keep(self, hold: AnchorHold, earlier: asyncio.Task[None] | None) -> None:
        wanted, limit = self._journal.seq, self._policy.limit
        if earlier is not None:
            await asyncio.wait([earlier])
            if hold.seq >= wanted or hold.reason:
                return
        anchor = await self._anchor()
        try:
            async with asyncio.timeout(2 * limit):  # an adapter that does not keep its deadline
                await hold.keep(anchor, limit)
        except TimeoutError:
            hold.failed(ReadFailure(Trouble.TIMEOUT, f"anchors.{hold.name} did not end at its limit"))

    async def _anchor(self) -> Anchor:
        """The newest entry as an anchor, made once for all places."""
        async with self._making:
            made, (seq, head) = self._made, (self._journal.seq, self._journal.head.hex())
            if made is not None and made.seq == seq:
                return made
            if not self._first:
                self._first = self._store.rows(0, 1)[0].hash.hex()
            estate = self._setup()[0].estate
            anchor = Anchor(seq, head, round(self._clock.wall(), 3), self._first, estate, self._node, 0, "", "")
            self._made = await self._signed(anchor)
            return self._made

    async def _signed(self, anchor: Anchor) -> Anchor:
        """With a signature, where there is a key: what is outside proves itself; without, the place alone proves it."""
        if self._sealing is None:
            return anchor
        try:
            return await self._sealing.sign_anchor(anchor)
        except KeysFailed:
            return anchor

    async def _tell(self) -> None:
        for hold in self._holds.values():
            if (news := hold.news(self._clock.wall())) is not None:
                try:
                    await self._journal.append(Event(news, self._actor))
                except JournalUnavailable:
                    return
