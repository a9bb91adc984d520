"""Journals from which retention has erased payloads, and which say so."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from state.journal.erasures import JournalRetained
from state.journal.events import Event
from state.journal.format import Sealed, Sealer, unseal


def retained(entries: Sequence[Sealed], seqs: Collection[int]) -> list[Sealed]:
    """The chain without the payloads of these entries, and at its end the entry that says so."""
    upto: dict[str, int] = {}
    for entry in entries:
        if entry.seq in seqs:
            upto[unseal(entry).kind] = entry.seq
    kept = tuple((e.seq, e.seq) for e in entries if e.seq not in seqs and e.seq <= max(seqs))
    body = JournalRetained({"observed": 60.0}, upto, kept, {"needed": len(kept)}, len(seqs), f"{len(seqs)} erased")
    last = entries[-1]
    told = Sealer("h", "b").seal(Event(body, "ada"), seq=last.seq + 1, previous=last.hash, at=9e8, mono=9e8)
    return [*(replace(e, payload=b"", salt=b"") if e.seq in seqs else e for e in entries), told]
