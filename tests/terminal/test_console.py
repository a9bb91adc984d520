"""The real console on real ptys: a small terminal with sixteen colours and no mouse; a hostile world."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from itertools import combinations

import pytest

from console.tui.app import tabs
from console.tui.glyphs import ASCII, MARKS, UNICODE
from state.text import clean, decode
from tests.screens.corpus import hostile_strings, poisoned_views
from tests.screens.fake_views import incident
from tests.terminal.ptys import Terminal
from tests.terminal.served import console_on

SEQUENCES = re.compile(rb"\x1b(?:\[[0-9;]*[mHC]|\[\?(?:25|2026)[hl]|\]22;[a-z]+\x07)")
"""All that a console may write between its start and its end: styles, cursor, whole frames, the pointer's shape."""
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of characters that act or cannot be seen."""
MOUSE = re.compile(rb"\x1b\[\?(?:9|100[0-35-6]|1015|1016)h")
MANY_COLOURS = re.compile(rb"\x1b\[[0-9;]*\b[34]8;[25]")
COLOUR = re.compile(rb"\x1b\[(?:[0-9]+;)*(?:3[0-7]|4[0-7]|9[0-7]|10[0-7])[;m]")
TOLD = {
    "1": ("FAIL", "WARN", "UNKNOWN", "PASS", "checkout", "18.2%", "Recover in this order", "CheckoutErrors"),
    "2": ("CONFLICT", "13.2 MB", "42.0 s", "no data", "a failover loses", "inactive"),
    "3": ("WAITING", "FAILED", "DONE", "PENDING", "REFUSED", "Did the error ratio fall?", "decides"),
    "4": ("DRAIN", "READY", "100.0%", "1/2", "edge-east/checkout"),
    "9": ("step-applied", "plan-refused", "all entries are on disk", "chain verified"),
}
QUIET = 0.25
"""Seconds without output after which a screen is drawn."""


def drawn(terminal: Terminal) -> str:
    """What the screen shows at rest."""
    for _ in range(20):
        if not terminal.read(QUIET):
            break
    return terminal.text()


def tour(terminal: Terminal) -> dict[str, str]:
    """Every screen by its key."""
    told = {}
    for tab in tabs():
        terminal.press(tab.digit)
        terminal.wait(TOLD.get(tab.digit, (tab.title,))[-1])
        told[tab.digit] = drawn(terminal)
    return told


@pytest.mark.parametrize("kind", ["screen", "linux", "vt100"])
def test_trap_22_the_whole_ui_on_80x24_with_16_colours_and_no_mouse(kind: str) -> None:
    with console_on(incident(), env={"TERM": kind}) as (terminal, _):
        for digit, text in tour(terminal).items():
            for message in TOLD.get(digit, ()):
                assert message in text, (digit, message, text)
            lines = text.splitlines()
            assert lines[0].startswith(" LAB ")
            assert "SPLIT BRAIN" in lines[2]
            assert "stop all" in lines[-2]
        for key in ("?", "\x1b", ":", "\x1b", "/", "\x1b", "P", "\x1b", "\x10", "\x1b", "\r", "\x1b"):
            terminal.press(key)
            terminal.read(QUIET)
        assert "9 Journal" in drawn(terminal)
        terminal.press("q")
        assert terminal.ended() == 0
        assert COLOUR.search(terminal.received)
        assert not MANY_COLOURS.search(terminal.received)
        assert not MOUSE.search(terminal.received)


@pytest.mark.parametrize("wishes", [(), ("--ascii",)])
def test_trap_22_every_state_is_told_without_colour(wishes: tuple[str, ...]) -> None:
    with console_on(incident(), *wishes, env={"NO_COLOR": "1", "TERM": "screen"}) as (terminal, _):
        for digit, text in tour(terminal).items():
            for message in TOLD.get(digit, ()):
                assert message in text, (digit, message, text)
        terminal.press("q")
        assert terminal.ended() == 0
        assert not COLOUR.search(terminal.received)
        assert not MANY_COLOURS.search(terminal.received)
        assert not wishes or terminal.received.isascii()


def test_trap_22_no_two_states_look_the_same_in_monochrome() -> None:
    for glyphs in (UNICODE, ASCII):
        for (name, one), (other_name, other) in combinations(MARKS.items(), 2):
            assert (glyphs.of(one), one.word) != (glyphs.of(other), other.word), (name, other_name)
            assert one.word != other.word or one.style == other.style


def test_the_terminal_has_the_size_it_has_whatever_was_inherited() -> None:
    with console_on(incident(), size=(120, 40), env={"COLUMNS": "80", "LINES": "24"}) as (terminal, _):
        assert "stop all" in drawn(terminal).splitlines()[-2]
        assert max(len(line.rstrip()) for line in terminal.text().splitlines()) > 80
        terminal.resize(100, 30)
        terminal.wait(lambda: "stop all" in terminal.text().splitlines()[28])


ENTRY = re.compile(r"[ ›>]*(\d+) +\d\d:\d\d:\d\dZ")
"""A row of the journal: its sequence number and time."""


def hostile_tour(count: int, seed: int) -> None:
    strings = hostile_strings(seed)
    done = 0
    with console_on(incident(), size=(200, 50)) as (terminal, served):
        drawn(terminal)
        terminal.received = b""
        while done < count:
            views, used = poisoned_views(incident(), strings)
            served.show(views)
            for key in ("1", "2", "3", "4"):
                terminal.press(key)
                terminal.read(0.12)
            # Each of these is waited for: a terminal cannot tell escape and a letter right after it from one key.
            for key, seen in (("9", "newest first"), ("\r", "esc back"), ("\x1b", "newest first")):
                terminal.press(key)
                terminal.wait(seen, 30)
            for key, seen in ((":", "Go to"), ("\x1b", "newest first")):
                terminal.press(key)
                terminal.wait(seen, 30)
            terminal.wait(lambda: "Go to" not in terminal.text(), 30)
            shown = drawn(terminal)
            done += len(used)
            lines = {found[1]: line for line in shown.splitlines() if (found := ENTRY.match(line))}
            rows = [row for row in views["journal"].entries.values() if str(row.seq) in lines]
            whole = [row for row in rows if clean(row.message).isascii() and len(clean(row.message)) < 60]
            assert whole
            for row in whole:
                told = clean(row.message)
                assert told in lines[str(row.seq)], shown
                assert decode(told) == row.message
        assert served.front.acts == []
        assert served.front.previews == []
        rest = SEQUENCES.sub(b"", terminal.received).decode()
        odd = {char for char in rest if unicodedata.category(char) in HIDDEN}
        assert not odd
        assert terminal.process.poll() is None
        terminal.press("q")
        assert terminal.ended() == 0


def test_thousands_of_hostile_strings_reach_a_terminal_as_text_only() -> None:
    hostile_tour(2_000, seed=21)


@pytest.mark.torture
def test_ten_thousands_of_hostile_strings_reach_a_terminal_as_text_only() -> None:
    hostile_tour(40_000, seed=22)


def test_r14_long_answers_cannot_be_read():
    labels = (
        "Yes, customers and the DBA on call accept the loss of the last 30 s",
        "No, hold here until the storage team has answered",
        "Stop and leave everything as it is now",
    )
    views = incident()
    books = views["runbooks"]
    runs = {key: replace(run, options=labels if run.options else ()) for key, run in books.runs.items()}
    views["runbooks"] = replace(books, runs=runs)
    with console_on(views, size=(80, 24)) as (terminal, served):
        for key in ("3", "d", "\x1b[C", "\x1b[C", "\x1b[C"):
            terminal.press(key)
            terminal.read(0.6)
        text = terminal.text()
        for label in labels[1:]:
            assert label in text
        assert "[x] Stop and leave everything as it is now" in text
        assert "accept the loss of the" in text
        over = replace(views["runbooks"], runs={k: replace(r, steps_of={}) for k, r in runs.items()})
        served.show({"runbooks": over})
        terminal.read(2.0)
        assert "this question is over" in terminal.text()
        terminal.press("\r")
        terminal.read(1.0)
        assert served.front.acts == []
