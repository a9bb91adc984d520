"""What actions may ask for: cards, forms, notices, dialogs. All that is previewed or sent goes through here.

Dialogs are imported when they are first opened: none of them is needed for the first frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from console.tui.actions.base import Then
from console.tui.glyphs import FAIL, OK, WARN
from console.tui.screens.base import MainScreen
from console.tui.text import cell
from state.api.card import Card
from state.api.messages import Accepted
from state.api.views.runbooks import Param
from state.errors import RecoveryError
from state.units import utc

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp
    from console.tui.dialogs.find import Destination

NOTICE_SECONDS = 12.0


class Navigator:
    """Serves the actions of one app (see `actions.Desk`)."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._notice = ""
        self._notice_until = 0.0
        self.started = ""
        """The run this person started last, until the runbooks screen has shown it."""
        self.verified: Text = cell("")
        """What came of the last verification asked for here."""

    @property
    def front(self) -> MainScreen | None:
        """The main screen in front, unless a dialog covers it."""
        screen = self._app.screen
        return screen if isinstance(screen, MainScreen) else None

    @property
    def notice(self) -> str:
        """What the last line says, for a while."""
        return self._notice if time.monotonic() < self._notice_until else ""

    def say(self, message: str) -> None:
        """A notice in the last line."""
        self._notice = message
        self._notice_until = time.monotonic() + NOTICE_SECONDS
        if self.front is not None:
            self.front.paint_chrome()

    def preview(self, request: Mapping[str, Any], former: Card | None = None) -> None:
        self.say("asking the engine what would happen")
        self._app.run_worker(self._preview(request, former), group="preview", exclusive=True, exit_on_error=False)

    async def _preview(self, request: Mapping[str, Any], former: Card | None) -> None:
        from console.tui.dialogs.base import TextDialog
        from console.tui.dialogs.card import CardDialog

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
        from console.tui.dialogs.question import Question, QuestionDialog

        self._app.push_screen(QuestionDialog(Question(title, tuple(facts)), send))

    def ask(self, title: str, params: Sequence[Param], then: Then) -> None:
        from console.tui.dialogs.form import FormDialog

        self._app.push_screen(FormDialog(title, params), lambda given: then(given) if given is not None else None)

    def send_control(self, run: str, request: Mapping[str, Any]) -> Any:
        return self._app.client.control(run, request)

    def send_stop_all(self) -> Any:
        return self._app.client.stop_all()

    def verify_journal(self) -> None:
        self._app.run_worker(self._verify(), group="verify", exclusive=True, exit_on_error=False)

    async def _verify(self) -> None:
        header = self._app.store.header
        count = f"{header.journal_seq} entries" if header is not None else "every entry"
        self._tell_verified(f"verifying {count} from the first on …", WARN)
        try:
            problem = await self._app.client.journal_verify()
        except RecoveryError as failed:
            self._tell_verified(f"not verified: {failed}", WARN)
            return
        at = utc(self._app.store.wall)
        if problem:
            self._tell_verified(f"THE CHAIN IS BROKEN ({at}): {problem}", FAIL)
        else:
            self._tell_verified(f"the chain holds: {count} verified at {at}", OK)

    def _tell_verified(self, message: str, style: str) -> None:
        self.verified = cell(message, style)
        self.say(message)
        if self.front is not None:
            self.front.tick()

    def open_help(self) -> None:
        from console.tui.dialogs.help import help_dialog

        front = self.front
        if front is not None:
            self._app.push_screen(help_dialog(front.context(), self._app.tabs, front.title_, type(front).__doc__ or ""))

    def open_palette(self) -> None:
        from console.tui.dialogs.palette import PaletteDialog

        if self.front is not None:
            self._app.push_screen(PaletteDialog(self.front), lambda run: run() if run is not None else None)

    def open_presenter(self) -> None:
        from console.tui.dialogs.presenter import PresenterDialog

        self._app.push_screen(PresenterDialog())

    def open_detail(self, front: MainScreen) -> None:
        """Everything about the row under the cursor, on the whole terminal."""
        from console.tui.dialogs.detail import DetailDialog

        if self.front is front:
            self._app.push_screen(DetailDialog(front.title_, front.detail_rows))

    def open_place(self, screen: str, table: str, key: str) -> None:
        """Go to one row of a screen."""
        self._app.switch_mode(screen)
        self._app.call_after_refresh(self._reveal, screen, table, key)

    def open_goto(self) -> None:
        from console.tui.dialogs.find import GoToDialog, places

        self._app.push_screen(GoToDialog(places(self._app.store)), self._go)

    def _go(self, place: Destination | None) -> None:
        if place is not None:
            self.open_place(place.screen, place.table, place.key)

    def _reveal(self, screen: str, table: str, key: str) -> None:
        if self.front is not None and self.front.name_ == screen:
            self.front.reveal(table, key)

    def open_filter(self) -> None:
        from console.tui.dialogs.find import FilterDialog

        front = self.front
        table = front.table_in_focus() if front is not None else None
        if front is not None and table is not None:
            before = front.filters.get(table.id or "", "")
            names = ", ".join(column.key for column in table.columns)
            self._app.push_screen(FilterDialog(before, names, lambda needle: front.filter(table, needle)))

    def filter_to(self, needle: str) -> None:
        """Show only matching rows of the table in focus; escape shows all again."""
        front = self.front
        table = front.table_in_focus() if front is not None else None
        if front is not None and table is not None:
            front.filter(table, needle)

    def step_back(self) -> None:
        front = self.front
        table = front.table_in_focus() if front is not None else None
        if front is not None and table is not None:
            front.filter(table, "")
            self.say("")

    def leave(self) -> None:
        self._app.exit(0)
