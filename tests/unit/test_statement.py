"""What is signed: one fact a line whatever stands in it, the same after it was made safe once more on its way."""

from __future__ import annotations

from itertools import islice, product

import pytest

from state.api.approvals import ApprovalCard
from state.api.wire import plain, revive
from state.policy.statement import plan_hash, statement
from state.text import clean, is_clean
from tests.screens.corpus import hostile_strings
from tests.support.cards import card

FACTS = {
    "estate": "shop", "environment": "production", "request": "A-1", "plan": "ab" * 32, "risk": "B3", "title": "Flip",
    "requester": "ada", "reason": "blue fails", "change": "CHG-7", "approver": "ben",
}  # fmt: skip
HOSTILES = [
    *islice(hostile_strings(7), 300),
    "a\nplan: 0",
    "x" * 5000,
    "\\" * 50,
    "%0a",
    "…(+9)",
    "\u2028risk: B1",
    "a\r\nb",
]


def said(**differs: str) -> str:
    return statement(**{**FACTS, **differs}, loss=13_200_000, until=1.8e9)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["title", "requester", "reason", "change", "estate"])
def test_no_text_makes_another_line_or_another_fact(place: str) -> None:
    names = [line.partition(":")[0] for line in said().splitlines()]
    for text in HOSTILES:
        made = said(**{place: text})
        lines = made.splitlines()
        assert [line.partition(":")[0] for line in lines] == names, text
        assert made == "".join(f"{line}\n" for line in lines)
        assert all(is_clean(line) for line in lines)


def test_the_way_to_a_console_changes_no_byte() -> None:
    for text, place in product(HOSTILES, ("title", "reason")):
        lines = tuple(said(**{place: text}).splitlines())
        assert all(clean(line) == line for line in lines), text
        sent = ApprovalCard("A-1", card(), "ben", lines, ())
        got = revive(ApprovalCard, plain(sent))
        assert got.statement == said(**{place: text})


@pytest.mark.parametrize("name", list(FACTS))
def test_another_word_anywhere_makes_another_text_and_another_hash(name: str) -> None:
    other = {**FACTS, name: f"{FACTS[name]}x"}
    assert said(**{name: other[name]}) != said()
    assert plan_hash(other) != plan_hash(FACTS)


def test_an_unknown_loss_is_said() -> None:
    text = statement(**FACTS, loss=None, until=1.8e9)  # type: ignore[arg-type]
    assert "may lose: unknown\n" in text
    assert "may lose: 13.2 MB\n" in said()
    assert "approve until: 2027-01-15T08:00:00.000Z\n" in said()
