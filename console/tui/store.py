"""What the console knows of the world: the mirrors of all topics, the engine's clock, the state of the link."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from textual.message import Message

from state.api.messages import Hello
from state.api.views.header import HeaderView
from state.api.views.journal import JournalView
from state.api.views.overview import OverviewView
from state.api.views.replication import ReplicationView
from state.api.views.runbooks import RunbooksView
from state.api.views.traffic import TrafficView
from state.api.wire import Mirror
from state.capabilities import topics
from state.world.observed import Freshness, freshness


class LinkState(StrEnum):
    """Whether the engine is heard."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class EngineLink:
    """The connection to the engine; `since` is this process's monotonic clock."""

    state: LinkState
    since: float
    reason: str = ""


class Changed(Message):
    """What the engine told since the last message; sent to the screen in front, at most four times a second.

    `keys` holds the touched row keys per topic and table; a topic without tables has an empty mapping.
    """

    def __init__(self, keys: Mapping[str, Mapping[str, frozenset[str]]]) -> None:
        super().__init__()
        self.keys = keys

    def touches(self, topics: Iterable[str]) -> bool:
        return any(topic in self.keys for topic in topics)


@dataclass(frozen=True, slots=True)
class Age:
    """How old a value is against its limit, both in seconds; `seconds` None = never read."""

    seconds: float | None
    limit: float

    @property
    def freshness(self) -> Freshness:
        return freshness(self.seconds, self.limit)

    @property
    def burden(self) -> float:
        """Age in limits: what makes one value older than another."""
        return float("inf") if self.seconds is None else self.seconds / max(self.limit, 0.001)


FRESH = Age(0.0, 1.0)


class Store:
    """Fed by the stream, read by the screens. Views are replaced whole, never changed in place."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._mirrors: dict[str, Mirror[Any]] = {}
        self._views: dict[str, Any] = {}
        self._dirty: dict[str, dict[str, set[str]]] = {}
        self._mono_ahead: float | None = None
        self._wall_ahead = 0.0
        self._beat = clock()
        self.hello: Hello | None = None
        self.link = EngineLink(LinkState.CONNECTING, clock())
        self.link_changed = False

    def connected(self, hello: Hello) -> None:
        """A new stream begins: mirrors start afresh, the last views stay until theirs are complete."""
        self._mirrors = {name: Mirror(topic.view_type) for name, topic in topics().items()}
        self.hello = hello
        self._set_clock(hello.mono, hello.wall)
        self._set_link(EngineLink(LinkState.LIVE, self._clock()))
        self.beat()

    def lost(self, reason: str) -> None:
        """The stream is gone; what is on the screens grows old in plain sight."""
        since = self.link.since if self.link.state is LinkState.LOST else self._clock()
        self._set_link(EngineLink(LinkState.LOST, since, reason))

    def apply(self, content: Mapping[str, Any]) -> None:
        """Fold one line of the stream in. Raises TypeError, ValueError or KeyError on a frame that is none."""
        tick = content.get("tick")
        if isinstance(tick, Mapping):
            self._set_clock(float(tick["mono"]), float(tick["wall"]))
        mirror = self._mirrors.get(str(content.get("topic", "")))
        if mirror is None:
            return
        topic = str(content["topic"])
        view = mirror.apply(content)
        touched = self._dirty.setdefault(topic, {})
        for table, keys in mirror.changed.items():
            touched.setdefault(table, set()).update(keys)
        if view is not None:
            self._views[topic] = view

    def take_changes(self) -> Changed | None:
        """Everything touched since the last call, or None."""
        if not self._dirty and not self.link_changed:
            return None
        keys = {
            topic: {table: frozenset(found) for table, found in tables.items()} for topic, tables in self._dirty.items()
        }
        self._dirty = {}
        self.link_changed = False
        return Changed(keys)

    def _set_clock(self, mono: float, wall: float) -> None:
        now = self._clock()
        self._mono_ahead = mono - now
        self._wall_ahead = wall - now

    def _set_link(self, link: EngineLink) -> None:
        self.link = link
        self.link_changed = True

    @property
    def header(self) -> HeaderView | None:
        return self._views.get("header")

    @property
    def overview(self) -> OverviewView | None:
        return self._views.get("overview")

    @property
    def replication(self) -> ReplicationView | None:
        return self._views.get("replication")

    @property
    def runbooks(self) -> RunbooksView | None:
        return self._views.get("runbooks")

    @property
    def traffic(self) -> TrafficView | None:
        return self._views.get("traffic")

    @property
    def journal(self) -> JournalView | None:
        return self._views.get("journal")

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

    def spent(self, mono: float, until: float | None = None) -> float:
        """Seconds from an instant of the engine's monotonic clock until another one, or until the last beat."""
        end = self._beat + (self._mono_ahead or 0.0) if until is None else until
        return max(0.0, end - mono)

    @property
    def wall(self) -> float:
        """The engine's wall clock now, seconds since 1970; before any engine spoke, this host's."""
        return time.time() if self._mono_ahead is None else self._clock() + self._wall_ahead

    def since(self, mono: float) -> float:
        """Seconds from an instant of the engine's monotonic clock until now."""
        return max(0.0, self.mono - mono)

    def age(self, source: str) -> Age:
        """The age of what one source told; never read when the engine does not know the source."""
        header = self.header
        row = header.sources.get(source) if header else None
        if row is None:
            return Age(None, 1.0)
        return Age(None if row.mono is None else self.since(row.mono), row.limit)

    def ages(self, sources: Iterable[str]) -> list[Age]:
        """Ages of several sources, oldest (in its limits) first."""
        return sorted((self.age(source) for source in sources), key=lambda age: age.burden, reverse=True)

    def oldest(self, sources: Iterable[str]) -> Age:
        """The age a value from several sources must admit to."""
        return next(iter(self.ages(sources)), FRESH)

    def oldest_source(self) -> tuple[str, Age] | None:
        """The one source that is furthest past its limit, by name."""
        header = self.header
        if header is None or not header.sources:
            return None
        key = max(header.sources, key=lambda name: self.age(name).burden)
        return key, self.age(key)

    @property
    def observer(self) -> bool:
        """Whether the engine lets this person act."""
        return self.hello is None or not self.hello.may_act
