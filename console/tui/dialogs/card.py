"""The consequence card: everything a person must see before an effect, and the only place where one is confirmed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from console.card_pieces import risk_words
from console.tui.dialogs.card_rows import card_rows
from console.tui.dialogs.confirm import ConfirmDialog
from console.tui.glyphs import KEY
from console.tui.parts.facts import Row
from console.tui.text import joined
from state.api.approvals import ASKABLE
from state.api.card import Card, Rule
from state.api.messages import Accepted
from state.api.views.header import HeaderView

SendCard = Callable[[Card, Mapping[str, str]], Awaitable[Accepted]]


class CardDialog(ConfirmDialog):
    """Shows a card and sends it once its confirmation was typed. Result: `again` to preview anew, `override` to give
    reasons for overriding the safety rules that refuse it, `ask` to ask for the approval that it needs, else None."""

    keys_: ClassVar[tuple[tuple[str, str], ...]] = (
        ("esc", "cancel, nothing is sent"),
        ("↑↓", "scroll"),
        ("ctrl+r", "read everything again"),
    )
    what = "the plan"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "again", show=False),
        Binding("ctrl+o", "override", show=False),
        Binding("ctrl+a", "ask", show=False),
    ]

    def __init__(
        self,
        card: Card,
        send: SendCard,
        former: Card | None = None,
        clock_: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(card.confirmation, lambda typed: send(card, typed), clock_)
        self.card = card
        self.title_ = f"{card.title}  {card.risk}"
        self.stake = risk_words(card)
        self._former = former

    @property
    def about(self) -> str:
        return f"plan {self.card.plan} {self.card.fingerprint[:16]}"

    def rows(self) -> list[Row]:
        return card_rows(self.card, self._former, self.session.glyphs, self.held)

    @property
    def refused(self) -> bool:
        return bool(self.card.refusals)

    def again(self) -> list[Text]:
        way: list[str | tuple[str, str]] = (
            ["; ", ("ctrl+o", KEY), " overrides its safety rules, each with a reason"] if self.overridable else []
        )
        if self.askable:
            way = ["; ", ("ctrl+a", KEY), " asks for the approval"]
        return [joined(("esc", KEY), " leaves, ", ("ctrl+r", KEY), " reads everything again", *way)]

    @property
    def askable(self) -> bool:
        """Whether nothing but an approval that nobody was asked for is missing."""
        failing = [rule for rule in self.card.rules if not rule.passed]
        return len(failing) == 1 and failing[0].rule == ASKABLE

    @property
    def frozen(self) -> str:
        """That somebody who must be there has left."""
        header, names = self.session.store.view(HeaderView), self.card.present
        here = {row.person for row in header.consoles.values()} if header is not None else set[str]()
        if not names or here & set(names):
            return ""
        return f"input is frozen: {' or '.join(names)}, who approved it, is not attached any more"

    def action_ask(self) -> None:
        """Ask for the approval, with a reason."""
        if not self._sending and self.askable:
            self.dismiss("ask")

    @property
    def overridable(self) -> list[Rule]:
        """The safety rules of the estate that refuse it, where nothing else does."""
        failing = [rule for rule in self.card.rules if not rule.passed]
        return failing if failing and all(rule.own for rule in failing) else []

    def action_override(self) -> None:
        """Ask for the reasons; a new card shows what is overridden, and is confirmed as every card is."""
        if not self._sending and self.overridable:
            self.dismiss("override")

    def action_again(self) -> None:
        if not self._sending:
            self.dismiss("again")
