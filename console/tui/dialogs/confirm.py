"""The frame of every confirmation: what is to be confirmed, what must be typed, and the result.

Cancel has focus, so Enter closes the dialog. `gate.py` decides what typed keys mean.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.errors import NoWidget
from textual.widget import Widget

from console.tui.dialogs.asking import asking, dropped_lines, wanted_of
from console.tui.dialogs.base import Dialog, keys_line
from console.tui.dialogs.gate import SETTLE_SECONDS, DropReason, Gate, KeyOutcome
from console.tui.glyphs import FAIL, KEY, MUTED, UNKNOWN, WARN
from console.tui.parts.facts import Facts, Row
from console.tui.terminal.later import call_after
from console.tui.text import cell, joined
from console.tui.widgets.lines import Lines
from console.tui.widgets.panel import TitleRule
from state.api.card import Confirmation
from state.api.messages import Accepted
from state.api.sessions import SeenKind
from state.errors import EffectUnknown, RecoveryError
from state.units import clock

SENT = "leave; Runbooks shows what became of it"
NARROWEST = 30
"""Columns below which nobody can read what is asked."""
SOON = 30.0
"""Seconds before it expires from which a warning is shown."""
Send = Callable[[Mapping[str, str]], Awaitable[Accepted]]
"""Sends what was typed, by name."""


class Cancel(Lines, can_focus=True):
    """The cancel button. It has focus from the start, so Enter closes the dialog."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "screen.leave", "cancel", show=False)]
    DEFAULT_CSS = "Cancel { width: 12; height: 1; margin: 0 1; } Cancel:focus { text-style: reverse; }"

    def __init__(self) -> None:
        super().__init__([cell("[ Cancel ]")])


