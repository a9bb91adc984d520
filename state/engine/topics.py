"""Builds the topics consoles see, once per version of the world however many look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from state.clock import Clock
from state.engine.detector import Detector
from state.errors import NotFound
from state.estate.model import Estate
from state.journal.writer import Journal
from state.planning.library import Library
from state.runs.fold import RunHistory
from state.views.header import EngineFacts, header
from state.views.journal import JournalTail
from state.views.memory import Memory
from state.views.overview import overview
from state.views.replication import replication
from state.views.runbooks import runbooks
from state.views.traffic import traffic
from state.world.world import World


class Board:
    """Views by topic. A view is the same object as before when nothing in it changed."""

    def __init__(
        self,
        estate: Estate,
        world: World,
        watch: Detector,
        book: RunHistory,
        tail: JournalTail,
        journal: Journal,
        library: Library,
        clock: Clock,
    ) -> None:
        self._estate, self._world, self._watch, self._book = estate, world, watch, book
        self._tail, self._journal, self._clock = tail, journal, clock
        self._library = library.rows()
        self._memory = Memory()
        self._built: dict[str, tuple[int, Any]] = {}
        self.verified = "not verified yet"
        self._makers: Mapping[str, Callable[[float], Any]] = {
            "header": self._header,
            "overview": lambda now: overview(estate, world, watch.clocks, now, self._memory),
            "replication": lambda now: replication(estate, world, now, self._memory),
            "traffic": lambda now: traffic(estate, world, watch.expected, now, self._memory),
            "runbooks": lambda now: self._memory.keep("runbooks", runbooks(self._library, book)),
            "journal": lambda now: self._memory.keep("journal", self._journal_view()),
        }

    def view(self, topic: str, version: int) -> Any:
        """The topic at a version of the world. Raises NotFound."""
        built = self._built.get(topic)
        if built is not None and built[0] == version:
            return built[1]
        maker = self._makers.get(topic)
        if maker is None:
            raise NotFound(f"no topic {topic}; there are {', '.join(self._makers)}")
        view = maker(self._clock.mono())
        self._built[topic] = (version, view)
        return view

    def _header(self, now_mono: float) -> Any:
        open_runs = self._book.open()
        desk = EngineFacts(
            running=tuple(f"{r.id} {r.title} {r.shown_state().value}" for r in open_runs),
            effects=self._journal.unavailable,
            journal_seq=self._journal.seq,
            journal_head=self._journal.head.hex(),
            alarms=(self._journal.doubt,) if self._journal.doubt else (),
        )
        return header(self._estate, self._world, self._watch.clocks, self._watch.expected, desk, now_mono, self._memory)

    def _journal_view(self) -> Any:
        return self._tail.view(
            seq=self._journal.seq,
            head=self._journal.head,
            durable=self._journal.unavailable,
            verified=self.verified,
        )
