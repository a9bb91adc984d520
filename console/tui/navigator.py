"""The requests of actions: cards, forms, notices, dialogs. Every preview and every send goes through here.

Dialogs are imported when they are first opened: none of them is needed for the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from console.client.engine_client import EngineClient
from console.tui.actions.registry import action_of
from console.tui.glyphs import FAIL
from console.tui.parts.proving import prove, proving
from console.tui.screens.base import MainScreen
from console.tui.session import ChainCheck, Check, Navigation, Over, Recent, Session, Then, still_open
from console.tui.text import begun, cell
from state.api.messages import Accepted
from state.errors import RecoveryError

if TYPE_CHECKING:
    from textual.app import App

    from console.tui.actions.base import Action
    from console.tui.parts.links import Link
    from console.tui.widgets.table import LineTable
    from state.api.card import Card
    from state.api.requests import ControlRequest, PlanRequest
    from state.api.views.runbooks import Param

MOST_TYPED = 30
"""Forms whose input is kept."""


MOST_STEPS = 20
"""Links that can be gone back."""


class RowPlace(NamedTuple):
    """One row of a screen."""

    screen: str
    table: str
    key: str


class Followed(NamedTuple):
    """A link that was followed: where from, and the screen it led to."""

    back: RowPlace
    to: str


class Navigator(Navigation):
    """Serves the actions of one console."""

    def __init__(self, app: App[int], session: Session, client: EngineClient) -> None:
        self._app = app
        self._session = session
        self._client = client
        self._trail: list[Followed] = []
        self._typed: dict[str, dict[str, str]] = {}
        """What was typed into forms that led to nothing yet, by their title."""
        self._asked: Callable[[], None] | None = None
        """Opens the form again whose answers are being used, for what they lead to and cannot be."""

    @property
    def _recent(self) -> Recent:
        return self._session.recent

    @property
    def front(self) -> MainScreen | None:
        """The main screen in front, unless a dialog covers it."""
        screen = self._app.screen
        return screen if isinstance(screen, MainScreen) else None

    def _table(self) -> tuple[MainScreen, LineTable] | None:
        """The table that keys act on, and its screen."""
        front = self.front
        table = front.table_in_focus() if front is not None else None
        return None if front is None or table is None else (front, table)

    def say(self, message: str) -> None:
        """A notice in the last line."""
        self._recent.tell(message)
        if self.front is not None:
            self.front.paint_chrome()

    # -- cards and confirmations

    def preview(self, request: PlanRequest, former: Card | None = None) -> None:
        self.say("asking the engine what would happen")
        looking = self._preview(request, former, self._asked)
        self._app.run_worker(looking, group="preview", exclusive=True, exit_on_error=False)

    async def _preview(self, request: PlanRequest, former: Card | None, asked: Callable[[], None] | None) -> None:
        from console.tui.dialogs.base import TextDialog
        from console.tui.dialogs.card import CardDialog

        mode = self._app.current_mode
        try:
            card = await self._client.preview(request)
        except RecoveryError as refused:
            self.say("")
            reason = TextDialog(refused.title, [cell(str(refused), FAIL), cell(refused.hint)])
            self._app.push_screen(reason, lambda _: asked() if asked is not None and self.front is not None else None)
            return
        if mode != self._app.current_mode or self.front is None:
            self.say(f"the plan {card.title} is not shown: you have left its screen")
            return
        self.say("")

        def then(result: str | None) -> None:
            if result == "again":
                self.preview(request, card)
            elif result == "override":
                self._override(request, card)
            elif result == "ask":
                self.open_approvals(card)

        self._app.push_screen(CardDialog(card, self._submit, former), then)

    def _override(self, request: PlanRequest, card: Card) -> None:
        """Ask for a reason for each safety rule that refuses a card, then for a card that overrides them."""
        from state.api.requests import overriding
        from state.api.views.runbooks import Param

        failing = {rule.own: rule.fact for rule in card.rules if not rule.passed and rule.own}
        given = getattr(request, "overrides", {})
        params = [
            Param(name, "text", "", (), True, title=f"why {fact} is to be accepted") for name, fact in failing.items()
        ]

        def then(reasons: Mapping[str, str]) -> None:
            self.preview(overriding(request, {**given, **reasons}), card)

        self.ask(f"Override safety rules: {card.title}", params, then)

    async def _submit(self, card: Card, typed: Mapping[str, str]) -> Accepted:
        from state.api.requests import Submission, Typed

        accepted = await self._client.submit(Submission(card.plan, card.fingerprint, Typed(**typed)))
        self._recent.started = accepted.run
        self._typed.clear()
        return accepted

    def confirm(self, title: str, facts: Sequence[tuple[str, str]], send: Callable[[], Any]) -> None:
        from console.tui.dialogs.question import Question, QuestionDialog

        self._app.push_screen(QuestionDialog(Question(title, tuple(facts)), send))

    def ask(
        self,
        title: str,
        params: Sequence[Param],
        then: Then,
        check: Check | None = None,
        over: Over = still_open,
        about: Sequence[tuple[str, str]] = (),
    ) -> None:
        from console.tui.dialogs.form import FormDialog, no_check

        form = FormDialog(title, params, self._typed.pop(title, None), check or no_check, over, about)

        def left(given: Mapping[str, str] | None) -> None:
            # Kept until something was accepted: a form that is opened again after a refusal has it.
            self._typed[title] = form.typed
            while len(self._typed) > MOST_TYPED:
                self._typed.pop(next(iter(self._typed)))
            if given is not None:
                self._asked = lambda: self.ask(title, params, then, check, over, about)
                then(given)
                self._asked = None
            else:
                self.say(f"nothing was sent, your input is kept: {title}")

        self._app.push_screen(form, left)

    def send_control(self, run: str, request: ControlRequest) -> Any:
        return self._client.control(run, request)

    def send_stop_all(self) -> Any:
        return self._client.stop_all()

    def send_compare(self, a: str, b: str) -> Any:
        return self._client.compare(a, b)

    def send_cancel_comparison(self) -> Any:
        return self._client.cancel_comparison()

    def send_claim(self, grant: str, verifier: str) -> Any:
        return self._client.claim_grant(grant, verifier)

    def send_end_grant(self, grant: str) -> Any:
        return self._client.end_grant(grant)

    def send_accept_residue(self, grant: str, reason: str, residue: Sequence[str]) -> Any:
        return self._client.accept_residue(grant, reason, residue)

    # -- the journal

    def verify_journal(self) -> None:
        self._app.run_worker(self._verify(), group="verify", exclusive=True, exit_on_error=False)

    async def _verify(self) -> None:
        self._verified(proving(self._session))
        self._verified(await prove(self._client, self._session))

    def _verified(self, check: ChainCheck) -> None:
        self._recent.chain_check = check
        self.say(check.message)
        if self.front is not None:
            self.front.tick()

    # -- finding the way

    def open_help(self) -> None:
        from console.tui.dialogs.help import help_dialog

        front = self.front
        if front is not None:
            tabs = self._session.tabs
            self._app.push_screen(
                help_dialog(front.context(), tabs, front.topic.title, front.about, self._session.glyphs)
            )

    def open_palette(self) -> None:
        self._find("Everything by name", places_first=False)

    def open_goto(self) -> None:
        self._find("Go to", places_first=True)

    def _find(self, title: str, *, places_first: bool) -> None:
        from console.tui.dialogs.everything import everything
        from console.tui.dialogs.finder import FinderDialog

        front = self.front
        if front is not None:
            found = everything(self._session, front.context(), places_first=places_first)
            self._app.push_screen(FinderDialog(title, found), self._run)

    @staticmethod
    def _run(chosen: Callable[[], object] | None) -> None:
        if chosen is not None:
            chosen()

    def act(self, action: str) -> None:
        """An action by its name: on the row under the cursor where it fits, else on one that is chosen now."""
        front, known = self.front, action_of(action)
        if front is None:
            return
        context = front.context()
        here = not known.screens or front.topic.name in known.screens
        if known.barred(context) is not None or (here and (not known.on or known.why_not(context) is None)):
            front.do(known)
        elif known.on:
            self._choose(known)
        else:
            self._app.switch_mode(known.screens[0])
            self._app.call_after_refresh(self._do, known)

    def _choose(self, action: Action) -> None:
        from console.tui.dialogs.everything import targets
        from console.tui.dialogs.finder import FinderDialog

        found = targets(action, self._session)
        empty = "there is nothing it could act on"
        self._app.push_screen(FinderDialog(f"{begun(action.title)}: choose", found, empty=empty), self._run)

    def act_on(self, action: str, screen: str, table: str, key: str) -> None:
        """Go to a row and perform an action there, which says why when it does nothing."""
        self.open_place(screen, table, key, lambda front: front.do(action_of(action)))

    def _do(self, action: Action) -> None:
        if self.front is not None:
            self.front.do(action)

    def open_presenter(self) -> None:
        from console.tui.dialogs.presenter import PresenterDialog

        self._app.push_screen(PresenterDialog())

    def open_causes(self) -> None:
        """Everything that is wrong, kept up to date while it is open."""
        from console.tui.dialogs.detail import DetailDialog
        from console.tui.parts.sentence import cause_rows

        session = self._session
        self._app.push_screen(DetailDialog("What is wrong", lambda: cause_rows(session.store, session.glyphs), tuple))

    def explain(self, title: str, message: str) -> None:
        """What a person does by hand."""
        from console.tui.dialogs.base import TextDialog

        self._app.push_screen(TextDialog(title, [cell(line) for line in message.split("\n")]))

    def open_approvals(self, ask_for: Card | None = None) -> None:
        """What waits for an approval; or the request for one."""
        from console.tui.dialogs.queue_keys import ApprovalKeys

        keys = ApprovalKeys(self._app, self._session, self._client)
        keys.open() if ask_for is None else keys.request(ask_for)

    def open_company(self) -> None:
        from console.tui.dialogs.base import TextDialog
        from console.tui.parts.company import company_rows, others

        session = self._session
        self._app.push_screen(
            TextDialog("Who is here", company_rows(others(session.store, session.attached_as), session.tabs))
        )

    def answer(self, run: str) -> None:
        """Go to a run that waits for a person; its question opens there."""
        self.open_place("runbooks", "runs", run, self._decide)

    def _decide(self, front: MainScreen) -> None:
        decide = action_of("decide-run")
        if decide.why_not(front.context()) is None:
            front.do(decide)

    def open_detail(self) -> None:
        """Everything about the row under the cursor, on the whole terminal."""
        from console.tui.dialogs.detail import DetailDialog
        from console.tui.parts.links import links_of

        front = self.front
        if front is not None:
            row = front.selected()

            def links() -> list[Link]:
                return links_of(row if front.selected() is None else front.selected(), self._session.store)

            self._app.push_screen(DetailDialog(front.topic.title, front.detail_rows, links), self._follow)

    def _follow(self, link: Link | None) -> None:
        """Go to what a row leads to; escape comes back."""
        found = self._table()
        if link is None or found is None:
            return
        front, table = found
        if table.id is not None and table.cursor_key is not None:
            self._trail.append(Followed(RowPlace(front.topic.name, table.id, table.cursor_key), link.screen))
            del self._trail[:-MOST_STEPS]
        self.open_place(link.screen, link.table, link.key)

    def open_screen(self, topic: str) -> None:
        self._app.switch_mode(topic)

    def open_place(self, screen: str, table: str, key: str, then: Callable[[MainScreen], object] | None = None) -> None:
        """Go to one row of a screen."""
        self._app.switch_mode(screen)
        self._app.call_after_refresh(self._reveal, screen, table, key, then)

    def _reveal(self, screen: str, table: str, key: str, then: Callable[[MainScreen], object] | None) -> None:
        front = self.front
        if front is None or front.topic.name != screen:
            return
        front.reveal(table, key)
        if then is not None:
            self._app.call_after_refresh(then, front)

    def open_filter(self) -> None:
        from console.tui.dialogs.filter import FilterDialog

        found = self._table()
        if found is not None:
            front, table = found
            before = front.filters.get(table.id or "", "")
            names = ", ".join(column.key for column in table.columns)
            self._app.push_screen(FilterDialog(before, names, lambda needle: front.filter(table, needle)))

    def filter_to(self, needle: str) -> None:
        """Show only matching rows of the table in focus; escape shows all again."""
        found = self._table()
        if found is not None:
            found[0].filter(found[1], needle)

    def step_back(self) -> None:
        """Remove the filter; without one, back to the row from which a link was followed."""
        found = self._table()
        filtered = found is not None and bool(found[0].filters.get(found[1].id or ""))
        self.filter_to("")
        if self.front is not None:
            self.say("")
        if filtered or not self._trail:
            return
        step = self._trail.pop()
        if self.front is not None and self.front.topic.name == step.to:
            self.open_place(*step.back)
        else:
            self._trail.clear()  # the person went elsewhere meanwhile

    def leave(self) -> None:
        self._app.exit(0)
