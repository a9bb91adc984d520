"""The console's composition root: one client, one store, one mode per screen."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.worker import Worker, WorkerState

from console.client.engine_client import Connected, EngineClient, Line, Lost
from console.tui.navigator import Navigator
from console.tui.parts.living import Living
from console.tui.screens import SCREENS
from console.tui.store import Store
from console.tui.terminal.app import TerminalApp
from console.tui.terminal.capabilities import Terminal
from state.capabilities import topics

if TYPE_CHECKING:
    from console.tui.early import StreamItem

AT_MOST_EVERY = 0.25
RESTART_SECONDS = 5.0
SETTLED = 1.5
"""Seconds after which a start is over."""
DIALOGS = (
    "dialogs.card",
    "dialogs.form",
    "dialogs.find",
    "dialogs.help",
    "dialogs.detail",
    "dialogs.presenter",
    "dialogs.palette",
)


class ConsoleApp(TerminalApp):
    """One person's console. It previews and submits; the engine decides and acts."""

    ENABLE_COMMAND_PALETTE = False
    MODES: ClassVar[dict[str, Any]] = {tab.name_: tab.open for tab in SCREENS}
    DEFAULT_MODE = SCREENS[0].name_
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(screen.digit, f"switch_mode('{screen.name_}')", screen.title_, show=False) for screen in SCREENS
    ]
    tabs: ClassVar[tuple[tuple[str, str], ...]] = tuple((screen.digit, screen.title_) for screen in SCREENS)

    def __init__(self, path: str, terminal: Terminal, told: AsyncIterator[StreamItem] | None = None) -> None:
        """`told` is a stream that was begun already; without one it begins with the app."""
        super().__init__(terminal)
        self.client = EngineClient(path)
        self._told = told
        self.store = Store()
        self.desk = Navigator(self)
        self._announced = 0.0
        self._announcing = False

    # -- what the engine tells

    def on_load(self) -> None:
        """The engine is asked while the first screen is being made: the first frame may show its answer."""
        self.run_worker(self._follow(), group="engine", exit_on_error=False)

    def on_mount(self) -> None:
        self.set_interval(1.0, self._tick)
        self.set_timer(SETTLED, self._settle)

    def _settle(self) -> None:
        """The first frames are out: look for garbage from now on, and load what was left out."""
        gc.freeze()
        gc.enable()
        self._load_next(iter((*(f"screens.{tab.name_}" for tab in SCREENS), *DIALOGS)))

    def _load_next(self, names: Iterator[str]) -> None:
        """One module after the other, so that no key waits long; later the files may be others than now."""
        name = next(names, None)
        if name is not None:
            import_module(f"console.tui.{name}")
            self.set_timer(0.02, lambda: self._load_next(names))

    async def _follow(self) -> None:
        told_by, self._told = self._told or self.client.follow(tuple(topics())), None
        async for told in told_by:
            match told:
                case Connected(hello):
                    # StreamItem with the first line, which comes at once: it must not wait for the next quarter.
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
        except (TypeError, ValueError, KeyError) as broken:
            self.desk.say(f"the engine sent what this console cannot read ({type(broken).__name__})")

    def _announce(self) -> None:
        """Tell the screen in front, at most four times a second, never later than a quarter."""
        if not self._announcing:
            self._announcing = True
            wait = self._announced + AT_MOST_EVERY - time.monotonic()
            self.set_timer(max(0.001, wait), self._tell)

    def _tell(self) -> None:
        if not self.is_running:
            return
        self._announcing = False
        self._announced = time.monotonic()
        changed = self.store.take_changes()
        if changed is not None:
            self.screen.post_message(changed)

    def _tick(self) -> None:
        self.store.beat()
        if self.is_running and isinstance(self.screen, Living) and self.screen.ready:
            self.screen.tick()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A defect in a worker is told, never fatal; the stream starts again."""
        if event.state is not WorkerState.ERROR:
            return
        message = f"a defect in this console: {type(event.worker.error).__name__}"
        self.desk.say(message)
        if event.worker.group == "engine":
            self.store.lost(message)
            self._announce()
            self.set_timer(
                RESTART_SECONDS, lambda: self.run_worker(self._follow(), group="engine", exit_on_error=False)
            )
