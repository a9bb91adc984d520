"""Builds the views of topics: once for all consoles, and again only when what they read has changed."""

from __future__ import annotations

import asyncio
from typing import Any

from state.audit.seals import Seals
from state.capabilities import topics
from state.clock import Clock
from state.engine.attached import Attached
from state.errors import NotFound, ViewFailed
from state.journal.projection import Folds
from state.journal.writer import Journal
from state.planning.library import Library
from state.verdicts.judge import Judge
from state.views.context import JournalState, Reads, ViewContext
from state.views.header import HEADER, bare
from state.views.memory import Memory

Basis = tuple[Any, ...]
"""What a view was built from: it is valid while this is equal."""
NOT_VERIFIED = "chain not verified yet"
LONGEST_REASON = 300


class Topics:
    """Views by topic. A view is the same object as before when nothing in it changed."""

    def __init__(
        self, judge: Judge, folds: Folds, journal: Journal, library: Library, clock: Clock, attached: Attached
    ) -> None:
        self._judge, self._folds, self._journal, self._clock = judge, folds, journal, clock
        self._attached = attached
        self._library = library.rows()
        self._topics = topics()
        self._memory = Memory()
        self._built: dict[str, tuple[Reads, Basis, Any]] = {}
        self._context: tuple[int, JournalState, ViewContext] | None = None
        self._failed: dict[str, tuple[int, ViewFailed]] = {}
        self._verified, self._verified_seq, self._erased = NOT_VERIFIED, 0, 0

    def renew(self, library: Library) -> None:
        """Another estate and other runbooks: no view of before is valid."""
        self._library, self._context = library.rows(), None
        self._built.clear()

    def checked(self, seq: int, first: int, erased: int) -> None:
        """The journal was just checked from an entry up to another, with the result that it has; so many of these are
        without payload."""
        journal = self._journal
        done = f"chain verified to entry {seq}" if seq else NOT_VERIFIED
        if first > 1:
            done = f"chain verified from entry {first} to {seq}, those before it are being checked"
        if sealed := self._folds.of(Seals).sealed:
            done += f", sealed up to {sealed}"
        if erased:
            done += f", {erased} of them without payload"
        self._verified = journal.problem or done
        self._erased = erased
        self._verified_seq = 0 if journal.doubt or first > 1 else seq

    def view(self, topic: str, version: int) -> Any:
        """The topic at a version of everything. Raises NotFound, and ViewFailed for one that cannot be built.

        A header that cannot be built is replaced by one that says so: it is what every screen shows.
        """
        built = self._built.get(topic)
        if built is not None and built[1] == self._basis(built[0], version):
            return built[2]
        known = self._topics.get(topic)
        if known is None:
            raise NotFound(f"no topic {topic}; there are {', '.join(self._topics)}")
        failed = self._failed.get(topic)
        if failed is not None and failed[0] == version and topic != HEADER:
            raise failed[1]
        try:
            context = self._look(version)
            context.reads = Reads()
            view = known.builder(context)
        except Exception as error:  # boundary: one view that cannot be built must not blind the others
            failure = self._told(topic, version, error)
            if topic == HEADER:
                return bare(self._judge.estate, self._state(), failure)
            raise failure from error
        self._failed.pop(topic, None)
        self._built[topic] = (context.reads, self._basis(context.reads, version), view)
        return view

    def _told(self, topic: str, version: int, error: Exception) -> ViewFailed:
        """Log a failure once, and remember it for this version."""
        failure = ViewFailed(topic, f"{type(error).__name__}: {error}"[:LONGEST_REASON])
        known = self._failed.get(topic)
        if known is None or str(known[1]) != str(failure):
            asyncio.get_running_loop().call_exception_handler({"message": str(failure), "exception": error})
        self._failed[topic] = version, failure
        self._built.pop(topic, None)
        return failure

    def _basis(self, reads: Reads, version: int) -> Basis:
        """What may have changed of a view's reads: the world and changing states at each version, others by entries."""
        if reads.world or reads.everything:
            return (version,)
        folded = [self._folds.version(state) for state in reads.states]
        journal = self._state() if reads.journal else None
        return (journal, version if None in folded else 0, *folded)

    def _look(self, version: int) -> ViewContext:
        """One context for all topics of a version, so that they use the same verdicts and cannot disagree.

        The journal may fail within a version: a view built afterwards must not be kept with the former state.
        """
        state = self._state()
        if self._context is None or self._context[:2] != (version, state):
            judgement = self._judge.at(self._clock.mono())
            failed = tuple(str(each) for topic, (_, each) in self._failed.items() if topic != HEADER)
            look = ViewContext(judgement, self._folds, state, self._library, self._memory, self._attached.rows, failed)
            self._context = (version, state, look)
        return self._context[2]

    def _state(self) -> JournalState:
        journal = self._journal
        return JournalState(
            journal.seq,
            journal.head.hex(),
            journal.unavailable,
            journal.doubt,
            self._verified,
            self._verified_seq,
            self._erased,
        )
