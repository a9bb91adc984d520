"""What a checkpoint leaves out of the runs of its journal: looked for in the journal, whoever wrote the checkpoint.

A checkpoint has no secret: who may write the file can write one that fits. One that hid a run would let its effect
happen twice and its name be given twice.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence

from state.journal.checkpoint import Checkpoint
from state.journal.format import Sealed
from state.journal.store import JournalStore
from state.runs.events import LeaseTaken, RunEnded, RunStarted
from state.runs.fold import HELD, RUNS
from state.runs.names import number_of, second

OF_RUNS = frozenset(body.kind for body in RUNS.kinds)
MARK = b',"R-'
"""In the header of every entry about a run."""
PAGE = 2000
"""Entries read at a time."""


def runs_left_out(store: JournalStore, checkpoint: Checkpoint) -> str:
    """Which run it should name and does not, before anything of it is believed: one that has not ended, with every
    entry about it; the newest; as many as are held. Empty when none. Raises JournalUnavailable."""
    needed = frozenset(checkpoint.needs[RUNS.name])
    started, ended = _begun_and_ended(store, checkpoint.seq)
    last = max(started, key=lambda each: number_of(each[0]), default=None)
    for run, seq in started:
        if run not in ended or (run, seq) == last:
            missing = _missing(store, run, seq, ended.get(run, checkpoint.seq), needed)
            if missing:
                return f"{run}, entry {missing}"
    held = sum(seq in needed for _, seq in started)
    return f"{min(HELD, len(started)) - held} of the newest runs" if held < min(HELD, len(started)) else ""


def _begun_and_ended(store: JournalStore, last: int) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """Every run with the entry that begins it, and the entries that end one: the journal is looked through once."""
    started: list[tuple[str, int]] = []
    ended: dict[str, int] = {}
    for entry in store.having(b',"run.'):
        kind, run = _about(entry)
        if entry.seq <= last and kind == RunStarted.kind:
            started.append((run, entry.seq))
        elif entry.seq <= last and kind == RunEnded.kind:
            ended[run] = entry.seq
    return started, ended


def _missing(store: JournalStore, run: str, first: int, last: int, needed: Container[int]) -> int:
    """The first entry about a run, from one entry to another, that is not among these; 0 when there is none."""
    after = first - 1
    while entries := store.rows(after, max(0, min(PAGE, last - after))):
        for entry in entries:
            if entry.seq not in needed and MARK in entry.header:
                kind, about = _about(entry)
                if about == run and kind in OF_RUNS:
                    return entry.seq
        after = entries[-1].seq
        if after >= last:
            break
    return 0


class LeftOut:
    """Compares every entry up to a checkpoint with what it names: of a run all entries or none, and the newest
    lease. `problem` is what it leaves out, empty while nothing is known to be."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._seq, self._needed = checkpoint.seq, frozenset(checkpoint.needs[RUNS.name])
        self._named: set[str] = set()
        self._missing, self._twice = "", ""
        self._leased = self._count = 0

    def take(self, entries: Sequence[Sealed]) -> None:
        """The next entries of the journal."""
        for entry in entries:
            if entry.seq > self._seq or MARK not in entry.header:
                continue
            kind, run = _about(entry)
            if kind == LeaseTaken.kind and entry.payload:
                self._leased = entry.seq
            if kind == RunStarted.kind:
                self._begins(run, entry.seq)
            elif kind in OF_RUNS and run in self._named and entry.seq not in self._needed:
                self._missing = self._missing or f"entry {entry.seq}, of {run}"

    def _begins(self, run: str, seq: int) -> None:
        if 0 < number_of(run) <= self._count:
            self._twice = self._twice or second(run, seq)
        self._count = max(self._count, number_of(run))
        if seq in self._needed:
            self._named.add(run)

    @property
    def problem(self) -> str:
        """What it leaves out, with the way out."""
        missing = self._missing or ("" if not self._leased or self._leased in self._needed else "the newest lease")
        if not missing:
            return self._twice
        return f"journal.checkpoint leaves out {missing}: remove that file and start the engine again"


def _about(entry: Sealed) -> tuple[str, str]:
    """Its kind and its run; empty for bytes that are not an entry."""
    try:
        told = json.loads(entry.header)
        return str(told[7]), str(told[9])
    except (ValueError, LookupError, TypeError, RecursionError):
        return "", ""
