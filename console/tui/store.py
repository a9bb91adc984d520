"""What the console knows of the world: the mirrors of all topics, the engine's clock, the state of the link."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar, overload

from textual.message import Message

from console.tui.mirror import LazyMirror, Touched
from state.api.messages import Hello
from state.api.views.header import HeaderView, SourceRow
from state.api.wire import UNREADABLE
from state.capabilities import topics
from state.errors import Trouble
from state.text import cut_middle
from state.world.freshness import Freshness, freshness

V = TypeVar("V")
AHEAD = 5.0
"""Seconds by which an instant may lie before the engine's clock; more, and it is of another clock."""


class LinkState(StrEnum):
    """Whether the engine is heard."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"


class EngineLink(NamedTuple):
    """The connection to the engine; `since` is this process's monotonic clock."""

    state: LinkState
    since: float
    reason: str = ""


class Changed(Message):
    """The engine told something about these topics; sent to the screen in front, at most four times a second."""

    def __init__(self, topics: frozenset[str]) -> None:
        super().__init__()
        self.topics = topics


class Age(NamedTuple):
    """How old a value is against its limit, both in seconds; `seconds` None = never read.

    The one place where it is decided whether a value may still be shown and whether it must say that it is old.
    """

    seconds: float | None
    limit: float
    lost: bool = False
    """Whether the engine that told the value is lost, for `seconds`: then nothing of it may be shown."""
    why: str = ""
    """What its source said instead at the last attempt: `denied: …`; empty when it answered, or nothing is known."""

    @property
    def freshness(self) -> Freshness:
        return Freshness.GONE if self.lost else freshness(self.seconds, self.limit)

    @property
    def fresh(self) -> bool:
        """Young enough to be shown without a mark."""
        return self.freshness is Freshness.FRESH

    @property
    def withheld(self) -> bool:
        """Too old to be shown at all, or never read."""
        return self.freshness.withheld

    @property
    def burden(self) -> float:
        """Age in limits: what makes one value older than another."""
        return float("inf") if self.seconds is None else self.seconds / max(self.limit, 0.001)


FRESH = Age(0.0, 1.0)
WHY = 110
"""So many cells of a source's message are shown as the reason for a missing value."""


def _why(row: SourceRow) -> str:
    """A timeout says it all; of the others the source's own message tells what to repair."""
    if not row.message or row.trouble in ("", Trouble.TIMEOUT):
        return row.trouble
    return f"{row.trouble}: {cut_middle(row.message, WHY)}"


def _ignore(_topic: str, _broken: Exception) -> None:
    return