class ConfirmDialog(Dialog[str]):
    """Asks for a confirmation and sends it once it was typed. Subclasses show what is to be read before."""

    keys_: ClassVar[tuple[tuple[str, str], ...]] = (("esc", "cancel, nothing is sent"), ("↑↓", "scroll"))
    stake = ""
    """What a yes may do, in words."""
    what = "this card"
    """The name of what expires."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("pageup", "scroll(-8)", show=False),
        Binding("pagedown", "scroll(8)", show=False),
    ]
    AUTO_FOCUS = "Cancel"
    DEFAULT_CSS = """
    ConfirmDialog Facts { height: 1fr; }
    ConfirmDialog #ask { height: auto; padding: 0 1; }
    """

    def __init__(self, confirmation: Confirmation, send: Send, clock_: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.confirmation = confirmation
        self.gate = Gate(wanted_of(confirmation), confirmation.arm)
        self._send = send
        self._clock = clock_
        self._opened = clock_()
        self._sending = self._unknown = False
        self._said: list[Text] = []
        self._question = Lines([""], id="ask")
        self._rule = TitleRule("Confirm")

    # -- what is shown

    def rows(self) -> list[Row]:
        """What a person must read before confirming."""
        raise NotImplementedError

    @property
    def refused(self) -> bool:
        """Whether a rule forbids it."""
        return False

    @property
    def frozen(self) -> str:
        """Why nothing that is typed counts for now; empty when it does."""
        return ""

    def again(self) -> list[Text]:
        """What to do when this one cannot be confirmed."""
        return [joined(("esc", KEY), " leaves")]

    def content_(self) -> Iterable[Widget]:
        yield Facts(self.rows())
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
        call_after(self, self.confirmation.arm + 0.05, self.paint_ask)
        self.tick()

    def tick(self) -> None:
        super().tick()
        self.query_one(Facts).show(self.rows())
        self.paint_ask()

    @property
    def held(self) -> float:
        """Seconds since it was shown."""
        return max(0.0, self._clock() - self._opened)

    @property
    def left(self) -> float:
        """Seconds until it expires."""
        return self.confirmation.expires - self.held

    @property
    def closed(self) -> str:
        """Why this cannot be confirmed any more; empty when it can."""
        if self.refused:
            return "refused: it cannot be confirmed"
        if self.gate.void:
            return f"what was typed is not what was asked: nothing was sent, {self.what} is void"
        if self.left <= 0:
            return f"{self.what} has expired: nothing was sent"
        return ""

    def paint_ask(self) -> None:
        """The lines that say what to type and for how long."""
        title = "Refused" if self.refused else f"Confirm {self.stake}".rstrip()
        self._rule.set_title(title, self._expiry())
        self._question.show([*self._said, *self._ask()])
        self.query_one(".keys", Lines).show([keys_line(self.keys_now())])
        self.query_one(Cancel).show([cell("[ Leave ]" if self._sending or self._unknown else "[ Cancel ]")])

    def keys_now(self) -> tuple[tuple[str, str], ...]:
        """The keys as they act now: once it was sent, leaving takes nothing back."""
        if not self._sending and not self._unknown:
            return self.keys_
        return tuple((key, SENT if key == "esc" else message) for key, message in self.keys_ if key != "ctrl+r")

    def _expiry(self) -> Text:
        if self._sending or self._said or self.closed:
            return cell("")
        return cell(f"{self.what} expires in {clock(self.left)}", "bold" if self.left > SOON else WARN)

    def _ask(self) -> list[Text]:
        if self._sending:
            return [joined(("sent; waiting for the engine's answer", WARN))]
        if self._said:
            return self.again()
        if self.closed:
            return [joined((self.closed, FAIL)), *self.again()]
        dropped = dropped_lines(self.gate)
        if self.frozen:
            return [joined((self.frozen, FAIL)), *self.again()]
        if not self.gate.armed(self._clock()):
            return [joined(("read first", MUTED)), *dropped]
        return [asking(self.confirmation, self.gate), *dropped]

    @property
    def in_sight(self) -> bool:
        """Whether the question is on the screen whole: what cannot be read cannot be confirmed."""
        try:
            place = self.find_widget(self._question)
        except NoWidget:
            return False
        whole = place.region.height > 0 and place.visible_region == place.region
        return whole and self.app.size.width >= NARROWEST

    # -- what is typed

    def on_resize(self) -> None:
        """On another screen it is read anew: what was typed before does not count."""
        self.gate.reset(self._clock(), DropReason.RESIZED, len(self.gate.typed))
        self.call_after_refresh(self.paint_ask)
        call_after(self, self.confirmation.arm + 0.05, self.paint_ask)

    def on_key(self, event: events.Key) -> None:
        if self._sending or self._said or self.closed:
            return
        if event.is_printable and self.frozen:
            event.stop()
            self.gate.reset(event.time, DropReason.FROZEN, 1)
            self.paint_ask()
            return
        if event.is_printable and not self.in_sight:
            event.stop()
            self.gate.reset(event.time, DropReason.HIDDEN, 1)
            self.paint_ask()
            return
        if event.key == "backspace":
            self.gate.erase()
        elif event.is_printable and event.character:
            event.stop()
            if self.gate.key(event.character, event.time) is KeyOutcome.COMPLETE:
                call_after(self, SETTLE_SECONDS * 1.5, self._confirm)
        else:
            early = not self.gate.armed(event.time)
            self.gate.other_key(event.time)
            if event.key == "enter" and early:
                # A key meant for the screen before: it would close the card unread.
                event.stop()
                event.prevent_default()
        self.paint_ask()

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.session.recorder.note(SeenKind.DROPPED, self.title_, f"a paste of {len(event.text)} characters")
        self.gate.reset(event.time, DropReason.PASTE, len(event.text))
        self.paint_ask()

    def _confirm(self) -> None:
        typed = self.gate.accepted(self._clock())
        if typed is None or self.closed or self.frozen or self._sending:
            return
        self._sending = True
        self.paint_ask()
        self.run_worker(self._submit(typed), group="submit", exit_on_error=False)

    async def _submit(self, typed: Mapping[str, str]) -> None:
        try:
            accepted = await self._send(typed)
        except EffectUnknown as unknown:
            self._unknown = True
            self._said = [joined((f"OUTCOME UNKNOWN: {unknown}", UNKNOWN))]
        except RecoveryError as refused:
            self._said = [joined((f"{refused.title}: {refused}", FAIL))]
        else:
            self.session.recorder.note(SeenKind.SENT, self.title_, accepted.run)
            self.session.navigator.say(accepted.message)
            self.dismiss(None)
            return
        finally:
            self._sending = False
        self.paint_ask()

    def action_leave(self) -> None:
        """Say whether anything was sent: nobody must wonder afterwards."""
        if self._sending:
            self.session.navigator.say("left while the engine had not answered yet: look at Runbooks for the outcome")
        elif self._unknown:
            self.session.navigator.say("the outcome is not known: look at Runbooks and the journal before trying again")
        else:
            self.session.navigator.say(f"nothing was sent: {self.title_}")
        self.dismiss(None)

    def action_scroll(self, step: int) -> None:
        self.query_one(Facts).scroll_relative(y=step, animate=False)
