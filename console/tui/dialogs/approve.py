"""What an approver reads and signs: the request, then the card that the engine made anew from the targets."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from console.tui.dialogs.card_rows import card_rows
from console.tui.dialogs.confirm import ConfirmDialog
from console.tui.parts.facts import Row, fact
from state.api.approvals import ApprovalCard
from state.api.card import Confirm, Confirmation
from state.api.messages import Accepted
from state.api.views.approvals import ApprovalRow
from state.policy.nonce import draw

ARM_SECONDS = 0.5
EXPIRE_SECONDS = 120.0
WIDTH = 12


class ApproveDialog(ConfirmDialog):
    """Shows what is asked for, asks for a code, and signs with the person's own key."""

    what = "this view of it"

    def __init__(
        self,
        row: ApprovalRow,
        shown: ApprovalCard,
        send: Callable[[], Awaitable[Accepted]],
        clock_: Callable[[], float] = time.monotonic,
    ) -> None:
        async def sign(_typed: Mapping[str, str]) -> Accepted:
            return await send()

        asked = Confirmation(Confirm.NONCE, draw(), "", "", ARM_SECONDS, EXPIRE_SECONDS)
        super().__init__(asked, sign, clock_)
        self.row, self.shown = row, shown
        self.title_ = f"Approve {row.id} of {row.requester}: {row.title}  {row.risk}"
        self.stake = f"with your SSH key, as {shown.approver}"

    def rows(self) -> list[Row]:
        row = self.row
        told = [("asked by", f"{row.requester}: {row.reason}"), ("change", row.change), ("rule", row.rule),
                ("you sign", f"plan {row.plan[:16]}… of {row.id}, once, and nothing else")]  # fmt: skip
        head: list[Row] = [fact(label, text, width=WIDTH) for label, text in told if text]
        return [*head, *card_rows(self.shown.card, None, self.session.glyphs, self.held)]

    @property
    def refused(self) -> bool:
        """A plan that other rules refuse is not approved: it could not be carried out."""
        return bool(self.shown.card.refusals)
