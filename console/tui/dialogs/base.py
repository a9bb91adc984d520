"""The frame of every dialog: the header stays, the rest is the dialog. Escape closes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from console.tui.glyphs import KEY, MUTED
from console.tui.parts.approvals import approval_lines
from console.tui.parts.facts import Facts, Row
from console.tui.parts.header import header_line
from console.tui.parts.living import Living
from console.tui.parts.sentence import sentence_lines
from console.tui.parts.waiting import waiting_lines
from console.tui.session import Session, session_of
from console.tui.store import Changed
from console.tui.text import joined
from console.tui.widgets.lines import Lines
from console.tui.widgets.panel import TitleRule
from state.api.sessions import SeenKind

R = TypeVar("R")


class Dialog(Living, ModalScreen[R]):
    """A dialog with a title and a line of keys."""

    title_: str = ""
    keys_: ClassVar[tuple[tuple[str, str], ...]] = (("esc", "back"),)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back", show=False)]
    DEFAULT_CSS = """
    Dialog { background: $background; layout: vertical; }
    Dialog #dialog { height: 1fr; }
    Dialog .keys { height: 1; }
    """

    @property
    def session(self) -> Session:
        return session_of(self)

    def __init__(self) -> None:
        super().__init__()
        self._mounted_whole = self._left = False
        self._answer: tuple[R | None, ...] = ()
        # Set here: a late message may arrive when a closing dialog no longer has its children.
        self.top = Lines([""])

    def compose(self) -> ComposeResult:
        yield self.top
        yield TitleRule(self.title_, glyphs=self.session.glyphs)
        with Vertical(id="dialog"):
            yield from self.content_()
        yield Lines([keys_line(self.keys_)], classes="keys")

    def content_(self) -> Iterable[Widget]:
        """The widgets between title and keys."""
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        return self._mounted_whole

    @property
    def about(self) -> str:
        """What it is about, for the session log: no text that a person typed."""
        return ""

    def on_mount(self) -> None:
        self._mounted_whole = True
        self.session.recorder.note(SeenKind.DIALOG, self.title_ or type(self).__name__, self.about)
        self.tick()

    def on_changed(self, message: Changed) -> None:
        """The header shows news from the engine over a dialog too."""
        message.stop()
        if self.ready:
            self.tick()

    def tick(self) -> None:
        """Once a second, and after every change."""
        store, width = self.session.store, self.app.size.width
        glyphs = self.session.glyphs
        waiting = waiting_lines(store, glyphs, width, most=1)
        alone = approval_lines(store, width)
        self.top.show([header_line(store, glyphs, width), *sentence_lines(store, glyphs, width), *alone, *waiting])

    def dismiss(self, result: R | None = None) -> AwaitComplete:
        """Close it once. A key of a burst may reach it when it is already closed, and an answer of the engine when
        something else is in front: that stays, and this closes behind it.
        """
        if self._left:
            return AwaitComplete()
        if self.app.screen is not self:
            self._answer = (result,)
            return AwaitComplete()
        self._left = True
        return super().dismiss(result)

    def on_screen_resume(self) -> None:
        """Back in front: it closes if it was over meanwhile."""
        if self._answer:
            self.dismiss(self._answer[0])

    def action_leave(self) -> None:
        self.dismiss(None)


def keys_line(keys: Iterable[tuple[str, str]]) -> Text:
    """`esc back  ↑↓ scroll`."""
    parts = [joined((f" {key}", KEY), (f" {message}", MUTED)) for key, message in keys]
    return joined(*parts, separator=" ")


class TextDialog(Dialog[None]):
    """A title and text: help, or why something was refused."""

    keys_ = (("esc", "back"), ("↑↓", "scroll"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,question_mark", "leave", "back", show=False)]

    def __init__(self, title: str, rows: Sequence[Row]) -> None:
        super().__init__()
        self.title_ = title
        self._rows = rows

    def content_(self) -> Iterable[Widget]:
        yield Facts(self._rows)
