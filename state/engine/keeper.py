"""Watches the journal while the engine runs: whether it is all there, is valid and can be written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from state.engine.events import Heartbeat
from state.engine.restoring import Restoring
from state.errors import JournalUnavailable
from state.journal.events import Said
from state.journal.format import Sealed, Verification, Verifier
from state.journal.store import JournalStore
from state.journal.writer import Journal
from state.proof.lines import export_line
from state.units import counted

HEARTBEAT = 60.0
"""Seconds between journal heartbeats, which prove that the engine was running."""
LOOK = 1.0
"""Seconds between two looks at the stored journal, and between attempts to write one that could not be written."""


@dataclass(frozen=True, slots=True)
class ReadingPace:
    """Entries handled before other tasks run, and the seconds that these have at least."""

    entries: int
    pause: float = 0.0


AT_ONCE, BESIDE = ReadingPace(2000), ReadingPace(500, 0.005)
"""For somebody who waits, and for nobody."""


class Keeper:
    """The journal's checks. `note` records an entry that nothing depends on, `moved` hears that what is shown of the
    journal may have changed, `checked` up to which entry the chain was checked, from which on, and how many of these
    are without payload."""

    def __init__(
        self,
        store: JournalStore,
        journal: Journal,
        restoring: Restoring,
        note: Callable[[Said], Awaitable[None]],
        checked: Callable[[int, int, int], None],
        moved: Callable[[], None],
    ) -> None:
        self._store, self._journal, self._restoring = store, journal, restoring
        self._note, self._checked, self._moved = note, checked, moved
        self._verifier, self._first, self._verifying = Verifier(), 1, asyncio.Lock()

    async def pages(self, after: int = 0, pace: ReadingPace = AT_ONCE) -> AsyncIterator[Sequence[Sealed]]:
        """The journal in pieces; other tasks run in between. Raises JournalUnavailable."""
        while entries := await self._page(after, pace.entries):
            yield entries
            after = entries[-1].seq
            await asyncio.sleep(pace.pause)

    async def _page(self, after: int, entries: int) -> Sequence[Sealed]:
        while self._journal.hangs:  # noqa: ASYNC110 it is looked at again like everything here
            await asyncio.sleep(LOOK)
        return self._store.rows(after, entries)

    async def begin(self, after: tuple[int, bytes]) -> None:
        """Verify what follows an entry up to which a checkpoint was believed."""
        self._verifier, self._first = Verifier(after=after), after[0] + 1
        await self.verify()

    async def prove(self) -> None:
        """Verify what is before it too, and that the checkpoint left nothing out, beside everything else."""
        if self._first > 1:
            await self.verify(afresh=True, pace=BESIDE, hear=self._restoring.compare)

    async def export(self) -> AsyncIterator[bytes]:
        """Entries as an offline verifier reads them."""
        async for entries in self.pages():
            for entry in entries:
                yield export_line(entry)

    async def verify(
        self,
        *,
        afresh: bool = False,
        known: str = "",
        pace: ReadingPace = AT_ONCE,
        hear: Callable[[Sequence[Sealed]], None] | None = None,
        wholly: bool = False,
    ) -> Verification:
        """Check what was recorded since the last check, or everything, and then look for the entry whose hash begins
        with `known`; `wholly` with every signature. While the journal is not valid, nothing starts. `hear` gets the
        entries too."""
        async with self._verifying:  # two checks at the same time would check entries twice
            if afresh:
                self._store.forget()
                self._verifier, self._first = Verifier(known), 1
            verifier, head, seq = self._verifier, self._journal.head, self._journal.seq
            try:
                async for entries in self.pages(verifier.entries, pace):
                    if not verifier.feed(e for e in entries if e.seq <= seq):
                        break
                    if hear is not None:
                        hear(entries)
                found = verifier.finish(head)
            except JournalUnavailable as error:
                found = replace(verifier.finish(), problem=str(error))
            self._journal.chain = found.problem
            if wholly and found.ok:  # thousandths of a second for each signature; what is not sealed stops no effect
                found = await asyncio.to_thread(verifier.prove, head)
            if hear is not None and found.ok:
                self._journal.unread = self._journal.unread or self._restoring.left_out
            self._checked(seq, self._first, found.erased)
        self._moved()
        return found

    async def whole(self) -> Verification:
        """Verify every entry once more."""
        return await self.verify(afresh=True)

    async def answer(self, known: str = "") -> Verification:
        """What is wrong with the journal as it is stored, from its first entry on and up to the head this engine knows,
        and the entry whose hash begins with `known`."""
        await self._journal.look()
        found = await self.verify(afresh=True, known=known, wholly=True)
        if self._journal.problem or not self._journal.failing:
            return replace(found, problem=self._journal.problem or found.problem)
        valid = counted(found.entries, "valid entry", "valid entries")
        kept = f"the engine still has {valid}: `recovery journal export -o FILE` saves them"
        return replace(found, problem=f"{self._journal.failing}; {kept}")

    async def watch(self) -> None:
        """Notice within seconds that the journal was taken away or changed, and that it can be written again."""
        while True:
            await asyncio.sleep(LOOK)
            before = self._journal.failing
            if await self._journal.look() and before:
                await self._note(Heartbeat("running; the journal can be written again"))
            if self._journal.failing != before:
                self._moved()

    async def beat(self) -> None:
        """Prove from time to time that the engine runs, and that the chain is valid up to now."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            await self._note(Heartbeat("running"))
            if not self._verifying.locked():  # a long check does not hold up the next heartbeat
                await self.verify()
            if self._restoring.due:
                await self._restoring.save()
