"""The app of the first start: four pages, one child process at a time, nothing written before the last step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input
from textual.worker import Worker, WorkerState

from console.tui.glyphs import KEY, MUTED
from console.tui.terminal.app import TerminalApp
from console.tui.terminal.capabilities import Terminal
from console.tui.text import joined
from console.tui.widgets.lines import Lines
from console.tui.widgets.panel import TitleRule
from console.tui.wizard.child import InitEnded, run_init
from console.tui.wizard.pages import (
    MOST_SILENT,
    AddressPage,
    LookingPage,
    QuestionsPage,
    WizardPage,
    WrittenPage,
    silent,
)

USAGE = 2
NOTHING_FOUND = "nothing was found, so nothing was written; correct the addresses and look again"


class WizardApp(TerminalApp):
    """Addresses, what they gave, questions, what was written. `opened` is the estate's file when it is to be opened."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "earlier", show=False),
        Binding("ctrl+c", "leave", show=False, priority=True),
        Binding("enter", "next", show=False),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
    ]
    CSS = """
    Screen { background: $background; layout: vertical; }
    #page { height: 1fr; }
    #keys { height: 1; }
    """

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal)
        self.opened: Path | None = None
        self._addresses = ""
        self._answers: dict[str, str] = {}
        self._page: WizardPage | None = None
        self._busy = False
        self._rule = TitleRule("A first estate", glyphs=self.glyphs)
        self._keys = Lines([""], id="keys")

    def compose(self) -> ComposeResult:
        yield self._rule
        yield Vertical(id="page")
        yield self._keys

    def on_mount(self) -> None:
        super().on_mount()
        self.show(AddressPage(self.glyphs, self.size.width, ""), 1)

    def show(self, page: WizardPage, step: int) -> None:
        """Show a page in place of the one before."""
        place = self.query_one("#page", Vertical)
        place.remove_children()
        self._page = page
        place.mount(page)
        self._rule.set_title("A first estate", f"step {step} of 4")
        parts = [joined((f" {key}", KEY), (f" {meaning}", MUTED)) for key, meaning in page.keys]
        self._keys.show([joined(*parts, separator=" ")])

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_next()

    def action_next(self) -> None:
        """Enter: what the page asks for is there."""
        page = self._page
        if isinstance(page, AddressPage):
            self._addresses = page.field.value.strip()
            self._look()
        elif isinstance(page, QuestionsPage):
            fields = list(page.fields.values())
            if self.focused in fields and self.focused is not fields[-1]:
                self.screen.focus_next()
            else:
                self._answers = page.typed
                if not self._busy:  # one child at a time: another one would be told that the file is there
                    self._write(page)
        elif isinstance(page, WrittenPage):
            missing = page.missing()
            if missing:
                page.refuse(f"put the secret into {missing[0]} first, or leave and open it later")
                page.scroll_home(animate=False)
            else:
                self.opened = page.file
                self.exit()

    def action_move(self, steps: int) -> None:
        """Up and down: the next field, or the text."""
        if isinstance(self._page, WrittenPage):
            self._page.scroll_relative(y=steps, animate=False)
        elif steps > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    def action_earlier(self) -> None:
        """Escape: the page before; on the first and the last one out."""
        self.workers.cancel_group(self, "child")
        self._busy = False
        if isinstance(self._page, LookingPage | QuestionsPage):
            self.show(AddressPage(self.glyphs, self.size.width, self._addresses), 1)
        else:
            self.exit()

    def action_leave(self) -> None:
        """Out at once; a child that runs is ended with us."""
        self.workers.cancel_group(self, "child")
        self.exit()

    def _look(self) -> None:
        page = LookingPage(self.glyphs, self.size.width, self._addresses.split())
        self.show(page, 2)

        async def look() -> None:
            ended = await run_init([*self._addresses.split(), "--plan-only"], page.take)
            self._looked(ended)

        self.run_worker(look(), group="child", exclusive=True, exit_on_error=False)

    def _looked(self, ended: InitEnded) -> None:
        if ended.done.get("summary"):
            self.show(QuestionsPage(self.glyphs, self.size.width, ended.done, self._answers), 3)
            return
        page = AddressPage(self.glyphs, self.size.width, self._addresses)
        self.show(page, 1)
        told = [*silent(ended.done, self.glyphs)[:MOST_SILENT], NOTHING_FOUND]
        page.refuse(". ".join(told) if ended.done else _reason(ended.said))

    def _write(self, page: QuestionsPage) -> None:
        answers = dict(self._answers)
        folder = answers.pop("folder", "") or "."
        words = [*self._addresses.split(), "--yes", "-o", folder]
        for key, value in answers.items():
            words += ["--answer", f"{key}={value}"]
        page.wait("Asking once more, then writing")
        self._busy = True

        async def write() -> None:
            self._written(page, await run_init(words, lambda _event: None))

        self.run_worker(write(), group="child", exclusive=True, exit_on_error=False)

    def _written(self, page: QuestionsPage, ended: InitEnded) -> None:
        self._busy = False
        if ended.done.get("written"):
            self.show(WrittenPage(self.glyphs, self.size.width, ended.done), 4)
        else:
            page.refuse(_reason(ended.said))

    async def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A defect of a page is told on it; nothing was written by it."""
        if event.state is WorkerState.ERROR and self._page is not None:
            await asyncio.sleep(0)
            self._page.refuse(f"a defect in this console: {type(event.worker.error).__name__}")


def _reason(lines: Sequence[str]) -> str:
    """What the child said of a refusal, without its usage."""
    bare = (line.removeprefix("recovery: ") for line in lines)
    said = [line for line in bare if not line.startswith(("Usage:", "Try:"))]
    return " ".join(said[:2]) or "recovery init ended without a reason"
