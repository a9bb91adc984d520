"""What actions may ask for: cards, forms, notices, dialogs. All that is previewed or sent goes through here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textual.command import CommandPalette

from console.tui.actions import Then
from console.tui.dialogs.base import TextDialog
from console.tui.dialogs.card import CardDialog
from console.tui.dialogs.find import FilterDialog, GoToDialog, Place, places
from console.tui.dialogs.form import FormDialog
from console.tui.dialogs.help import help_dialog
from console.tui.dialogs.presenter import PresenterDialog
from console.tui.glyphs import FAIL
from console.tui.screens.base import MainScreen
from console.tui.text import cell
from state.api import Param
from state.errors import RecoveryError
from state.requests import Accepted, Card, CardLine, Confirm

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp

NOTICE_SECONDS = 12.0
ARM_SECONDS = 0.5
CONFIRM_SECONDS = 120.0


class ConsoleDesk:
    """Serves the actions of one app (see `actions.Desk`)."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._notice = ""
        self._notice_until = 0.0
        self.started = ""
        """The run this person started last, until the runbooks screen has shown it."""

    @property
    def front(self) -> MainScreen | None:
        """The main screen in front, unless a dialog covers it."""
        screen = self._app.screen
        return screen if isinstance(screen, MainScreen) else None

    @property
    def notice(self) -> str:
        """What the last line says, for a while."""
        return self._notice if time.monotonic() < self._notice_until else ""

    def say(self, words: str) -> None:
        """A notice in the last line."""
        self._notice = words
        self._notice_until = time.monotonic() + NOTICE_SECONDS
        if self.front is not None:
            self.front.paint_chrome()

    def preview(self, request: Mapping[str, Any], former: Card | None = None) -> None:
        self.say("asking the engine what would happen")
        self._app.run_worker(self._preview(request, former), group="preview", exclusive=True, exit_on_error=False)

    async def _preview(self, request: Mapping[str, Any], former: Card | None) -> None:
        mode = self._app.current_mode
        try:
            card = await self._app.client.preview(request)
        except RecoveryError as refused:
            self.say("")
            self._app.push_screen(TextDialog(refused.title, [cell(str(refused), FAIL), cell(refused.hint)]))
            return
        if mode != self._app.current_mode or self.front is None:
            self.say(f"the plan {card.title} was put away: you had moved on")
            return
        self.say("")

        def then(result: str | None) -> None:
            if result == "again":
                self.preview(request, card)

        self._app.push_screen(CardDialog(card, self._submit, former), then)

    async def _submit(self, card: Card, typed: Mapping[str, str]) -> Accepted:
        accepted = await self._app.client.submit(
            {"plan": card.plan, "fingerprint": card.fingerprint, "typed": dict(typed)}
        )
        self.started = accepted.run
        return accepted

    def confirm(self, title: str, facts: Sequence[tuple[str, str]], send: Callable[[], Any]) -> None:
        lines = tuple(CardLine(label, words) for label, words in facts)
        card = Card("", title, "", Confirm.YES, "Y", "", "", "", ARM_SECONDS, CONFIRM_SECONDS, lines, (), ())
        self._app.push_screen(CardDialog(card, lambda _card, _typed: send()))

    def ask(self, title: str, params: Sequence[Param], then: Then) -> None:
        self._app.push_screen(FormDialog(title, params), lambda given: then(given) if given is not None else None)

    def send_control(self, run: str, request: Mapping[str, Any]) -> Any:
        return self._app.client.control(run, request)

    def send_stop_all(self) -> Any:
        return self._app.client.stop_all()

    def verify_journal(self) -> None:
        self._app.run_worker(self._verify(), group="verify", exclusive=True, exit_on_error=False)

    async def _verify(self) -> None:
        self.say("verifying every entry")
        try:
            problem = await self._app.client.journal_verify()
        except RecoveryError as failed:
            self.say(f"not verified: {failed}")
            return
        self.say(
            f"THE CHAIN IS BROKEN: {problem}" if problem else "the chain holds, from the first entry to the head"
        )

    def open_help(self) -> None:
        front = self.front
        if front is not None:
            self._app.push_screen(
                help_dialog(front.context(), self._app.tabs, front.title_, type(front).__doc__ or "")
            )

    def open_palette(self) -> None:
        self._app.push_screen(CommandPalette())

    def open_presenter(self) -> None:
        self._app.push_screen(PresenterDialog())

    def open_goto(self) -> None:
        self._app.push_screen(GoToDialog(places(self._app.store)), self._go)

    def _go(self, place: Place | None) -> None:
        if place is not None:
            self._app.switch_mode(place.screen)
            self._app.call_after_refresh(self._reveal, place)

    def _reveal(self, place: Place) -> None:
        if self.front is not None and self.front.name_ == place.screen:
            self.front.reveal(place.table, place.key)

    def open_filter(self) -> None:
        front = self.front
        table = front.table_in_focus() if front is not None else None
        if front is not None and table is not None:
            before = front.filters.get(table.id or "", "")
            self._app.push_screen(FilterDialog(before, lambda needle: front.filter(table, needle)))

    def step_back(self) -> None:
        front = self.front
        table = front.table_in_focus() if front is not None else None
        if front is not None and table is not None:
            front.filter(table, "")
            self.say("")

    def leave(self) -> None:
        self._app.exit(0)
