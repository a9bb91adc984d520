"""The consequence card: everything a person must see before an effect, and the only place where one is confirmed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget

from console.tui.dialogs.base import Dialog
from console.tui.dialogs.card_rows import card_rows
from console.tui.dialogs.gate import SETTLE_SECONDS, Gate, KeyOutcome, Wanted
from console.tui.glyphs import DANGER, FAIL, KEY, MUTED, UNKNOWN, WARN
from console.tui.parts.facts import Facts
from console.tui.text import cell, joined
from console.tui.widgets.lines import Lines
from console.tui.widgets.panel import TitleRule
from state.api.card import Card, Confirm
from state.api.messages import Accepted
from state.errors import EffectUnknown, RecoveryError
from state.text import cells
from state.units import clock

SOON = 30.0
"""Seconds before the plan expires from which on it is said loudly."""
Send = Callable[[Card, Mapping[str, str]], Awaitable[Accepted]]


def wanted_of(card: Card) -> tuple[Wanted, ...]:
    """What must be typed, by risk class."""
    if card.confirm is Confirm.YES:
        wanted = [Wanted("nonce", "y", fold=True)]
    else:
        wanted = [Wanted("nonce", card.nonce, once=True, fold=True)]
    if card.confirm is Confirm.NONCE_AND_NAME:
        wanted.append(Wanted("name", card.name))
    if card.loss_to_type:
        wanted.append(Wanted("loss", card.loss_to_type))
    return tuple(wanted)


class Cancel(Lines, can_focus=True):
    """The way out. It has focus from the start, so Enter leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "screen.leave", "cancel", show=False)]
    DEFAULT_CSS = "Cancel { width: 12; height: 1; margin: 0 1; } Cancel:focus { text-style: reverse; }"

    def __init__(self) -> None:
        super().__init__([cell("[ Cancel ]")])


class CardDialog(Dialog[str]):
    """Shows a card and sends it once its confirmation was typed. Result: `again` to preview anew, else None."""

    keys_ = (("esc", "cancel"), ("↑↓", "scroll"), ("ctrl+r", "preview again"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("pageup", "scroll(-8)", show=False),
        Binding("pagedown", "scroll(8)", show=False),
        Binding("ctrl+r", "again", show=False),
    ]
    AUTO_FOCUS = "Cancel"
    DEFAULT_CSS = """
    CardDialog Facts { height: 1fr; }
    CardDialog #ask { height: auto; padding: 0 1; }
    """

    def __init__(
        self,
        card: Card,
        send: Send,
        former: Card | None = None,
        clock_: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.card = card
        self.title_ = f"{card.title}  {card.risk}".rstrip()
        self.gate = Gate(wanted_of(card), card.arm)
        self._send = send
        self._former = former
        self._clock = clock_
        self._opened = clock_()
        self._sending = False
        self._said: list[Text] = []
        self._question = Lines([""], id="ask")
        self._rule = TitleRule("Confirm")

    # -- what is shown

    def content_(self) -> Iterable[Widget]:
        yield Facts(card_rows(self.card, self._former, self.session.glyphs))
        yield self._rule
        yield self._question
        yield Cancel()

    def on_mount(self) -> None:
        self.query_one(Facts).can_focus = False
        self.call_after_refresh(self._shown)

    def _shown(self) -> None:
        now = self._clock()
        self._opened = now
        self.gate.shown(now)
        self.set_timer(self.card.arm + 0.05, self.paint_ask)
        self.tick()

    def tick(self) -> None:
        super().tick()
        self.paint_ask()

    @property
    def left(self) -> float:
        """Seconds until the plan expires."""
        return self.card.expires - (self._clock() - self._opened)

    @property
    def closed(self) -> str:
        """Why this card cannot be confirmed any more; empty when it can."""
        if self.card.refusals:
            return "refused: it cannot be confirmed"
        if self.gate.void:
            return "what was typed is not what the card shows: nothing was sent, the card is void"
        if self.left <= 0:
            return "the plan has expired: nothing was sent"
        return ""

    def paint_ask(self) -> None:
        """The lines that say what to type and how long the plan holds."""
        self._rule.set_title("Refused" if self.card.refusals else "Confirm", self._expiry())
        self._question.show([*self._said, *self._ask()])

    def _expiry(self) -> Text:
        if self._sending or self._said or self.closed:
            return cell("")
        return cell(f"the plan expires in {clock(self.left)}", "bold" if self.left > SOON else WARN)

    def _ask(self) -> list[Text]:
        if self._sending:
            return [joined(("sent; waiting for the engine's answer", WARN))]
        if self._said:
            return [joined(("esc", KEY), " leaves, ", ("ctrl+r", KEY), " previews again")]
        if self.closed:
            return [joined((self.closed, FAIL)), joined(("ctrl+r", KEY), " previews again")]
        if not self.gate.armed(self._clock()):
            return [joined(("read first", MUTED))]
        wanted = self.gate.current
        if wanted is None:
            return [joined(("confirmed", WARN))]
        asked = (f" {wanted.text} ", f"{DANGER} reverse")
        if self.card.confirm is Confirm.YES and wanted.name == "nonce":
            return [joined("type ", (wanted.text, f"{DANGER} reverse"), " to do it, Enter or esc to cancel")]
        what = {"nonce": "type the code", "name": "now type the name", "loss": "now type the loss"}[wanted.name]
        gap = " " * max(1, cells(wanted.text) - cells(self.gate.typed))
        return [joined(what, asked, "to do it: ", (f"{self.gate.typed}{gap}", "bold underline"))]

    # -- what is typed

    def on_key(self, event: events.Key) -> None:
        if self._sending or self._said or self.closed:
            return
        if event.key == "backspace":
            self.gate.erase()
        elif event.is_printable and event.character:
            event.stop()
            if self.gate.key(event.character, event.time) is KeyOutcome.COMPLETE:
                self.set_timer(SETTLE_SECONDS * 1.5, self._confirm)
        else:
            early = not self.gate.armed(event.time)
            self.gate.other_key(event.time)
            if event.key == "enter" and early:
                # Left over from the screen before: it would close the card unread.
                event.stop()
                event.prevent_default()
        self.paint_ask()

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.gate.reset(event.time)
        self.paint_ask()

    def _confirm(self) -> None:
        typed = self.gate.accepted(self._clock())
        if typed is None or self.closed or self._sending:
            return
        self._sending = True
        self.paint_ask()
        self.run_worker(self._submit(typed), group="submit", exit_on_error=False)

    async def _submit(self, typed: Mapping[str, str]) -> None:
        try:
            accepted = await self._send(self.card, typed)
        except EffectUnknown as unknown:
            self._said = [joined((f"OUTCOME UNKNOWN: {unknown}", UNKNOWN))]
        except RecoveryError as refused:
            self._said = [joined((f"{refused.title}: {refused}", FAIL))]
        else:
            self.session.navigator.say(accepted.message)
            self.dismiss(None)
            return
        finally:
            self._sending = False
        self.paint_ask()

    # -- keys of the frame

    def action_scroll(self, step: int) -> None:
        self.query_one(Facts).scroll_relative(y=step, animate=False)

    def action_again(self) -> None:
        if not self._sending:
            self.dismiss("again")
