"""Retention: the details of old entries are erased, and an entry says which before they are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from state.api.messages import Retained
from state.audit.events import JournalKeyed, JournalSealed
from state.clock import Clock
from state.engine.ages import DAY, Ages
from state.engine.events import ClockJumped, Heartbeat
from state.errors import JournalUnavailable, Refused
from state.estate.model import Estate
from state.journal.checkpoint import RECENT
from state.journal.erasures import JournalRetained
from state.journal.events import OBSERVED, Event, Recorded, origin_of
from state.journal.format import FOREIGN, MAX_PAYLOAD, Verification, canonical, unseal_any
from state.journal.projection import Folds
from state.journal.store import JournalStore
from state.journal.writer import Journal
from state.units import counted

PART = 1000
"""Entries that are read or erased before other tasks run."""
HEARTBEATS, OBSERVATIONS, DECISIONS = "heartbeats", "observed", "decided"
"""The classes that a policy names."""
NEEDED, RECORDS, PROOFS = "still count for what is in force", "say what was erased", "seal others"
"""Why entries are kept that are old enough."""
KEPT = {JournalRetained.kind: RECORDS, JournalKeyed.kind: PROOFS, JournalSealed.kind: PROOFS}
"""Kinds that are kept for ever."""


@dataclass(slots=True)
class _Found:
    """What a policy would do: entries to erase, the kinds of these with their last entry, and what is kept."""

    erase: list[int] = field(default_factory=list)
    upto: dict[str, int] = field(default_factory=dict)
    kept: list[tuple[int, str]] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The entries that are kept, of kinds of which later ones are erased."""
        made: list[tuple[int, int]] = []
        for seq, kind in self.kept:
            if seq > self.upto.get(kind, 0):
                continue
            if made and made[-1][1] == seq - 1:
                made[-1] = (made[-1][0], seq)
            else:
                made.append((seq, seq))
        return tuple(made)


class Retaining:
    """Applies the policy of the estate in force. `verify` checks the whole journal."""

    def __init__(
        self,
        store: JournalStore,
        journal: Journal,
        folds: Folds,
        clock: Clock,
        boot: str,
        verify: Callable[[], Awaitable[Verification]],
    ) -> None:
        self._store, self._journal, self._folds, self._clock = store, journal, folds, clock
        self._boot = boot
        self._verify = verify
        self._busy = asyncio.Lock()

    async def retain(self, estate: Estate, person: str, session: str, *, dry_run: bool) -> Retained:
        """Erase what the policy says, or say what that would be. Raises Refused and JournalUnavailable."""
        policy = policy_of(estate)
        if not policy:
            way_out = "Name ages under policies.retain, then recovery engine reload"
            raise Refused("retention", "the estate has no policy for entries", way_out, "the maintainers of the estate")
        if self._busy.locked():
            raise Refused("retention", "entries are being erased already", "Wait until that has ended")
        async with self._busy:
            await self._verify()
            if self._journal.unavailable:
                raise JournalUnavailable(self._journal.unavailable)
            found = await self._find(policy)
            told = _told(policy, found)
            if dry_run or not found.erase:
                return Retained(len(found.erase), dict(found.why), told.message, dry_run)
            if len(canonical(told.as_json())) > MAX_PAYLOAD:
                fact = "what is kept is too scattered for one entry"
                raise Refused("retention", fact, "Choose longer ages, or name fewer classes")
            await self._journal.append(Event(told, person, session))
            for part in parts_of(found.erase):
                await self._journal.erase(part)
            await self._journal.erase(())  # nothing of them stays in the log
            return Retained(len(found.erase), dict(found.why), told.message, dry_run)

    async def _find(self, policy: Mapping[str, float]) -> _Found:
        needed = {seq for name, seqs in self._folds.needed().items() if name != RECENT for seq in seqs}
        jumps = await asyncio.to_thread(self._store.having, canonical(ClockJumped.kind))
        ages = Ages(map(unseal_any, jumps), self._clock.wall(), self._clock.mono(), self._boot)
        found, after, last = _Found(), 0, self._journal.seq
        while entries := self._store.rows(after, PART):
            for entry in entries:
                recorded = unseal_any(entry)
                if recorded.kind != FOREIGN:
                    ages.follow(recorded)
                if entry.seq <= last and entry.payload:
                    _judge(recorded, policy, ages.of(recorded), needed, found)
            after = entries[-1].seq
            await asyncio.sleep(0)
        return found


def policy_of(estate: Estate) -> dict[str, float]:
    """Seconds by class of entries, of the classes that the estate names."""
    retain = estate.policies.retain
    ages = {HEARTBEATS: retain.heartbeats, OBSERVATIONS: retain.observed, DECISIONS: retain.decided}
    return {name: age for name, age in ages.items() if age is not None}


def _class_of(kind: str) -> str:
    if kind == Heartbeat.kind:
        return HEARTBEATS
    return OBSERVATIONS if origin_of(kind) == OBSERVED else DECISIONS


def _judge(recorded: Recorded, policy: Mapping[str, float], age: float, needed: set[int], found: _Found) -> None:
    least = policy.get(_class_of(recorded.kind))
    if least is None:
        return
    if recorded.kind in KEPT or recorded.seq in needed or age < least:
        found.kept.append((recorded.seq, recorded.kind))
        if age >= least:
            found.why[KEPT.get(recorded.kind, NEEDED)] += 1
        return
    found.erase.append(recorded.seq)
    found.upto[recorded.kind] = recorded.seq


def _told(policy: Mapping[str, float], found: _Found) -> JournalRetained:
    ages = ", ".join(f"{name} {age / DAY:g} days" for name, age in policy.items())
    kept = "; ".join(f"{count} {why}" for why, count in sorted(found.why.items()))
    message = f"{counted(len(found.erase), 'payload', 'payloads')} erased by policy ({ages}); kept: {kept or 'none'}"
    return JournalRetained(policy, found.upto, found.ranges(), found.why, len(found.erase), message)


def parts_of(seqs: Sequence[int]) -> list[Sequence[int]]:
    """In pieces that other tasks can wait for."""
    return [seqs[start : start + PART] for start in range(0, len(seqs), PART)]
