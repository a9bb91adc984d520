"""Forms: what each field means, names completed, what was typed kept, and nothing sent unless a card was confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from textual import events

from console.tui.dialogs.fields import Choice, chosen_by, completions, shared_beginning
from console.tui.dialogs.form import FormDialog
from console.tui.screens.base import MainScreen
from state.api.requests import PlanChange
from state.api.run_states import RunState, StepState
from state.api.views.header import WaitingRun
from state.api.views.runbooks import Param
from state.errors import NotFound
from tests.screens.fake_engine import stage

WAITING = WaitingRun("r-41", "Roll back", RunState.WAITING, "judge", 1, "ada", "Did it fall?", "", 0.0, 300.0)
MANY = tuple(f"web-{number:04d}" for number in range(5_000))


def test_completion_offers_beginnings_first_and_completes_what_is_certain() -> None:
    assert completions(("blue", "dark-blue", "green"), "bl") == ["blue", "dark-blue"]
    assert shared_beginning(["orders-east", "orders-west"]) == "orders-"
    assert shared_beginning([]) == ""
    assert completions(MANY, "web-49")[0] == "web-4900"


async def test_a_form_says_what_each_field_means_and_keeps_what_was_typed() -> None:
    async with stage() as st:
        await st.press("3", "tab", "tab", "s")
        await st.sees("Start Roll back a bad release", "a service of this estate", "the release to use")
        await st.press("right", "enter", "right", "enter", *"because")
        await st.press("escape")
        await st.sees("nothing was sent, your input is kept: Start")
        assert st.front.previews == []
        await st.press("s")
        await st.sees("[catalog]", "because")


async def test_a_wrong_value_keeps_the_form_open_and_says_why() -> None:
    async with stage() as st:
        await st.press("4", "tab", "w", "backspace", *"900", "enter")
        await st.sees("a weight is a whole number from 0 to 256", "Weight of blue")
        assert st.front.previews == []
        await st.press("backspace", "backspace", "enter")
        await st.until(lambda: st.front.previews, "a preview")
        assert isinstance(st.front.previews[0], PlanChange)
        assert st.front.previews[0].args["weight"] == 9


async def test_what_was_typed_stands_again_after_a_refusal() -> None:
    async with stage() as st:
        await st.press("4", "tab", "w", "backspace", *"77", "enter")
        await st.sees("Cancel")
        await st.press("escape")
        await st.sees("nothing was sent: Drain")
        await st.press("w")
        await st.sees("77")


async def test_tab_completes_one_of_thousands_of_names() -> None:
    answers: list[Mapping[str, str] | None] = []
    async with stage() as st:
        param = Param("server", "server", "", MANY, True)
        st.app.push_screen(FormDialog("Drain", (param,)), answers.append)
        await st.sees("Tab completes", "web-0000")
        await st.press(*"web-499", "tab")
        await st.sees("web-4990 web-4991")
        await st.press("7")
        await st.press("tab", "enter")
        assert answers == [{"server": "web-4997"}]


@pytest.mark.parametrize("typed", ["nothing-like-it", ""])
async def test_a_name_that_does_not_exist_is_not_taken(typed: str) -> None:
    async with stage() as st:
        param = Param("server", "server", "", MANY, True)
        st.app.push_screen(FormDialog("Drain", (param,)))
        await st.sees("Tab completes")
        await st.press(*typed, "enter")
        await st.sees("server is required" if not typed else "server must be a name it may have")


FEW = Param("node", "node", "n2", ("n1", "n3", "n2"), True)


def test_what_is_typed_is_the_beginning_of_a_choice() -> None:
    names = ("n1", "n3", "n2", "orders", "old")
    assert chosen_by(names, 2, "n3") == 1
    assert chosen_by(names, 0, "n1") == 0
    assert [chosen_by(names, at, "n") for at in (-1, 0, 1, 2, 4)] == [0, 1, 2, 0, 0]
    assert chosen_by(names, 0, "nn") == 1, "a letter again goes on"
    assert chosen_by(names, 0, "ol") == 4
    assert [chosen_by(names, 0, typed) for typed in ("n9", "x", "n3x", "3")] == [None] * 4


def key(letter: str, at: float) -> events.Key:
    made = events.Key(letter, letter if len(letter) == 1 else None)
    made.time = at
    return made


async def test_a_name_of_several_letters_chooses_that_one_and_one_that_is_none_is_said() -> None:
    answers: list[Mapping[str, str] | None] = []
    async with stage() as st:
        form = FormDialog("Restart", (FEW,))
        st.app.push_screen(form, answers.append)
        await st.sees("[n2]")
        field = form.query_one(Choice)
        for round_, (typed, chosen) in enumerate((("n3", "n3"), ("n1", "n1"), ("n9", "n1"), ("N2", "n2"))):
            for place, letter in enumerate(typed):
                field.on_key(key(letter, 1000.0 + 10 * round_ + 0.4 * place))
            assert (field.value, field.unfit) == (chosen, "n9" if typed == "n9" else "")
        for place, letter in enumerate("n9"):
            field.on_key(key(letter, 9000.0 + 1.5 * place))
        assert (field.value, field.unfit) == ("n1", "9"), "later than a second: a beginning of its own"
        await st.sees("none of these begins with 9")
        await st.press("enter")
        await st.sees("node is none of these: n1, n3, n2")
        assert answers == []
        await st.press("right", "enter")
        assert answers == [{"node": "n3"}]


BELONGS = {"shop": ("orders",), "help": ("tickets", "wiki")}
NODES = {"orders": ("o1", "o2"), "tickets": ("t1",), "wiki": ("w1",)}
LED = (
    Param("node", "node", "o1", ("o1", "o2", "t1", "w1"), True, "", "database", {"orders": "o1"}, NODES),
    Param(
        "database", "database", "orders", ("orders", "tickets", "wiki"), False, "", "service",
        {"shop": "orders", "help": "tickets"}, BELONGS,
    ),
    Param("service", "service", "shop", ("shop", "help"), True),
)  # fmt: skip


async def test_fields_follow_one_another_in_whatever_order_and_take_only_what_belongs() -> None:
    answers: list[Mapping[str, str] | None] = []
    async with stage() as st:
        form = FormDialog("Switch", LED)
        st.app.push_screen(form, answers.append)
        await st.sees("Switch")
        await st.press("enter", "enter", "right")
        assert form.typed == {"node": "", "database": "tickets", "service": "help"}
        await st.press("enter")
        await st.sees("node is required")
        await st.press("o", "enter", "enter", "enter")
        await st.sees("node must be a name it may have for this database: t1")
        assert answers == []
        await st.press("t", "enter", "enter", "enter")
        assert answers == [{"node": "t1", "database": "tickets", "service": "help"}]


async def test_what_is_pasted_into_a_question_answers_nothing() -> None:
    """Each line of a paste may choose and leave the form; the card behind it takes none of it for a yes."""
    async with stage() as st:
        st.front.show("header", replace(st.front.view("header"), waiting={"r-41": WAITING}))
        await st.sees("r-41 asks ada")
        await st.press("D")
        await st.sees("choice")
        for char in "yes\ry\ryes\ry\r":
            st.app.post_message(events.Key("enter" if char == "\r" else char, char))
        await st.pilot.pause(1.0)
        assert st.front.acts == []
        for char in "y\ry\r":
            st.app.post_message(events.Key("enter" if char == "\r" else char, char))
        await st.pilot.pause(1.0)
        assert st.front.acts == []


async def test_a_dialog_closes_once_and_behind_what_is_in_front_of_it() -> None:
    answers: list[Mapping[str, str] | None] = []
    async with stage() as st:
        first, second = FormDialog("First", LED[2:]), FormDialog("Second", LED[2:])
        st.app.push_screen(first, answers.append)
        await st.sees("First")
        st.app.push_screen(second)
        await st.sees("Second")
        first.dismiss({"service": "help"})
        await st.settle()
        assert (answers, st.app.screen) == ([], second)
        second.dismiss(None)
        second.dismiss(None)
        await st.until(lambda: first not in st.app.screen_stack, "both closed")
        assert answers == [{"service": "help"}]
        first.dismiss(None)
        await st.settle()
        assert answers == [{"service": "help"}]
        assert isinstance(st.app.screen, MainScreen)


async def test_a_question_says_what_it_is_about_and_has_one_line_for_each_answer() -> None:
    async with stage(size=(80, 24)) as st:
        st.front.show("header", replace(st.front.view("header"), waiting={"r-41": WAITING}))
        await st.sees("r-41 asks ada")
        view = st.front.view("runbooks")
        step = next(each for each in view.steps.values() if each.run == "r-41" and each.state is StepState.WAITING)
        told = replace(step, why=("A drained server stays drained.",), look_for=("Its sessions.",))
        st.front.show("runbooks", replace(view, steps={**view.steps, step.key: told}))
        await st.press("3")
        await st.sees("A drained server stays drained.")
        await st.press("D")
        run = view.runs["r-41"]
        await st.sees(f"r-41: {step.title}", run.question, "A drained server stays drained.", "Its sessions.")
        assert step.name not in st.text
        rows = [row.strip() for row in st.text.splitlines()]
        for option in run.options:
            assert any(row.endswith(f"[ ] {option}") for row in rows), st.text
        await st.press("down", "down")
        await st.sees(f"[x] {run.options[1]}")
        await st.press("enter")
        await st.sees("this card expires in", run.options[1])


async def test_what_the_engine_cannot_find_leads_back_to_the_form() -> None:
    async with stage() as st:
        st.front.unplanned = NotFound("no server of edge-east/checkout a")
        await st.press("4", "tab", "w", "backspace", *"77", "enter")
        await st.sees("no server of edge-east/checkout a")
        await st.press("escape")
        await st.sees("Weight of", "77")
        st.front.unplanned = None
        await st.press("enter")
        await st.sees("Cancel")
