"""Everything about one row, on the whole terminal; it is updated while open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from console.tui.dialogs.base import Dialog
from console.tui.parts.facts import Facts, Row


class DetailDialog(Dialog[None]):
    """The detail pane of a screen, enlarged."""

    keys_ = (("esc", "back"), ("↑↓", "scroll"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "leave", "back", show=False)]

    def __init__(self, title: str, rows: Callable[[], Sequence[Row]]) -> None:
        super().__init__()
        self.title_ = title
        self._rows = rows

    def content_(self) -> Iterable[Widget]:
        yield Facts(self._rows())

    def tick(self) -> None:
        super().tick()
        self.query_one(Facts).show(self._rows())
