"""A form for parameters. Its values are used in a preview or a confirmation only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input

from console.tui.dialogs.base import Dialog
from console.tui.glyphs import FAIL, MUTED, SELECTED
from console.tui.text import cell, joined
from console.tui.widgets.lines import Lines
from state.api.views.runbooks import Param

LABEL_WIDTH = 16


class Choice(Lines, can_focus=True):
    """One of several words; left and right choose."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "turn(-1)", show=False),
        Binding("right,l,space", "turn(1)", show=False),
        Binding("enter", "screen.next", show=False),
    ]
    DEFAULT_CSS = "Choice { height: 1; } Choice:focus { text-style: bold; }"

    def __init__(self, choices: Sequence[str], chosen: str) -> None:
        super().__init__()
        self._choices = tuple(choices)
        self._at = self._choices.index(chosen) if chosen in self._choices else -1

    @property
    def value(self) -> str:
        return self._choices[self._at] if self._at >= 0 else ""

    def on_mount(self) -> None:
        self._paint()

    def on_focus(self) -> None:
        self._paint()

    def on_blur(self) -> None:
        self._paint()

    def action_turn(self, step: int) -> None:
        start = -1 if self._at < 0 and step > 0 else max(0, self._at)
        self._at = (start + step) % len(self._choices)
        self._paint()

    def _paint(self) -> None:
        chosen = SELECTED if self.has_focus else "bold underline"
        parts = [
            (f"[{word}]", chosen) if place == self._at else (f" {word} ", MUTED)
            for place, word in enumerate(self._choices)
        ]
        self.show([joined(*parts)])


class FormDialog(Dialog[dict[str, str]]):
    """Asks for parameters, one a line. Result: the answers by name, None when left."""

    keys_ = (("enter", "next"), ("←→", "choose"), ("esc", "cancel"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]
    AUTO_FOCUS = "Choice, Input"
    DEFAULT_CSS = """
    FormDialog .field { height: 1; }
    FormDialog Input { height: 1; border: none; padding: 0; width: 1fr; }
    FormDialog .label { width: 18; }
    FormDialog #wrong { height: auto; padding: 0 1; }
    """

    def __init__(self, title: str, params: Sequence[Param]) -> None:
        super().__init__()
        self.title_ = title
        self._params = tuple(params)
        self._fields: dict[str, Choice | Input] = {}

    def content_(self) -> Iterable[Widget]:
        rows = []
        for param in self._params:
            field: Choice | Input
            if param.choices:
                field = Choice(param.choices, param.default)
            else:
                field = Input(param.default, placeholder="required" if param.required else "optional", compact=True)
            self._fields[param.name] = field
            label = Lines([cell(f" {param.name[:LABEL_WIDTH]}", MUTED)], classes="label")
            rows.append(Horizontal(label, field, classes="field"))
        yield VerticalScroll(*rows, can_focus=False)
        yield Lines([""], id="wrong")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_next()

    def action_next(self) -> None:
        """The next field; after the last one, done."""
        fields = list(self._fields.values())
        place = next((p for p, field in enumerate(fields) if field.has_focus), len(fields))
        if place + 1 < len(fields):
            fields[place + 1].focus()
            return
        answers = {name: field.value.strip() for name, field in self._fields.items()}
        for param in self._params:
            if param.required and not answers[param.name]:
                self.query_one("#wrong", Lines).show([cell(f"{param.name} is required", FAIL)])
                self._fields[param.name].focus()
                return
        self.dismiss({name: value for name, value in answers.items() if value or self._required(name)})

    def _required(self, name: str) -> bool:
        return any(param.required for param in self._params if param.name == name)

    def on_key(self, event: events.Key) -> None:
        """A note about a wrong field disappears with the next key."""
        if event.key != "enter":
            self.query_one("#wrong", Lines).show([""])
