"""The pages of the first start: addresses, what they gave, questions, what was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input

from console.tui.glyphs import ACTIVE, FAIL, MUTED, TITLE, WARN, Glyphs
from console.tui.text import cell, joined, state_text
from console.tui.widgets.lines import Lines
from console.tui.wizard.child import Event, safe

MOST_SILENT = 3
"""Addresses that gave nothing, told above the questions; all are in the file."""
WHICH = "Every HAProxy, one member of a Patroni cluster, …; several are separated by blanks:"
EXAMPLES = (
    ("https://10.1.0.11:8008", "a member of a Patroni cluster"),
    ("/run/haproxy/admin.sock", "HAProxy's runtime API, or its haproxy.cfg"),
    ("http://10.1.0.20:9090", "Prometheus"),
    ("http://10.1.0.20:9093", "Alertmanager"),
    ("dns://10.1.0.53/shop.example", "a zone of DNS"),
)


def wrapped(text: str, width: int, style: str = "", indent: int = 0) -> list[Text]:
    """A text in lines of a width; words longer than that are cut by it."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > width - indent:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    lines.append(line)
    return [cell(" " * indent + each, style) for each in lines]


def silent(done: Event, glyphs: Glyphs) -> list[str]:
    """The addresses that gave nothing, each with its way out."""
    told = []
    for each in done.get("found", ()):
        if not each.get("kind"):
            way_out = f" {glyphs.arrow} {safe(each['way_out'])}" if each.get("way_out") else ""
            told.append(safe(each["line"]) + way_out)
    return told


class WizardPage(VerticalScroll, can_focus=False):
    """One page; `keys` are told in the last line."""

    keys: ClassVar[tuple[tuple[str, str], ...]] = (("enter", "next"), ("esc", "leave"))
    DEFAULT_CSS = """
    WizardPage { height: 1fr; padding: 0 1; }
    WizardPage Input, WizardPage Input:focus { height: 1; border: none; padding: 0; width: 1fr; }
    WizardPage .label { width: 15; }
    WizardPage .row { height: 1; }
    WizardPage .wrong { height: auto; }
    """

    def __init__(self, glyphs: Glyphs, width: int) -> None:
        super().__init__()
        self.glyphs, self.room = glyphs, max(40, width - 4)
        self.wrong = Lines([""], classes="wrong")

    def start(self) -> Widget:
        """What has the keys first."""
        return self

    def on_mount(self) -> None:
        self.start().focus()

    def refuse(self, text: str) -> None:
        """Say why it does not go on."""
        self.wrong.show(["", *wrapped(safe(text), self.room, FAIL)])

    def wait(self, text: str) -> None:
        """Say what is going on."""
        self.wrong.show(["", cell(text, ACTIVE)])


class AddressPage(WizardPage):
    """Which addresses to ask."""

    keys = (("enter", "look"), ("esc", "leave, nothing was written"))

    def __init__(self, glyphs: Glyphs, width: int, before: str) -> None:
        super().__init__(glyphs, width)
        self.field = Input(before, id="addresses", placeholder="addresses, or nothing: the usual places of this host")

    def start(self) -> Widget:
        return self.field

    def compose(self) -> ComposeResult:
        yield Lines(
            [
                "",
                cell("There is no estate here yet. Say where something runs to find the rest.", TITLE),
                *wrapped(WHICH, self.room, MUTED),
                "",
                *(joined((f"  {address:<30}", ""), (what, MUTED)) for address, what in EXAMPLES),
                "",
            ]
        )
        with Horizontal(classes="row"):
            yield Lines([cell("addresses", TITLE)], classes="label")
            yield self.field
        yield Lines(
            [
                "",
                cell("Everything is read, nothing is changed, and no password is sent or asked for.", MUTED),
                cell("Nothing is written before you have seen it.", MUTED),
                "",
            ]
        )
        yield self.wrong


