"""Typing over a slow connection: pieces that arrive late count, what looks like a paste is dropped and named."""

from __future__ import annotations

import pytest

from state.api.card import Confirm
from state.api.requests import Submission, Typed
from tests.screens.fake_views import incident
from tests.support.cards import card
from tests.terminal.ptys import Terminal
from tests.terminal.served import Served, console_on

LATE = 0.35
"""Seconds between two pieces."""


def open_card(terminal: Terminal, served: Served, confirm: Confirm) -> None:
    served.front.card = card(confirm, arm=0.1)
    terminal.press("4")
    terminal.wait("edge-east/checkout")
    terminal.press("\t")
    terminal.read(0.3)
    terminal.press("d")
    terminal.wait("to do it")


@pytest.mark.parametrize("pieces", [("K7", "QX"), ("K7Q", "X"), ("K", "7QX")])
def test_a_code_that_arrives_in_pieces_counts(pieces: tuple[str, ...]) -> None:
    with console_on(incident()) as (terminal, served):
        open_card(terminal, served, Confirm.NONCE)
        for piece in pieces:
            terminal.press(piece)
            terminal.read(LATE)
        terminal.wait("run r-42 started")
        assert served.front.acts == [("submit", Submission("p-1", "f-1", Typed("K7QX")))]


def test_a_code_that_arrives_all_at_once_is_dropped_in_plain_sight_and_typed_again() -> None:
    with console_on(incident()) as (terminal, served):
        open_card(terminal, served, Confirm.NONCE)
        terminal.press("K7QX")
        terminal.wait("4 keys came all at once, like a paste: dropped, nothing was sent.")
        terminal.wait("Type the code again, key by key.")
        assert served.front.acts == []
        for char in "K7QX":
            terminal.read(0.2)
            terminal.press(char)
        terminal.wait("run r-42 started")


def test_the_name_that_arrives_at_once_does_not_cost_the_code() -> None:
    with console_on(incident()) as (terminal, served):
        open_card(terminal, served, Confirm.NONCE_AND_NAME)
        for piece in ("K7", "QX"):
            terminal.press(piece)
            terminal.read(LATE)
        terminal.wait("now type the name")
        terminal.press(served.front.card.confirmation.name)
        terminal.wait("like a paste: dropped")
        terminal.wait("Type the name again, key by key.")
        assert served.front.acts == []


def test_leaving_a_card_says_that_nothing_was_sent() -> None:
    with console_on(incident()) as (terminal, served):
        open_card(terminal, served, Confirm.NONCE)
        terminal.press("K7")
        terminal.read(LATE)
        terminal.press("\x1b")
        terminal.wait("nothing was sent: ")
        assert served.front.acts == []
