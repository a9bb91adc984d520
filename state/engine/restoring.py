"""How an engine comes to know what it knew: from a checkpoint and the entries behind it, or from every entry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from state.engine.left_out import LeftOut, runs_left_out
from state.errors import JournalUnavailable
from state.journal.checkpoint import Checkpoint, digest_of, read_checkpoint
from state.journal.events import EVENTS, Recorded
from state.journal.format import GENESIS, Sealed, canonical, unseal_any
from state.journal.projection import Folds
from state.journal.store import JournalStore
from state.journal.writer import Journal

PAGE = 2000
"""Entries handled before other tasks run."""
COMMITMENT = 66
"""Bytes at the end of a header: 64 digits, a quote and a bracket."""
EVERY = 5000
"""Entries after which a checkpoint is written again."""


def telling(entries: Sequence[Sealed]) -> Iterator[Sealed]:
    """The entries that say something: of fleeting ones the newest."""
    marks = [canonical([kind, "", "", "", ""])[1:-2] for kind, body in EVENTS.items() if body.fleeting]
    newest: dict[bytes, int] = {}
    kinds: dict[int, bytes] = {}
    for entry in entries:
        for mark in marks:  # of no run, and without a step: the end of the header is kind and commitment
            if entry.header[-len(mark) - COMMITMENT : -COMMITMENT] == mark:
                newest[mark] = entry.seq
                kinds[entry.seq] = mark
    for entry in entries:
        kind = kinds.get(entry.seq)
        if kind is None or newest[kind] == entry.seq:
            yield entry


class Restoring:
    """Makes the states of an engine from its journal, and checkpoints of them. `fold` applies an entry as the engine
    does. `refused` is why a checkpoint that fits was not believed, empty otherwise."""

    def __init__(self, store: JournalStore, journal: Journal, folds: Folds, fold: Callable[[Recorded], None]) -> None:
        self._store, self._journal, self._folds, self._fold = store, journal, folds, fold
        self._saved = 0
        self._left_out: LeftOut | None = None
        self.refused = ""

    async def restore(self) -> tuple[int, bytes]:
        """Make the states. The entry up to which a checkpoint was believed, (0, GENESIS) without one: what follows it
        is to be verified before anything starts, all before it afterwards."""
        try:
            begun = await self._from_checkpoint()
            after = begun[0]
            while entries := self._store.rows(after, PAGE):
                for entry in telling(entries):
                    self._fold(unseal_any(entry))
                after = entries[-1].seq
                await asyncio.sleep(0)
        except JournalUnavailable as error:
            self._journal.unread = str(error)
            return 0, GENESIS
        self._saved = begun[0]
        return begun

    async def _from_checkpoint(self) -> tuple[int, bytes]:
        """The states as a checkpoint says, when it is one of this journal and of these rules."""
        found = read_checkpoint(self._store.kept_checkpoint())
        if found is None or found.rules != self._folds.rules or not self._folds.knows(found.needs):
            return 0, GENESIS
        last = self._store.rows(found.seq - 1, 1)
        if not last or (last[0].seq, last[0].hash) != (found.seq, found.hash):
            return 0, GENESIS
        entries = await self._some(found.seqs)
        if not found.fits(entries):
            return 0, GENESIS
        hidden = await asyncio.to_thread(runs_left_out, self._store, found)
        if hidden:
            self.refused = f"journal.checkpoint left out {hidden}: every entry was read instead"
            return 0, GENESIS
        self._left_out = LeftOut(found)
        needs = {name: frozenset(seqs) for name, seqs in found.needs.items()}
        for number, entry in enumerate(entries):
            problem = self._folds.restore(unseal_any(entry), needs)
            if problem:
                self._journal.unread = self._journal.unread or problem
            if number % PAGE == 0:
                await asyncio.sleep(0)
        return found.seq, found.hash

    def compare(self, entries: Sequence[Sealed]) -> None:
        """Hold the next entries of the journal, from the first one on, against the checkpoint that was believed."""
        if self._left_out is not None:
            self._left_out.take(entries)

    @property
    def left_out(self) -> str:
        """What that checkpoint left out, once every entry was compared; empty when nothing."""
        return "" if self._left_out is None else self._left_out.problem

    async def _some(self, seqs: Sequence[int]) -> list[Sealed]:
        found: list[Sealed] = []
        for start in range(0, len(seqs), PAGE):
            found += self._store.some(seqs[start : start + PAGE])
            await asyncio.sleep(0)
        return found

    @property
    def due(self) -> bool:
        """Whether a start would have much to read."""
        return self._journal.seq - self._saved >= EVERY

    async def save(self) -> None:
        """Write a checkpoint of the states as they are now, unless they cannot be trusted."""
        if self._journal.unavailable or self._journal.seq == self._saved:
            return
        seq, head, needs = self._journal.seq, self._journal.head, self._folds.needed()
        wanted = Checkpoint(self._folds.rules, seq, head, needs, b"")
        try:
            digest = digest_of(needs, await self._some(wanted.seqs))
        except JournalUnavailable:
            return
        if self._store.keep_checkpoint(Checkpoint(wanted.rules, seq, head, needs, digest).text()):
            self._saved = seq
