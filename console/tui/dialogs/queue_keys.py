"""Approvals as keys of the console: the queue, asking, signing. Signing is done by this process, for its person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from console.client.engine_client import EngineClient
from console.tui.parts.approvals import of_mine, takes_over
from console.tui.session import Session
from state.api.approvals import ApprovalVerb, Approve, AskApproval, Deny, GoAlone, HaltAlone, ReviewAlone, Withdraw
from state.api.requests import read_plan
from state.errors import RecoveryError

if TYPE_CHECKING:
    from textual.app import App

    from console.tui.dialogs.approvals import Chosen
    from state.api.card import Card
    from state.api.messages import Accepted
    from state.api.views.approvals import ApprovalRow


class ApprovalKeys:
    """Serves the keys of the queue and of cards that need an approval."""

    def __init__(self, app: App[int], session: Session, client: EngineClient) -> None:
        self._app, self._session, self._client, self._asks = app, session, client, session.navigator

    def open(self) -> None:
        """The queue."""
        from console.tui.dialogs.approvals import ApprovalsDialog

        self._app.push_screen(ApprovalsDialog(), self._chosen)

    def request(self, card: Card) -> None:
        """Ask for the approvals that a card needs."""
        from state.api.views.runbooks import Param

        params = [
            Param("reason", "text", "", (), True, title="why it must be done, in 10 characters or more"),
            Param("change", "text", "", (), False, title="the id of the change that it belongs to, if there is one"),
        ]

        def then(given: Mapping[str, str]) -> None:
            asked = AskApproval(card.plan, card.fingerprint, given["reason"], given.get("change", ""))
            self._run(self._client.ask_approval(asked))

        self._asks.ask(f"Ask for an approval: {card.title}", params, then)

    def _chosen(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        row, what = chosen
        match what:
            case "open" if of_mine(self._session.store, row) or takes_over(self._session.store, row):
                self._asks.preview(read_plan(row.request))
            case "open":
                self._asks.say(f"asking the engine what {row.id} would do now")
                self._app.run_worker(self._read(row), group="preview", exclusive=True, exit_on_error=False)
            case "withdraw":
                self._verb(row, Withdraw())
            case "halt":
                self._verb(row, HaltAlone())
            case "deny":
                self._line(row, "Deny", "why it is not to be done", Deny)
            case "alone":
                self._line(row, "Go on alone with", "why nobody else can be asked, in 20 characters or more", GoAlone)
            case "review":
                self._line(row, "Review", "what you found, in 10 characters or more", ReviewAlone)

    def _line(self, row: ApprovalRow, doing: str, asks: str, verb: Callable[[str], ApprovalVerb]) -> None:
        from state.api.views.runbooks import Param

        params = [Param("reason", "text", "", (), True, title=asks)]
        self._asks.ask(f"{doing} {row.id}: {row.title}", params, lambda given: self._verb(row, verb(given["reason"])))

    def _verb(self, row: ApprovalRow, verb: ApprovalVerb) -> None:
        self._run(self._client.approval(row.id, verb))

    def _run(self, asked: Awaitable[Accepted]) -> None:
        self._app.run_worker(self._told(asked), group="approval", exit_on_error=False)

    async def _told(self, asked: Awaitable[Accepted]) -> None:
        try:
            self._asks.say((await asked).message)
        except RecoveryError as error:
            self._explain(error)

    async def _read(self, row: ApprovalRow) -> None:
        """Show what is to be signed, made anew by the engine."""
        from console.tui.dialogs.approve import ApproveDialog

        try:
            shown = await self._client.approval_card(row.id)
        except RecoveryError as error:
            self._explain(error)
            return

        async def send() -> Accepted:
            from console.client.signing import sign

            signature = await asyncio.to_thread(sign, shown.statement, shown.keys)
            return await self._client.approval(row.id, Approve(signature))

        self._app.push_screen(ApproveDialog(row, shown, send))

    def _explain(self, error: RecoveryError) -> None:
        from console.tui.dialogs.base import TextDialog
        from console.tui.text import cell

        self._asks.say(f"{error.title}: {error}")
        self._app.push_screen(TextDialog(error.title, [cell(str(error))]))
