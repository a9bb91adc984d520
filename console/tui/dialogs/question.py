"""A question before a control: pause, resume, end a run, stop everything. No plan: nothing outside is read for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from console.tui.dialogs.confirm import ConfirmDialog
from console.tui.parts.facts import Row, fact
from state.api.card import Confirm, Confirmation
from state.api.messages import Accepted

ARM_SECONDS = 0.5
EXPIRE_SECONDS = 120.0
LABEL_WIDTH = 12


@dataclass(frozen=True, slots=True)
class Question:
    """The request to the engine: a title, and labelled facts in reading order."""

    title: str
    facts: tuple[tuple[str, str], ...]


class QuestionDialog(ConfirmDialog):
    """Asks for a `y`, then sends."""

    def __init__(self, question: Question, send: Callable[[], Awaitable[Accepted]]) -> None:
        answer = Confirmation(Confirm.YES, "Y", "", "", ARM_SECONDS, EXPIRE_SECONDS)
        super().__init__(answer, lambda _typed: send())
        self.question = question
        self.title_ = question.title

    def rows(self) -> list[Row]:
        return [fact(label, message, width=LABEL_WIDTH) for label, message in self.question.facts]
