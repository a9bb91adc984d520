"""The confirmation gate: arming, bursts, pastes, one try."""

from __future__ import annotations

import random
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from console.tui.dialogs.asking import dropped_lines
from console.tui.dialogs.gate import SETTLE_SECONDS, DropReason, Gate, KeyOutcome, Wanted

ARM = 0.5
YES = (Wanted("nonce", "y", fold=True),)
NONCE = (Wanted("nonce", "K7QX", once=True, fold=True),)


def opened(wanted: tuple[Wanted, ...] = YES) -> Gate:
    gate = Gate(wanted, ARM)
    gate.shown(0.0)
    return gate


def typed(gate: Gate, text: str, start: float = 1.0, every: float = 0.15) -> float:
    at = start
    for char in text:
        gate.key(char, at)
        at += every
    return at


def test_a_deliberate_yes() -> None:
    gate = opened()
    assert gate.key("y", 1.0) is KeyOutcome.COMPLETE
    assert gate.accepted(1.0) is None
    assert gate.accepted(1.0 + SETTLE_SECONDS) == {"nonce": "y"}


def test_nothing_counts_before_the_card_was_drawn_or_armed() -> None:
    gate = Gate(YES, ARM)
    assert gate.key("y", 99.0) is KeyOutcome.DROPPED
    gate.shown(100.0)
    assert gate.key("y", 100.49) is KeyOutcome.DROPPED
    assert gate.accepted(200.0) is None


def test_a_burst_resets_and_arms_again() -> None:
    gate = opened(NONCE)
    results = [gate.key(char, 1.0 + place * 0.005) for place, char in enumerate("K7QX")]
    assert results[-1] is KeyOutcome.BURST
    assert gate.accepted(9.0) is None
    assert gate.key("K", 1.2) is KeyOutcome.DROPPED
    typed(gate, "k7qx", 2.0)
    assert gate.accepted(9.0) == {"nonce": "k7qx"}


def test_the_first_letter_of_a_pasted_word_confirms_nothing() -> None:
    gate = opened()
    gate.key("y", 1.0)
    gate.key("e", 1.001)
    gate.key("s", 1.002)
    assert gate.accepted(9.0) is None


def test_enter_right_after_the_letter_betrays_a_paste() -> None:
    gate = opened()
    gate.key("y", 1.0)
    gate.other_key(1.001)
    assert gate.accepted(9.0) is None


def test_one_try_for_a_nonce() -> None:
    gate = opened(NONCE)
    typed(gate, "K7QY")
    assert gate.void
    typed(gate, "K7QX", 3.0)
    assert gate.accepted(9.0) is None


def test_erase_before_the_last_letter() -> None:
    gate = opened(NONCE)
    typed(gate, "K7Z")
    gate.erase()
    typed(gate, "QX", 3.0)
    assert gate.accepted(9.0) == {"nonce": "K7QX"}


def test_nonce_then_name_then_loss_in_that_order() -> None:
    gate = opened((*NONCE, Wanted("name", "orders"), Wanted("loss", "13.2 MB")))
    end = typed(gate, "K7QX")
    assert gate.accepted(end + 9) is None
    end = typed(gate, "orders", end)
    assert gate.current is not None
    end = typed(gate, "13.2 MB", end)
    assert gate.accepted(end + 1) == {"nonce": "K7QX", "name": "orders", "loss": "13.2 MB"}


def test_ten_thousand_pastes_confirm_nothing() -> None:
    chance = random.Random(7)
    alphabet = string.ascii_letters + string.digits + " \r"
    for _ in range(10_000):
        wanted = chance.choice((YES, NONCE))
        gate = opened(wanted)
        text = "".join(chance.choices(alphabet, k=chance.randint(2, 40)))
        if chance.random() < 0.3:
            text = chance.choice(("yes\r", "y\r", "yy", "K7QX\r", "K7QXK7QX", "echo K7QX")) + text
        at = chance.uniform(0, 3)
        for char in text:
            at += chance.uniform(0, 0.002)
            if char == "\r":
                gate.other_key(at)
            else:
                gate.key(char, at)
        assert gate.accepted(at + 60) is None


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from("K7QXAB"), st.floats(0.0, 0.4)), max_size=12))
def test_accepted_only_if_exactly_the_nonce_was_typed_after_arming(keys: list[tuple[str, float]]) -> None:
    gate = opened(NONCE)
    at = 0.0
    counted = ""
    for char, pause in keys:
        at += pause
        heard = gate.key(char, at)
        counted = "" if heard is KeyOutcome.BURST else counted if heard is KeyOutcome.DROPPED else counted + char
    assert (gate.accepted(at + 60) is not None) == (counted == "K7QX")


def test_one_dropped_key_is_told_as_one() -> None:
    for keys, said in ((1, "1 key was pasted: dropped"), (2, "2 keys were pasted: dropped")):
        gate = opened(NONCE)
        gate.reset(4.0, DropReason.PASTE, keys)
        assert dropped_lines(gate)[0].plain.startswith(said)


def test_what_is_dropped_is_counted_with_the_reason_until_a_key_counts() -> None:
    gate = opened(NONCE)
    gate.key("K", 0.1)
    assert gate.dropped == (DropReason.EARLY, 1)
    for place, char in enumerate("K7QXorders"):
        gate.key(char, 1.0 + place * 0.001)
    assert gate.dropped == (DropReason.BURST, 10)
    gate.key("K", 1.2)  # while the gate arms again
    assert gate.dropped == (DropReason.EARLY, 1)
    typed(gate, "K7Q", 3.0)
    assert gate.dropped is None
    gate.reset(4.0, DropReason.PASTE, 6)
    assert gate.dropped == (DropReason.PASTE, 6)


def test_pieces_of_a_slow_connection_survive() -> None:
    for pieces in (("K7", "QX"), ("K7Q", "X"), ("K", "7QX"), ("K7", "Q", "X")):
        gate = opened((*NONCE, Wanted("name", "orders")))
        for number, piece in enumerate((*pieces, "ord", "ers")):
            for char in piece:
                gate.key(char, 1.0 + number * 0.3)  # all keys of a piece arrive at once
        assert gate.accepted(9.0) == {"nonce": "K7QX", "name": "orders"}, pieces


def test_a_burst_takes_nothing_that_was_typed_before_it() -> None:
    gate = opened((*NONCE, Wanted("name", "orders")))
    end = typed(gate, "K7QX")
    for char in "orders":
        gate.key(char, end)
    assert gate.accepted(end + 9) is None
    assert gate.current is not None
    assert gate.current.name == "name"
    assert gate.dropped == (DropReason.BURST, 6)
    typed(gate, "orders", end + 2)
    assert gate.accepted(end + 9) == {"nonce": "K7QX", "name": "orders"}


def test_a_code_that_ends_in_a_burst_is_part_of_it() -> None:
    gate = opened((*NONCE, Wanted("name", "orders")))
    typed(gate, "K7Q")
    for char in "Xorders":
        gate.key(char, 3.0)
    assert gate.current is not None
    assert gate.current.name == "nonce"
