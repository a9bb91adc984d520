"""Appends to the journal: chained in order, grouped, durable before the caller continues."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from state.clock import Clock
from state.errors import JournalUnavailable
from state.journal.events import Event, Recorded
from state.journal.format import Sealed, Sealer, canonical, recorded
from state.journal.store import JournalStore

SLOW = 0.005
"""Seconds for which the event loop waits for a commit; a slower one is awaited while other tasks run."""
HANGS = 1.0
"""Seconds after which a commit that has no end says that the disk does not answer: until then nothing new starts."""

Waiting = tuple[Event, bytes, "asyncio.Future[Recorded]"]
"""An event with its payload, and the future of the caller that waits for it."""


class Journal:
    """The one writer of a journal.

    All appends within one iteration of the loop share one durable commit. `on_recorded` is called with each entry
    once it is durable. Commits are made in a thread: a disk that never answers holds up nobody but those who need an
    entry; `hangs` says so meanwhile. `failing` is why the last append or the last look at the store failed, `chain`
    what is wrong with the chain, `unread` the first entry whose meaning is not known, `missing` what was recorded once
    and is gone; each is empty when all is well. While one is not empty, nothing starts.
    """

    def __init__(self, store: JournalStore, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self.clock = clock
        self.seq, self.head = store.head()
        self.failing = self.hangs = self.chain = self.unread = ""
        self.missing = store.missing
        self.on_recorded: Callable[[Recorded], None] = lambda entry: None
        self._waiting: list[Waiting] = []
        self._flushing: asyncio.Task[None] | None = None
        self._cost = 0.0
        # A thread of its own: the loop's threads may all wait for name look-ups that nobody answers.
        self._thread = ThreadPoolExecutor(1, "journal")

    @property
    def doubt(self) -> str:
        """Why the recorded entries cannot be trusted, or an empty text. Appending still works."""
        return f"the journal is in doubt: {self.problem}" if self.problem else ""

    @property
    def problem(self) -> str:
        """What is wrong with the recorded entries, or an empty text."""
        return self.chain or self.missing or self.unread

    @property
    def unavailable(self) -> str:
        """Why no effect may start, or an empty text."""
        return self.failing or self.doubt

    def require_answers(self) -> None:
        """Raise JournalUnavailable while the disk does not answer: a read of the store would wait as well."""
        if self.hangs:
            raise JournalUnavailable(self.hangs)

    async def append(self, event: Event) -> Recorded:
        """Record an event durably. Raises JournalUnavailable; then nothing was recorded."""
        return (await self.append_all([event]))[0]

    async def append_all(self, events: Sequence[Event]) -> list[Recorded]:
        """Record events in one durable commit, all or none of them.

        Raises JournalUnavailable, also for any start while the journal is in doubt, and ValueError or TypeError
        for a body that is not JSON.
        """
        if self.doubt and any(event.body.starts for event in events):
            raise JournalUnavailable(self.doubt)
        loop = asyncio.get_running_loop()
        asked: list[Waiting] = [(e, canonical(e.body.as_json()), loop.create_future()) for e in events]
        self._waiting += asked
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return [await asyncio.shield(done) for *_, done in asked]

    def keep_stops(self, runs: Sequence[str]) -> bool:
        """Keep the names of runs whose stop is not recorded; whether they outlive this process."""
        return self._store.keep_stops(runs)

    def kept_stops(self) -> Sequence[str]:
        """The runs whose stop an earlier engine could not record."""
        return self._store.kept_stops()

    async def erase(self, seqs: Sequence[int]) -> None:
        """Erase the payloads of these entries, in the journal's thread; of none: let nothing erased stay in its log.
        Raises JournalUnavailable."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.erase, seqs)

    async def look(self) -> bool:
        """See whether the store would refuse the next entry, so that it is known before an effect is asked for; whether
        it would take it. What failed before has failed until an entry is durable."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store.look)
        except JournalUnavailable as error:
            self.failing = str(error)
            return False
        return True

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            sealed = self._seal(batch)
            started = self.clock.mono()
            try:
                await self._commit([entry for entry, _ in sealed])
            except JournalUnavailable as error:
                self._took(started)
                self.failing = str(error)
                for *_, done in batch:
                    if not done.cancelled():
                        done.set_exception(JournalUnavailable(str(error)))
                        done.exception()
                continue
            self._took(started)
            self.failing = ""
            self.seq, self.head = sealed[-1][0].seq, sealed[-1][0].hash
            for (_, entry), (*_, done) in zip(sealed, batch, strict=True):
                if not done.cancelled():
                    done.set_result(entry)
                self.on_recorded(entry)

    async def _commit(self, entries: list[Sealed]) -> None:
        """Have entries stored. Usually the disk is quicker than a task switch, and slow only for a while."""
        stored = self._thread.submit(self._store.append, entries)
        if self._cost <= SLOW:
            with contextlib.suppress(TimeoutError):
                return stored.result(SLOW)
        # Asked for behind it in the one thread, through the loop: one on virtual time knows that a thread works.
        awaited = asyncio.get_running_loop().run_in_executor(self._thread, stored.result)
        done, _ = await asyncio.wait([awaited], timeout=HANGS)
        if not done:
            self.hangs = self.failing = f"the disk of the journal has not answered for {HANGS:.0f} s"
        try:
            await awaited
        finally:
            self.hangs = ""

    def _took(self, started: float) -> None:
        self._cost = 0.9 * self._cost + 0.1 * (self.clock.mono() - started)

    def _seal(self, batch: list[Waiting]) -> list[tuple[Sealed, Recorded]]:
        seq, head = self.seq, self.head
        sealed: list[tuple[Sealed, Recorded]] = []
        for event, payload, _ in batch:
            seq += 1
            at, mono = self.clock.wall(), self.clock.mono()
            entry = self._sealer.seal(event, seq=seq, previous=head, at=at, mono=mono, payload=payload)
            head = entry.hash
            sealed.append((entry, recorded(entry, event, at=at, mono=mono, sealer=self._sealer)))
        return sealed