class Store:
    """Fed by the stream, read by the screens. Views are replaced whole, never changed in place."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        known = topics()
        self._mirrors = {name: LazyMirror(topic) for name, topic in known.items()}
        self._names = {topic.view: name for name, topic in known.items()}
        self._kinds: dict[type, str] = {}
        self._dirty: set[str] = set()
        self._mono_ahead: float | None = None
        self._wall_ahead = 0.0
        self._beat = clock()
        self.hello: Hello | None = None
        self.link = EngineLink(LinkState.CONNECTING, clock())
        self.link_changed = False
        self.on_unreadable: Callable[[str, Exception], object] = _ignore
        """Called with a topic's name when its frames could not be decoded."""

    # -- what the stream tells

    def connected(self, hello: Hello) -> None:
        """A new stream begins: mirrors start afresh, the last views stay until theirs are complete."""
        for mirror in self._mirrors.values():
            mirror.restart()
        self.hello = hello
        self._set_clock(hello.mono, hello.wall)
        self._set_link(EngineLink(LinkState.LIVE, self._clock()))
        self.beat()

    def lost(self, reason: str) -> None:
        """The stream is gone; what is on the screens grows old in plain sight."""
        since = self.link.since if self.link.state is LinkState.LOST else self._clock()
        self._set_link(EngineLink(LinkState.LOST, since, reason))

    def apply(self, content: Mapping[str, Any]) -> None:
        """Take one line of the stream. Raises TypeError, ValueError or KeyError for an invalid frame."""
        tick = content.get("tick")
        if isinstance(tick, Mapping):
            self._set_clock(float(tick["mono"]), float(tick["wall"]))
        name = str(content.get("topic", ""))
        mirror = self._mirrors.get(name)
        if mirror is not None:
            mirror.apply(content)
            self._dirty.add(name)

    def take_changes(self) -> Changed | None:
        """The topics told about since the last call, or None when nothing was told."""
        if not self._dirty and not self.link_changed:
            return None
        dirty, self._dirty = frozenset(self._dirty), set()
        self.link_changed = False
        return Changed(dirty)

    def _set_clock(self, mono: float, wall: float) -> None:
        now = self._clock()
        self._mono_ahead = mono - now
        self._wall_ahead = wall - now

    def _set_link(self, link: EngineLink) -> None:
        self.link = link
        self.link_changed = True

    # -- views

    @overload
    def view(self, topic: type[V]) -> V | None: ...
    @overload
    def view(self, topic: str) -> Any: ...
    def view(self, topic: type[V] | str) -> V | Any | None:
        """The view of a topic, by its class or its name; None until the engine has told it whole."""
        name = topic if isinstance(topic, str) else self._name_of(topic)
        mirror = self._mirrors.get(name)
        if mirror is None:
            return None
        try:
            return mirror.view()
        except UNREADABLE as broken:
            self.on_unreadable(name, broken)
            return mirror.view()

    def failure(self, topic: str) -> str:
        """Why the engine has no view of a topic now; empty while it has one."""
        return self._mirrors[topic].failure

    def take_touched(self, topic: str) -> Touched:
        """The keys of a topic's rows that changed since the last call; for the screen that shows it."""
        return self._mirrors[topic].take_touched()

    def _name_of(self, kind: type) -> str:
        name = self._kinds.get(kind)
        if name is None:
            name = self._kinds[kind] = self._names.get(f"{kind.__module__}:{kind.__qualname__}", "")
        return name

    # -- clocks

    @property
    def live(self) -> bool:
        return self.link.state is LinkState.LIVE

    @property
    def link_age(self) -> float:
        """Seconds since the link is in its state."""
        return self._clock() - self.link.since

    @property
    def mono(self) -> float:
        """The engine's monotonic clock now, carried on by our own while it is silent."""
        return self._clock() + (self._mono_ahead or 0.0)

    def beat(self) -> None:
        """A second has passed on the screens: every running clock shows this instant until the next beat."""
        self._beat = self._clock()

    @property
    def beaten(self) -> float:
        """The instant of the last beat, by the engine's monotonic clock."""
        return self._beat + (self._mono_ahead or 0.0)

    def spent(self, mono: float, until: float | None = None) -> float:
        """Seconds from an instant of the engine's monotonic clock until another one, or until the last beat."""
        end = self.beaten if until is None else until
        return max(0.0, end - mono)

    @property
    def wall(self) -> float:
        """The engine's wall clock now, seconds since 1970; before any engine spoke, this host's."""
        return time.time() if self._mono_ahead is None else self._clock() + self._wall_ahead

    def since(self, mono: float) -> float:
        """Seconds from an instant of the engine's monotonic clock until now."""
        return max(0.0, self.mono - mono)

    # -- ages

    @property
    def sources(self) -> Mapping[str, SourceRow]:
        """Every source the engine reads, by name."""
        header = self.view(HeaderView)
        return header.sources if header is not None else {}

    def age(self, source: str) -> Age:
        """The age of what one source told; never read when the engine does not know the source."""
        if self.link.state is LinkState.LOST:
            return self._lost
        row = self.sources.get(source)
        if row is None:
            return Age(None, 1.0)
        if row.mono is None or row.mono - self.mono > AHEAD:  # never read, or read by an engine before a restart
            return Age(None, row.limit, why=_why(row))
        return Age(self.since(row.mono), row.limit, why=_why(row))

    def oldest(self, sources: Iterable[str]) -> Age:
        """The age a value from several sources must admit to: the oldest in its limits."""
        if self.link.state is LinkState.LOST:
            return self._lost
        return max((self.age(source) for source in sources), key=lambda age: age.burden, default=FRESH)

    @property
    def _lost(self) -> Age:
        return Age(self.link_age, 0.0, lost=True)

    def oldest_source(self) -> tuple[str, Age] | None:
        """The one source that is furthest past its limit, by name."""
        if not self.sources:
            return None
        name = max(self.sources, key=lambda each: self.age(each).burden)
        return name, self.age(name)

    @property
    def observer(self) -> bool:
        """Whether the engine lets this person start nothing."""
        return bool(self.barred)

    @property
    def barred(self) -> str:
        """Why this person can start nothing, as the engine says it, and what to do; empty for who may act."""
        if self.hello is None:
            return "the engine is not connected"
        why = self.hello.barred
        return "" if why is None else f"{why.fact}. {why.way_out}"
