"""The fields of a form: a choice between few words, or an input that completes names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import Input

from console.tui.glyphs import MUTED, SELECTED
from console.tui.text import joined
from console.tui.widgets.lines import Lines
from state.api.views.runbooks import Param
from state.text import cells

MOST_SIDE_BY_SIDE = 6
"""More choices than this, or wider ones, are completed instead of shown side by side."""
WIDEST = 56
TOGETHER = 1.0
"""Seconds: letters that come sooner after one another are the beginning of one word."""
ANSWER = "answer"
"""The kind of what answers a question: each on a line of its own."""
MEANINGS = {
    "service": "a service of this estate",
    "database": "a database of this estate",
    "node": "a node of a database",
    "balancer": "a balancer of this estate",
    "backend": "a backend of the balancers",
    "server": "a server of the backend",
    "zone": "a DNS zone of this estate",
    "colour": "the release to use, by its colour",
    "duration": "a time such as 90s, 5m or 1h",
    "size": "a size such as 500kB or 1MB",
    "number": "a number",
    "whole": "a whole number",
    "text": "your own words; they are recorded in the journal",
    "choice": "one of these",
    ANSWER: "one of these; it is asked once more before it counts",
}


def meaning(param: Param) -> str:
    """What a field means, and whether it must be filled in."""
    told = param.title or MEANINGS.get(param.kind, param.kind)
    return told if param.required else f"{told}; may stay empty"


def completions(choices: Sequence[str], typed: str) -> list[str]:
    """The choices that begin with what was typed, then those that contain it."""
    wanted = typed.strip().casefold()
    first = [word for word in choices if word.casefold().startswith(wanted)]
    return [*first, *(word for word in choices if wanted in word.casefold() and word not in first)]


def shared_beginning(words: Sequence[str]) -> str:
    """The longest beginning that all words have."""
    low, high = (min(words), max(words)) if words else ("", "")
    same = next(
        (place for place, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high))
    )
    return low[:same]


def chosen_by(choices: Sequence[str], at: int, typed: str) -> int | None:
    """The place of the choice that begins with what was typed, None without one; of one letter, also of one that is
    repeated, the next such choice after `at`."""
    words = [word.casefold() for word in choices]
    fitting = [place for place, word in enumerate(words) if word.startswith(typed)]
    if len(typed) > 1 and fitting:
        return at if at in fitting else fitting[0]
    after = [*range(at + 1, len(words)), *range(at + 1)]
    return next((each for each in after if words[each].startswith(typed[0])), None) if len(set(typed)) == 1 else None


class Choice(Lines, can_focus=True):
    """One of several words; left and right choose, what is typed goes to the next word that begins with it. `stacked`:
    one a line, and up and down choose too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", show=False),
        Binding("right,space", "turn(1)", show=False),
        Binding("enter", "screen.next", show=False),
    ]
    DEFAULT_CSS = "Choice { height: auto; } Choice:focus { text-style: bold; }"

    def __init__(
        self,
        choices: Sequence[str],
        chosen: str,
        changed: Callable[[], None] = lambda: None,
        *,
        stacked: bool = False,
    ) -> None:
        super().__init__()
        self._stacked = stacked
        self._choices = tuple(choices)
        self._changed = changed
        self._at = self._choices.index(chosen) if chosen in self._choices else -1
        self.unfit = ""
        """What was typed, where no word begins with it."""
        self._typed, self._typed_at, self._before = "", 0.0, self._at
        self._rows: list[int] = []
        """The choice on each line; empty while all are on one."""

    @property
    def value(self) -> str:
        return self._choices[self._at] if self._at >= 0 else ""

    @value.setter
    def value(self, chosen: str) -> None:
        self._at = self._choices.index(chosen) if chosen in self._choices else -1
        self._typed = self.unfit = ""
        self._paint()

    def on_mount(self) -> None:
        self._paint()

    def on_focus(self) -> None:
        self._paint()

    def on_blur(self) -> None:
        self._paint()

    def on_key(self, event: events.Key) -> None:
        """Letters that come within a second are one beginning of a word. Where it fits none, the word from before
        stands again, and what was typed is `unfit`."""
        if self._stacked and event.key in ("up", "down"):
            place = self._at + (1 if event.key == "down" else -1)
            if 0 <= place < len(self._choices):
                event.stop()
                self._choose(place)
            return
        letter = (event.character or "").casefold()
        if event.key == "backspace" and self._typed:
            self._at = self._before
            self._chosen("")
        if not event.is_printable or letter == " ":
            self._typed = ""
            return
        if event.time - self._typed_at > TOGETHER:
            self._typed, self._before = "", self._at
        if not (letter.isalnum() or self._typed or chosen_by(self._choices, self._at, letter) is not None):
            return  # a sign that is no name: another widget may have it
        event.stop()
        self._typed, self._typed_at = self._typed + letter, event.time
        found = chosen_by(self._choices, self._at, self._typed)
        self._at = self._before if found is None else found
        self._chosen(self._typed if found is None else "")

    def on_resize(self) -> None:
        self._paint()

    def on_click(self, event: events.Click) -> None:
        """With a mouse: the word below it."""
        if self._rows:
            self._choose(self._rows[min(event.y, len(self._rows) - 1)])
            return
        start = 0
        for place, word in enumerate(self._choices):
            start += cells(word) + 2
            if event.x < start:
                self._choose(place)
                return

    def action_turn(self, step: int) -> None:
        start = -1 if self._at < 0 and step > 0 else max(0, self._at)
        self._choose((start + step) % len(self._choices))

    def _choose(self, place: int) -> None:
        self._at, self._typed = place, ""
        self._chosen("")

    def _chosen(self, unfit: str) -> None:
        self.unfit = unfit
        self._paint()
        self._changed()

    def _paint(self) -> None:
        """All on one line where they fit, else one a line, wrapped: each can be read before it is chosen."""
        chosen = SELECTED if self.has_focus else "bold underline"
        parts = [
            (f"[{word}]", chosen) if place == self._at else (f" {word} ", MUTED)
            for place, word in enumerate(self._choices)
        ]
        line, width = joined(*parts), max(8, self.size.width or WIDEST)
        self._rows = []
        if line.cell_len <= width and not self._stacked:
            self.show([line])
            return
        shown: list[Text] = []
        for place, word in enumerate(self._choices):
            sign, style = ("[x] ", chosen) if place == self._at else ("[ ] ", MUTED)
            for at, piece in enumerate(Text(word).wrap(self.app.console, width - len(sign))):
                shown.append(joined((" " * len(sign) if at else sign, style), (piece.plain, style)))
                self._rows.append(place)
        self.show(shown)


