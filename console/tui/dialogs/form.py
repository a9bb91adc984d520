"""A form for parameters. Its values are used in a preview or a confirmation only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input

from console.tui.dialogs.base import Dialog
from console.tui.dialogs.fields import Choice, NameInput, completions, field_of, meaning
from console.tui.glyphs import FAIL, MUTED
from console.tui.parts.facts import Facts, fact
from console.tui.session import Over, still_open
from console.tui.text import cell, joined
from console.tui.widgets.lines import Lines
from state.api.views.runbooks import Param

LABEL_WIDTH = 16
MOST_SHOWN = 40
"""Names offered at once; a few more letters find the others."""
Check = Callable[[Mapping[str, str]], str | None]
"""Why answers are not valid, None when they are."""


def no_check(_answers: Mapping[str, str]) -> None:
    """Every answer is valid."""


class FormDialog(Dialog[dict[str, str]]):
    """Asks for parameters, each with its meaning. Result: the answers by name, None when left."""

    keys_ = (("enter", "next"), ("tab", "complete"), ("←→", "choose"), ("↑↓", "field"), ("esc", "cancel, send nothing"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]
    AUTO_FOCUS = "Choice, Input"
    DEFAULT_CSS = """
    FormDialog .field { height: auto; }
    FormDialog .meaning { height: 1; margin: 0 0 0 18; }
    FormDialog Input { height: 1; border: none; padding: 0; width: 1fr; }
    FormDialog .label { width: 18; }
    FormDialog #about { height: auto; margin: 0 0 1 0; }
    FormDialog #wrong { height: auto; padding: 0 1; }
    """

    def __init__(
        self,
        title: str,
        params: Sequence[Param],
        before: Mapping[str, str] | None = None,
        check: Check = no_check,
        over: Over = still_open,
        about: Sequence[tuple[str, str]] = (),
    ) -> None:
        """`before` is what was typed when the form was open last; `over` says when it cannot be sent any more; `about`
        are labelled facts that are read before."""
        super().__init__()
        self.title_ = title
        self._params = {param.name: param for param in params}
        self._before = dict(before or {})
        self._check = check
        self._over = over
        self._about = [fact(label, text) for label, text in about]
        self._fields: dict[str, Choice | Input] = {}
        self._notes: dict[str, Lines] = {}
        self._led: dict[str, str] = {}

    @property
    def typed(self) -> dict[str, str]:
        """What the fields hold now."""
        return {name: field.value for name, field in self._fields.items()}

    def content_(self) -> Iterable[Widget]:
        rows: list[Widget] = []
        for name, param in self._params.items():
            field = field_of(param, self._before.get(name, param.default), self._paint_notes)
            self._fields[name] = field
            self._notes[name] = Lines([""], classes="meaning")
            label = Lines([cell(f" {name[:LABEL_WIDTH]}", "bold")], classes="label")
            rows += [Horizontal(label, field, classes="field"), self._notes[name]]
        told: list[Widget] = [Facts(self._about, id="about")] if self._about else []
        yield VerticalScroll(*told, *rows, can_focus=False)
        yield Lines([""], id="wrong")

    def on_mount(self) -> None:
        self._paint_notes()

    @on(Input.Changed)
    def _changed(self) -> None:
        self._paint_notes()

    def on_descendant_focus(self) -> None:
        self._paint_notes()

    def _paint_notes(self) -> None:
        """Below each field its meaning; below the one in focus also the names it may have."""
        self._follow()
        for name, note in self._notes.items():
            note.show([self._note(name)])

    def _follow(self) -> None:
        """A field that follows another has that one's default, until somebody gives it a value of its own."""
        for name, param in sorted(self._params.items(), key=lambda item: self._depth(item[0])):
            if param.of in self._fields:
                was, now = self._led.get(name), param.follows.get(self._fields[param.of].value, "")
                self._led[name] = now
                if isinstance(field := self._fields[name], NameInput):
                    field.choices = self._names(name)
                if was is not None and was != now and self._fields[name].value == was:
                    self._fields[name].value = now

    def _depth(self, name: str) -> int:
        """How many fields a field follows, one after the other."""
        param = self._params.get(name)
        return 0 if param is None or not param.of else 1 + self._depth(param.of)

    def _names(self, name: str) -> tuple[str, ...]:
        """The values that a field may have now."""
        param = self._params[name]
        return param.names(self._fields[param.of].value) if param.of in self._fields else param.choices

    def _note(self, name: str) -> Text:
        param, field = self._params[name], self._fields[name]
        told = joined((meaning(param), MUTED))
        if isinstance(field, Choice) and field.unfit:
            return joined((f"none of these begins with {field.unfit}", FAIL))
        if not isinstance(field, NameInput) or not field.has_focus or field.value in (names := self._names(name)):
            return told
        found = completions(names, field.value)
        if not found:
            return joined((f"no name of the {len(names)} contains this", FAIL))
        return joined(told, (": ", MUTED), " ".join(found[:MOST_SHOWN]))

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_next()

    def tick(self) -> None:
        """Say at once when what is asked for is over."""
        super().tick()
        if over := self._over():
            self.query_one("#wrong", Lines).show([cell(f"{over}. Nothing was sent; esc closes this", FAIL)])

    def action_next(self) -> None:
        """The next field; after the last one, done. A form that is over cannot be sent."""
        if self._over():
            self.tick()
            return
        fields = list(self._fields.values())
        place = next((p for p, field in enumerate(fields) if field.has_focus), len(fields))
        if place + 1 < len(fields):
            fields[place + 1].focus()
            return
        answers = {name: value.strip() for name, value in self.typed.items()}
        for name, value in answers.items():
            field = self._fields[name]
            wrong = self._wrong(self._params[name], value, self._names(name))
            if isinstance(field, Choice) and field.unfit:
                wrong = f"is none of these: {', '.join(self._names(name))}; nothing begins with {field.unfit}"
            if wrong:
                self._refuse(f"{name} {wrong}")
                field.focus()
                return
        given = {name: value for name, value in answers.items() if value or self._params[name].required}
        reason = self._check(given)
        if reason:
            self._refuse(reason)
        else:
            self.dismiss(given)

    @staticmethod
    def _wrong(param: Param, value: str, names: Sequence[str]) -> str:
        if param.required and not value:
            return "is required"
        if value and param.choices and value not in names:
            near = completions(names, value)[:3] or names[:3]
            whose = f" for this {param.of}" if param.of else ""
            return f"must be a name it may have{whose}{': ' + ', '.join(near) if near else ''}"
        return ""

    def _refuse(self, reason: str) -> None:
        self.query_one("#wrong", Lines).show([cell(reason, FAIL)])

    def on_key(self, event: events.Key) -> None:
        """A note about a wrong field disappears with the next key."""
        if event.key != "enter" and not self._over():
            self.query_one("#wrong", Lines).show([""])
