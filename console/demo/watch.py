"""What the demonstration measures: the engine's stream as a console gets it, and the lab's own count of orders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from console.client.engine_client import Connected, EngineClient, Line
from state.api.views.overview import OverviewView
from state.api.views.replication import ReplicationView
from state.api.views.runbooks import RunbooksView
from state.api.wire import Mirror
from state.errors import RecoveryError
from state.health import Health

if TYPE_CHECKING:
    from adapters.lab.client import LabClient

KINDS: dict[str, type] = {"overview": OverviewView, "replication": ReplicationView, "runbooks": RunbooksView}
SAMPLE_EVERY = 0.05  # seconds; the resolution of the write outage


class NotSeen(RecoveryError):
    """Something the story waits for did not happen in time."""

    title = "Not seen"


@dataclass(frozen=True, slots=True)
class Turn:
    """A service's verdict changed: when (seconds since 1970, as a console got it), to what, and why."""

    at: float
    service: str
    health: Health
    message: str


class Watcher:
    """Mirrors of the engine's views, and every change of a service's verdict."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._mirrors: dict[str, Mirror[Any]] = {}
        self._news = asyncio.Event()
        self._last: dict[str, Health] = {}
        self.turns: list[Turn] = []

    def view(self, topic: str) -> Any:
        """A view as last received, or None."""
        mirror = self._mirrors.get(topic)
        return None if mirror is None else mirror.view

    async def run(self) -> None:
        """Follow the stream until cancelled."""
        async for item in self._client.follow(tuple(KINDS)):
            if isinstance(item, Connected):
                self._mirrors = {topic: Mirror(kind) for topic, kind in KINDS.items()}
            elif isinstance(item, Line) and item.content.get("topic") in self._mirrors:
                topic = str(item.content["topic"])
                self._mirrors[topic].apply(item.content)
                if topic == "overview":
                    self._note_turns()
                self._news.set()
                self._news = asyncio.Event()

    def _note_turns(self) -> None:
        view: OverviewView | None = self.view("overview")
        if view is None:
            return
        for name, row in view.services.items():
            if self._last.get(name) is not row.health:
                self._last[name] = row.health
                self.turns.append(Turn(time.time(), name, row.health, row.message))

    async def until(self, what: str, seen: Callable[[], bool], seconds: float) -> None:
        """Wait until `seen` is true. Raises NotSeen after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not seen():
                    await self._news.wait()
        except TimeoutError:
            raise NotSeen(f"{what}: not within {seconds:.0f} s. {self.message()}") from None

    def message(self) -> str:
        """The services as last received."""
        view: OverviewView | None = self.view("overview")
        rows = view.services.values() if view is not None else ()
        return "; ".join(f"{row.name} {row.health.value} {row.message}" for row in rows) or "nothing was received"

    def service(self, name: str) -> Health:
        """A service's verdict; unknown when nothing was received."""
        view: OverviewView | None = self.view("overview")
        row = view.services.get(name) if view is not None else None
        return row.health if row is not None else Health.UNKNOWN

    def all_pass(self) -> bool:
        """Every service and every cluster passes, and there is at least one of each."""
        overview: OverviewView | None = self.view("overview")
        replication: ReplicationView | None = self.view("replication")
        if overview is None or replication is None:
            return False
        services = [row.health for row in overview.services.values()]
        clusters = [row.health for row in replication.clusters.values()]
        return bool(services) and bool(clusters) and set(services + clusters) == {Health.PASS}

    async def turned(self, service: str, health: Health, *, after: float, seconds: float) -> float:
        """When a service first changed to a verdict after an instant. Raises NotSeen after `seconds`."""

        def found() -> Turn | None:
            turns = (t for t in self.turns if t.service == service and t.health is health and t.at >= after)
            return next(turns, None)

        await self.until(f"{service} {health.value}", lambda: found() is not None, seconds)
        turn = found()
        assert turn is not None
        return turn.at

    def last_turn(self, service: str, health: Health) -> float | None:
        """When a service last changed to a verdict."""
        return next((t.at for t in reversed(self.turns) if t.service == service and t.health is health), None)


@dataclass(slots=True)
class OrderGap:
    """The longest time without an acknowledged order, by the lab's own count; seconds."""

    longest: float = 0.0
    first: int | None = None
    last: int = 0
    _moved: float = field(default_factory=time.monotonic)

    async def run(self, lab: LabClient) -> None:
        """Sample until cancelled."""
        from adapters.lab.errors import LabError

        while True:
            try:
                load = (await lab.status())["load"] or {}
            except LabError:  # a missing sample makes the gap longer, it never hides one
                load = {}
            self.record(int(load.get("orders_acknowledged", self.last)), time.monotonic())
            await asyncio.sleep(SAMPLE_EVERY)

    def record(self, count: int, now: float) -> None:
        """Take one sample."""
        if self.first is None:
            self.first, self._moved = count, now
        self.longest = max(self.longest, now - self._moved)
        if count != self.last:
            self._moved = now
        self.last = count
