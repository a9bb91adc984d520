"""Screen 9: the newest entries in one line each, and the state of the chain."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import merge

from state.api.messages import ChainProof
from state.api.views.journal import JournalRow, JournalView
from state.journal.events import OBSERVED, Recorded, origin_of
from state.journal.format import Verification
from state.journal.needed import About
from state.journal.projection import FoldSetting, Projection
from state.verdicts.cause_parts import hand
from state.views.context import Alarm, Contribution, ViewContext

KEPT = 200
"""Decisions, and observations, that a console is sent; older ones are read page by page."""

QUIET = ("engine.heartbeat", "journal.sealed")
"""Kinds that come by the clock: of each only the newest says anything to people."""


def journal_row(recorded: Recorded) -> JournalRow:
    """One entry for people."""
    event = recorded.event
    return JournalRow(
        seq=recorded.seq,
        at=recorded.at,
        actor=event.actor,
        kind=recorded.kind,
        run=event.run,
        step=event.step,
        message=recorded.body.line,
        hash=recorded.hash[:8],
        origin=origin_of(recorded.kind),
    )


def chain_proof(found: Verification, known: str = "") -> ChainProof:
    """What a check has proven; of a journal without an entry, or without the one whose hash begins with `known`,
    nothing."""
    problem = found.problem
    if not (problem or found.entries):
        problem = "there is no entry"
    if known and not (problem or found.known):
        ends = f"{found.torn}; " * bool(found.torn) + f"the chain ends at entry {found.entries}"
        problem = f"{ends} and no entry has the hash {known}: entries are missing, or this is another journal"
    outside = (found.sealed, found.periods, found.root, found.anchored)
    return ChainProof(problem, found.torn, found.entries, found.head.hex(), found.erased, found.known, *outside)


class JournalTail:
    """The newest rows, kept as entries are recorded: a night full of alerts takes no decision off the screen."""

    def __init__(self, setting: FoldSetting | None = None) -> None:
        self._decided: deque[JournalRow] = deque(maxlen=KEPT)
        self._observed: deque[JournalRow] = deque(maxlen=KEPT)
        self._quiet: dict[str, JournalRow] = {}

    def fold(self, recorded: Recorded) -> None:
        """Take in one more entry; of heartbeats and of seals only the newest is kept."""
        row = journal_row(recorded)
        if row.kind in QUIET:
            self._quiet[row.kind] = row
        else:
            (self._observed if row.origin == OBSERVED else self._decided).append(row)

    def rows(self) -> dict[str, JournalRow]:
        """The rows by sequence number, oldest first."""
        quiet = sorted(self._quiet.values(), key=lambda row: row.seq)
        return {str(row.seq): row for row in merge(self._decided, self._observed, quiet, key=lambda row: row.seq)}


def build(context: ViewContext) -> JournalView:
    """The screen; `durable` is empty or says why nothing can be recorded."""
    journal = context.journal
    rows = context.of(JournalTail).rows()
    view = JournalView(journal.seq, journal.head, journal.unavailable, journal.verified, rows)
    return context.memory.keep("journal", view)


def contribute(context: ViewContext) -> Contribution:
    """An alarm while the recorded entries cannot be trusted."""
    doubt = context.journal.doubt
    steps = "By hand: recovery journal verify names the first bad entry. Keep the file; nothing starts before."
    return Contribution(alarms=(Alarm(doubt, hand("by hand", steps)),) if doubt else ())


def _subjects(recorded: Recorded) -> Iterable[About]:
    if recorded.kind in QUIET:
        yield About(recorded.kind)
    else:
        yield About(origin_of(recorded.kind) == OBSERVED, newest=KEPT)


TAIL = Projection(JournalTail, JournalTail, (), JournalTail.fold, subjects=_subjects)
