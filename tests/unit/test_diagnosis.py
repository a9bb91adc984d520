"""Answers about targets: what is unknown is no pass, an end that is near warns, clocks are compared with both ends."""

from __future__ import annotations

import pytest

from state.diagnosis.judging import DAY, clock_apart, clock_by_date, ends, has_name
from state.diagnosis.model import SHOWN, Asked, Diagnosis, Subject, exit_code, in_reading_order
from state.errors import ReadFailure, Trouble
from state.health import Health
from state.text import cells

IT = Subject("monitors/prometheus")
NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("trouble", "health", "question"),
    [
        (Trouble.DENIED, Health.FAIL, Asked.CREDENTIAL),
        (Trouble.TIMEOUT, Health.UNKNOWN, Asked.REACHED),
        (Trouble.UNREACHABLE, Health.FAIL, Asked.REACHED),
        (Trouble.EMPTY, Health.UNKNOWN, Asked.REACHED),
        (Trouble.ERROR, Health.FAIL, Asked.REACHED),
    ],
)
def test_no_answer_in_time_is_unknown_and_every_other_trouble_fails_with_a_next_step(
    trouble: Trouble, health: Health, question: Asked
) -> None:
    found = IT.failure(ReadFailure(trouble, "what the target said"))
    assert (found.health, found.asked, found.reason) == (health, question, "what the target said")
    assert found.next


def test_the_worst_answer_makes_the_exit_code_and_no_answer_is_unknown() -> None:
    good, warns = IT.passes(Asked.REACHED, "answers"), IT.warns(Asked.CLOCK, "apart", "chrony")
    bad, unknown = IT.fails(Asked.ROLE, "other", "look"), IT.unknown(Asked.ROLE, "silent", "ask")
    assert [exit_code(rows) for rows in ([good, warns], [good, unknown], [unknown, bad], [])] == [0, 3, 1, 3]


def test_a_text_of_a_target_is_bounded() -> None:
    assert cells(IT.fails(Asked.ROLE, "x" * 5000, "look").reason) == SHOWN


def test_answers_stand_by_target_then_by_question_and_once() -> None:
    other = Subject("monitors/other")
    rows = [IT.passes(Asked.CLOCK, "a"), other.passes(Asked.NAME, "b"), IT.passes(Asked.NAME, "c")]
    assert [row.reason for row in in_reading_order([*rows, *rows])] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (NOW, ""),
        (NOW + 2.9, ""),
        (NOW - 2.0, ""),
        (NOW + 43.0, "its clock is 42 s ahead of this host's"),
        (NOW - 90.0, "its clock is 90 s behind this host's"),
    ],
)
def test_a_clock_is_apart_by_what_the_time_of_the_question_does_not_explain(theirs: float, told: str) -> None:
    found = clock_apart(IT, theirs, NOW, NOW + 1.0)
    assert (found.health, found.reason if told else "") == (Health.WARN if told else Health.PASS, told)


def test_a_date_has_whole_seconds_and_an_unusable_one_is_no_answer() -> None:
    assert clock_by_date(IT, "not a date", NOW, NOW) is None
    late = clock_by_date(IT, "Wed, 18 Nov 2026 12:26:37 GMT", 1_795_004_800.9, 1_795_004_801.0)
    assert late is not None
    assert late.health is Health.PASS or "behind" in late.reason


@pytest.mark.parametrize(
    ("days", "health", "told"),
    [
        (81.5, Health.PASS, "is valid for 81 days, until"),
        (13.9, Health.WARN, "is valid for 13 days, until"),
        (0.5, Health.WARN, "is valid for less than a day, until"),
        (-3.2, Health.FAIL, "expired 3 days ago, "),
    ],
)
def test_what_ends_soon_warns(days: float, health: Health, told: str) -> None:
    found = ends(IT, Asked.CERTIFICATE, "the certificate", NOW + days * DAY, NOW)
    assert found.health is health
    assert found.reason.startswith(f"the certificate {told}")


def test_a_name_that_is_not_there_is_told_with_the_nearest_one() -> None:
    assert has_name(IT, "backend", "shop", ["shop", "api"], "service shop").health is Health.PASS
    near = has_name(IT, "backend", "chekcout", ["checkout", "api"], "service checkout")
    assert near.reason == "no backend chekcout, which service checkout names; did you mean 'checkout'?"
    far = has_name(IT, "backend", "zzz", [], "service checkout")
    assert (far.health, far.reason) == (Health.FAIL, "no backend zzz, which service checkout names; there is none")


def test_every_answer_but_a_pass_says_what_to_do() -> None:
    made: list[Diagnosis] = [
        IT.warns(Asked.CLOCK, "a", "b"),
        IT.fails(Asked.CLOCK, "a", "b"),
        IT.unknown(Asked.CLOCK, "a", "b"),
    ]
    assert all(each.next for each in made)
    assert not IT.passes(Asked.CLOCK, "a").next