class NameInput(Input):
    """An input whose Tab completes one of the names it may have; without any to complete it goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "complete", show=False)]

    def __init__(self, choices: Sequence[str], value: str, placeholder: str) -> None:
        super().__init__(value, placeholder=placeholder, compact=True)
        self.choices = tuple(choices)

    def action_complete(self) -> None:
        """The rest of a name as far as it is certain; on a whole name, the next field."""
        found = completions(self.choices, self.value)
        begin = [word for word in found if word.casefold().startswith(self.value.casefold())]
        certain = found[0] if len(found) == 1 else shared_beginning(begin)
        if len(certain) > len(self.value):
            self.value = certain
            self.cursor_position = len(certain)
        elif self.value in self.choices or not found:
            self.screen.focus_next()


def field_of(param: Param, value: str, changed: Callable[[], None]) -> Choice | Input:
    """The widget that asks for a parameter."""
    placeholder = "required" if param.required else "optional"
    if not param.choices:
        return Input(value, placeholder=placeholder, compact=True)
    if param.kind == ANSWER:
        return Choice(param.choices, value, changed, stacked=True)
    if param.kind == "choice" and len(param.choices) <= MOST_SIDE_BY_SIDE:
        return Choice(param.choices, value, changed)
    side_by_side = sum(cells(word) + 2 for word in param.choices) <= WIDEST
    if len(param.choices) <= MOST_SIDE_BY_SIDE and side_by_side:
        return Choice(param.choices, value, changed)
    return NameInput(param.choices, value, f"{placeholder}, Tab completes")
