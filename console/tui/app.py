"""The console's composition root: one client, one store, one mode per screen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.worker import Worker, WorkerState

from console.client import Connected, EngineClient, Line, Lost
from console.tui.desk import ConsoleDesk
from console.tui.dialogs.base import Dialog
from console.tui.dialogs.find import FilterDialog
from console.tui.palette import Everything
from console.tui.screens import SCREENS, MainScreen
from console.tui.store import Store
from console.tui.terminal import Terminal
from console.tui.terminal_app import TerminalApp
from state.api import TOPICS

AT_MOST_EVERY = 0.25
RESTART_SECONDS = 5.0


class ConsoleApp(TerminalApp):
    """One person's console. It previews and submits; the engine decides and acts."""

    ENABLE_COMMAND_PALETTE = False
    CSS = "CommandPalette SearchIcon { display: none; }"
    COMMANDS: ClassVar[set[type[Everything]]] = {Everything}  # type: ignore[assignment]
    MODES: ClassVar[dict[str, type[MainScreen]]] = {screen.name_: screen for screen in SCREENS}  # type: ignore[assignment]
    DEFAULT_MODE = SCREENS[0].name_
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(screen.digit, f"switch_mode('{screen.name_}')", screen.title_, show=False) for screen in SCREENS
    ]
    tabs: ClassVar[tuple[tuple[str, str], ...]] = tuple((screen.digit, screen.title_) for screen in SCREENS)

    def __init__(self, path: str, terminal: Terminal) -> None:
        super().__init__(terminal)
        self.client = EngineClient(path)
        self.store = Store()
        self.desk = ConsoleDesk(self)
        self._announced = 0.0
        self._announcing = False

    # -- what the engine tells

    def on_mount(self) -> None:
        self.run_worker(self._follow(), group="engine", exit_on_error=False)
        self.set_interval(1.0, self._tick)

    async def _follow(self) -> None:
        async for told in self.client.follow(tuple(TOPICS)):
            match told:
                case Connected(hello):
                    self.store.connected(hello)
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
            target = self.screen_stack[0] if isinstance(self.screen, FilterDialog) else self.screen
            target.post_message(changed)

    def _tick(self) -> None:
        if self.is_running and isinstance(self.screen, MainScreen | Dialog) and self.screen.ready:
            self.screen.tick()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A defect in a worker is told, never fatal; the stream starts again."""
        if event.state is not WorkerState.ERROR:
            return
        words = f"a defect in this console: {type(event.worker.error).__name__}"
        self.desk.say(words)
        if event.worker.group == "engine":
            self.store.lost(words)
            self._announce()
            self.set_timer(
                RESTART_SECONDS, lambda: self.run_worker(self._follow(), group="engine", exit_on_error=False)
            )
