"""Lines of a card that stand for several targets follow the steps of each of them."""

from __future__ import annotations

import pytest

from console.card_text import card_sections
from state.api.card import Fact, FactKind
from tests.support.cards import card


def does(*deeds: str) -> list[str]:
    """The lines of what is done, of deeds as `TARGET what`."""
    facts = tuple(Fact(FactKind.DOES, *each.split(" ", 1)) for each in deeds)
    lines = (line for section in card_sections(card(facts=facts)) for line in section.lines)
    return [line.text for line in lines if line.label == "does"]


@pytest.mark.parametrize(
    ("deeds", "lines"),
    [
        (
            ("e give 0%", "w give 20%", "w give 0%", "n give 20%", "n give 0%"),
            ["w and n: give 20%", "e, w and n: give 0%"],
        ),
        (("e a", "e b", "w b"), ["e: a", "e and w: b"]),
        (("e a", "e b", "w a"), ["e and w: a", "e: b"]),
        (("e a", "e b", "w b", "w a"), ["e and w: a", "e and w: b"]),
    ],
    ids=["ramp", "plain", "first", "either way"],
)
def test_no_step_of_a_target_stands_before_the_one_that_it_follows(deeds: tuple[str, ...], lines: list[str]) -> None:
    assert does(*deeds) == lines
