"""The console's composition root: one client, one store, one mode per topic with a screen. Only this file knows all."""

from __future__ import annotations

import asyncio
import gc
import pkgutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from textual._styles_cache import StylesCache
from textual.await_complete import AwaitComplete
from textual.worker import Worker, WorkerState

from console.client.engine_client import Connected, EngineClient, Line, Lost, console_name
from console.tui import dialogs
from console.tui.navigator import Navigator
from console.tui.parts.approvals import ApprovalNews
from console.tui.parts.living import Living
from console.tui.parts.recorder import Recorder
from console.tui.screens import open_screen, screen_class
from console.tui.session import Recent
from console.tui.store import Store
from console.tui.terminal.app import TerminalApp
from console.tui.terminal.capabilities import Terminal
from console.tui.terminal.later import call_after
from console.tui.theme import select
from state.api.sessions import SeenKind
from state.api.topics import Topic
from state.api.wire import UNREADABLE
from state.capabilities import topics
from state.errors import RecoveryError

if TYPE_CHECKING:
    from console.tui.early import StreamItem

AT_MOST_EVERY = 0.25
RESTART_SECONDS = 5.0
SETTLED = 1.5
"""Seconds after which a start is over."""


def tabs() -> tuple[Topic, ...]:
    """The topics that have a screen, in the order of their digits."""
    return tuple(topic for topic in topics().values() if topic.digit)


class ConsoleApp(TerminalApp):
    """One person's console. It previews and submits; the engine decides and acts. Fulfils Session."""

    ENABLE_COMMAND_PALETTE = False
    DEFAULT_MODE = tabs()[0].name

    def __init__(
        self,
        path: str,
        terminal: Terminal,
        told: AsyncIterator[StreamItem] | None = None,
        store: Store | None = None,
        client: EngineClient | None = None,
    ) -> None:
        """`told` is a stream of `client` that was begun already; without one it begins with the app."""
        super().__init__(terminal)
        self.client = client or EngineClient(path, console_name())
        self.attached_as = self.client.console
        self.client.screen = self.DEFAULT_MODE
        self._told = told
        self.store = store or Store()
        self.store.on_unreadable = self._unreadable
        self.recent, self.recorder = Recent(), Recorder(self.client)
        self.tabs = tabs()
        self.navigator = Navigator(self, self, self.client)
        for tab in self.tabs:
            self.add_mode(tab.name, partial(open_screen, tab))
            self.bind(tab.digit, f"switch_mode('{tab.name}')", description=tab.title, show=False)
        self._approval_news = ApprovalNews()
        self._announced = 0.0
        self._announcing = False

    def use_theme(self, name: str) -> None:
        select(self, name)

    def pop_screen(self) -> AwaitComplete:
        """Close the screen in front, and keep nothing of what it drew: Textual remembers a colour for each widget that
        there was, a thousand of them with all their lines."""
        self.recorder.note(SeenKind.CLOSED, getattr(self.screen, "title_", "") or type(self.screen).__name__)
        popped = super().pop_screen()
        StylesCache.get_inner_outer.cache_clear()
        return popped

    def looks_at(self, topic: str) -> None:
        if topic != self.client.screen:
            self.client.screen = topic
            self.recorder.note(SeenKind.SCREEN, topic)
            self.run_worker(self._look(topic), group="look", exclusive=True, exit_on_error=False)

    async def _look(self, topic: str) -> None:
        """Others see it; without an engine nobody does, and the next stream tells it again."""
        with suppress(RecoveryError):
            await self.client.look(topic)

    # -- what the engine tells

    def on_load(self) -> None:
        """The engine is asked while the first screen is being made: the first frame may show its answer."""
        self.run_worker(self._follow(), group="engine", exit_on_error=False)

    def on_mount(self) -> None:
        self.recorder.note(SeenKind.SCREEN, self.DEFAULT_MODE, f"{self.size.width}x{self.size.height}")
        self.set_interval(1.0, self._tick)
        call_after(self, SETTLED, self._settle)

    def _settle(self) -> None:
        """The first frames are out: look for garbage from now on, and load what was left out."""
        gc.freeze()
        gc.enable()
        self._load_next(self._left_out())

    def _left_out(self) -> Iterator[object]:
        """Load what the first frame did without, a piece with each step."""
        for tab in self.tabs:
            yield screen_class(tab)
        for module in pkgutil.iter_modules(dialogs.__path__):
            yield import_module(f"{dialogs.__name__}.{module.name}")

    def _load_next(self, pieces: Iterator[object]) -> None:
        """One piece after the other, so that no key waits long; later the files may be others than now."""
        if next(pieces, None) is not None:
            call_after(self, 0.02, lambda: self._load_next(pieces))

    def _follow_again(self) -> None:
        self.run_worker(self._follow(), group="engine", exit_on_error=False)

    async def _follow(self) -> None:
        told_by, self._told = self._told or self.client.follow(tuple(topics())), None
        async for told in told_by:
            match told:
                case Connected(hello):
                    # Told with the first line, which comes at once: it must not wait for the next quarter.
                    self.store.connected(hello)
                    continue
                case Lost(reason):
                    self.store.lost(reason)
                case Line(content):
                    self._apply(content)
            self._announce()

    def _apply(self, content: Mapping[str, Any]) -> None:
        try:
            self.store.apply(content)
        except UNREADABLE as broken:
            self._unreadable("", broken)

    def _unreadable(self, topic: str, broken: Exception) -> None:
        of_topic = f" about {topic}" if topic else ""
        message = f"the engine sent what this console cannot read{of_topic} ({type(broken).__name__})"
        self.call_later(self.navigator.say, message)
        if self.store.live:  # a row that was not read would stay as it was and seem fresh: all is asked for again
            self.workers.cancel_group(self, "engine")
            self._begin_again(message)

    def _announce(self) -> None:
        """Tell the screen in front, at most four times a second, never later than a quarter."""
        if not self._announcing:
            self._announcing = True
            wait = self._announced + AT_MOST_EVERY - time.monotonic()
            # On the loop itself: it waits neither for what the app awaits, nor is it dropped after a pause.
            asyncio.get_running_loop().call_later(max(0.0, wait), self._tell)

    def _tell(self) -> None:
        if not self.is_running:
            return
        self._announcing = False
        self._announced = time.monotonic()
        changed = self.store.take_changes()
        if changed is not None:
            self.screen.post_message(changed)
            if news := self._approval_news.of(self.store):
                self.navigator.say(news)
                self.bell()

    def _tick(self) -> None:
        self.store.beat()
        if self.recorder.waits and self.store.live:
            self.run_worker(self.recorder.tell(), group="record", exit_on_error=False)
        if self.is_running and isinstance(self.screen, Living) and self.screen.ready:
            self.screen.tick()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A defect in a worker is told, never fatal; the stream starts again."""
        if event.state is not WorkerState.ERROR:
            return
        message = f"a defect in this console: {type(event.worker.error).__name__}"
        self.navigator.say(message)
        if event.worker.group == "engine":
            self._begin_again(message)

    def _begin_again(self, reason: str) -> None:
        self.store.lost(reason)
        self._announce()
        call_after(self, RESTART_SECONDS, self._follow_again)
