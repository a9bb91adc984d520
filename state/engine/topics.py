"""Builds the topics consoles see, once per version of the world however many look."""

from __future__ import annotations

from typing import Any

from state.capabilities import topics
from state.clock import Clock
from state.errors import NotFound
from state.estate.model import Estate
from state.journal.projection import Folds
from state.journal.writer import Journal
from state.planning.library import Library
from state.views.context import JournalState, ViewContext
from state.views.memory import Memory
from state.world.world import World


class Topics:
    """Views by topic. A view is the same object as before when nothing in it changed."""

    def __init__(
        self, estate: Estate, world: World, folds: Folds, journal: Journal, library: Library, clock: Clock
    ) -> None:
        self._estate, self._world, self._folds, self._journal, self._clock = estate, world, folds, journal, clock
        self._library = library.rows()
        self._topics = topics()
        self._memory = Memory()
        self._built: dict[str, tuple[int, Any]] = {}
        self._context: tuple[int, ViewContext] | None = None
        self.verified = "not verified yet"

    def view(self, topic: str, version: int) -> Any:
        """The topic at a version of the world. Raises NotFound."""
        built = self._built.get(topic)
        if built is not None and built[0] == version:
            return built[1]
        known = self._topics.get(topic)
        if known is None:
            raise NotFound(f"no topic {topic}; there are {', '.join(self._topics)}")
        view = known.builder(self._look(version))
        self._built[topic] = (version, view)
        return view

    def _look(self, version: int) -> ViewContext:
        """One context for all topics of a version, so that they share their verdicts and cannot disagree."""
        if self._context is None or self._context[0] != version:
            journal = JournalState(
                seq=self._journal.seq,
                head=self._journal.head.hex(),
                unavailable=self._journal.unavailable,
                doubt=self._journal.doubt,
                verified=self.verified,
            )
            now_mono = self._clock.mono()
            look = ViewContext(self._estate, self._world, now_mono, self._folds, journal, self._library, self._memory)
            self._context = (version, look)
        return self._context[1]