class LookingPage(WizardPage, can_focus=True):
    """What the addresses gave, as it comes in."""

    keys = (("esc", "stop looking"),)

    def __init__(self, glyphs: Glyphs, width: int, addresses: Sequence[str]) -> None:
        super().__init__(glyphs, width)
        self._asked = list(addresses)
        self._steps: list[str] = []
        self._found: list[tuple[bool, str]] = []
        self.lines = Lines(self._rows())

    def compose(self) -> ComposeResult:
        yield self.lines
        yield self.wrong

    def take(self, event: Event) -> None:
        """One event of the child."""
        text = safe(event.get("text", ""))
        if event.get("event") == "found":
            self._found.append((bool(event.get("kind")), text))
        else:
            self._steps.append(text)
        self.lines.show(self._rows())

    def _rows(self) -> list[Text | str]:
        asked = ", ".join(self._asked) or "the usual places of this host"
        rows: list[Text | str] = ["", *wrapped(f"Asking {asked}", self.room, TITLE), ""]
        if self._found:
            for well, text in self._found:
                sign = state_text("ok" if well else "fail", self.glyphs, word=False)
                first, *more = wrapped(text, self.room - 2)
                rows += [joined(sign, " ", first), *(joined("  ", each) for each in more)]
        else:
            rows += [line for text in self._steps for line in wrapped(text, self.room, MUTED)]
        return rows


class QuestionsPage(WizardPage):
    """What nobody can discover, with proposals, and where to write it."""

    keys = (("enter", "next"), ("up/down", "field"), ("esc", "back"))

    def __init__(self, glyphs: Glyphs, width: int, done: Event, before: Mapping[str, str]) -> None:
        super().__init__(glyphs, width)
        self._done = done
        self.fields: dict[str, Input] = {}
        self._texts: dict[str, str] = {}
        for question in (
            *done.get("questions", ()),
            {"key": "folder", "text": "Folder to write it to", "proposal": "."},
        ):
            key = safe(question["key"])
            self.fields[key] = Input(before.get(key, safe(question["proposal"])), id=f"q-{key}")
            self._texts[key] = safe(question["text"])

    def start(self) -> Widget:
        return next(iter(self.fields.values()))

    def compose(self) -> ComposeResult:
        yield Lines(
            [
                "",
                *wrapped(f"Found: {safe(self._done.get('summary', ''))}.", self.room, TITLE),
                *self._silent(),
                cell("What nobody can find out. Enter takes what stands there.", MUTED),
                "",
            ]
        )
        for key, field in self.fields.items():
            yield Lines(wrapped(self._texts[key], self.room, MUTED))
            with Horizontal(classes="row"):
                yield Lines([cell(key, TITLE)], classes="label")
                yield field
        yield self.wrong

    def _silent(self) -> Iterable[Text]:
        """The addresses that gave nothing."""
        for line in silent(self._done, self.glyphs)[:MOST_SILENT]:
            yield from wrapped(line, self.room, WARN)

    @property
    def typed(self) -> dict[str, str]:
        """What the fields hold now."""
        return {key: field.value.strip() for key, field in self.fields.items()}


class WrittenPage(WizardPage, can_focus=True):
    """What was written, what is not known, what to do next."""

    keys = (("enter", "open it"), ("up/down", "scroll"), ("esc", "leave"))

    def __init__(self, glyphs: Glyphs, width: int, done: Event) -> None:
        super().__init__(glyphs, width)
        self._done = done

    @property
    def file(self) -> Path:
        """The estate that was written."""
        return Path(str(self._done.get("file", "")))

    def missing(self) -> list[Path]:
        """The files of secrets that are not there yet."""
        named = (self.file.parent / str(each["file"]) for each in self._done.get("secrets", ()))
        return [path for path in named if not path.is_file()]

    def compose(self) -> ComposeResult:
        yield self.wrong
        yield Lines(list(self._rows()))

    def _rows(self) -> Iterable[Text | str]:
        done = self._done
        yield from ("", joined(state_text("ok", self.glyphs, word=False), (f" {safe(done.get('file', ''))}", TITLE)))
        yield from wrapped(safe(done.get("summary", "")), self.room, indent=2)
        for each in done.get("secrets", ()):
            yield ""
            yield from wrapped(f"Put {safe(each['what'])} there: type it, Enter, Ctrl+D", self.room, WARN)
            yield from wrapped(safe(each["by"]), self.room, indent=2)
        yield from self._listed("Not written, only as comments in the file:", done.get("withheld", ()), "path", "why")
        yield from self._listed("Not known, or not done:", done.get("open", ()), "where", "what")
        yield ""
        for line in done.get("next", ()):
            yield from wrapped(safe(line), self.room, indent=2 if str(line).startswith(" ") else 0)

    def _listed(self, title: str, entries: Sequence[Mapping[str, Any]], where: str, what: str) -> Iterable[Text | str]:
        if entries:
            yield from ("", cell(title, TITLE))
        for each in entries:
            way_out = f" {self.glyphs.arrow} {safe(each['way_out'])}" if each.get("way_out") else ""
            yield from wrapped(f"{safe(each[where])}: {safe(each[what])}{way_out}", self.room, indent=2)
