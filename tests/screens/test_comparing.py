"""Comparing nodes from the Replication screen: asked for with a yes, followed, cancelled, its verdict read."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from console.compare_text import comparison_words
from state.api.views.comparisons import CompareOutcome, ComparisonRow, ComparisonsView
from state.api.views.replication import ReplicationView
from state.units import utc
from tests.screens.fake_engine import Stage, stage


def row(outcome: CompareOutcome = CompareOutcome.RUNNING, **more: object) -> ComparisonRow:
    made = ComparisonRow(
        "C-1", "orders/n1", "orders/n2", "u1", outcome, time.time() - 60, None, rows=0, tables=0, compared=1,
        unknown=0, seconds=60.0, reason="", share=0.25, left=180.0, table="public.orders",
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def over(outcome: CompareOutcome, **more: object) -> ComparisonRow:
    return row(outcome, **{"ended_at": time.time(), "share": 0.0, "left": None, "table": "", **more})


def show(st: Stage, *rows: ComparisonRow) -> None:
    st.front.show("comparisons", ComparisonsView({each.id: each for each in rows}))


async def led(st: Stage, leader: str = "n1") -> None:
    """What the witnesses say of who leads."""
    await st.press("2")
    view = st.front.view("replication")
    cluster = replace(view.clusters["orders"], leader=leader)
    st.front.show("replication", replace(view, clusters={**view.clusters, "orders": cluster}))

    def seen() -> bool:
        shown = st.app.store.view(ReplicationView)
        return shown is not None and shown.clusters["orders"].leader == leader

    await st.until(seen, "the leader")
    await st.settle()


async def test_a_standby_is_compared_with_its_primary_after_a_yes() -> None:
    async with stage() as st:
        await led(st)
        await st.press("down", "c")
        await st.sees("Compare orders/n1 with orders/n2", "one core of each server for half of the time")
        assert st.front.acts == []
        await st.pilot.pause(0.7)
        await st.press("y")
        await st.until(lambda: st.front.acts, "the request")
        assert st.front.acts == [("compare", {"a": "orders/n1", "b": "orders/n2"})]
        assert st.front.previews == []


async def test_the_primary_and_a_cluster_without_a_leader_say_why_not() -> None:
    async with stage() as st:
        await led(st)
        await st.press("c")
        await st.sees("this node is the primary")
    async with stage() as st:
        await led(st, "no leader agreed")
        await st.press("down", "c")
        await st.sees("which node is the primary is not known")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_progress_has_the_time_left_and_the_key_that_ends_it(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        await led(st)
        await st.press("x")
        await st.sees("no comparison is under way")
        show(st, row(rows=3))
        await st.sees("comparing orders/n1 with orders/n2: 25%, about 3m left")
        await st.press("down", "c")
        await st.sees("are being compared: x ends that")
        await st.press("x")
        await st.sees("Cancel C-1", "there is no verdict")
        await st.pilot.pause(0.7)
        await st.press("y")
        await st.until(lambda: st.front.acts, "the request")
        assert st.front.acts == [("cancel comparison", {})]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_verdict_names_its_time_and_the_command_with_every_row(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        await led(st)
        found = over(CompareOutcome.DIFFERS, rows=5, tables=2)
        show(st, found)
        assert found.ended_at is not None
        await st.sees(f"DIFFERS, at {utc(found.ended_at)}: 5 rows in 2 tables")
        show(st, found, replace(over(CompareOutcome.EQUAL, compared=12), id="C-2", ended_at=time.time() - 4000))
        await st.until(lambda: "5 rows in 2 tables" not in st.lines[3], "an old verdict leaves the clusters")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (over(CompareOutcome.EQUAL, compared=1), "EQUAL, at {at}: 1 table"),
        (over(CompareOutcome.DIFFERS, rows=0, tables=1, unknown=2),
         "DIFFERS, at {at}: definitions in 1 table; 2 tables not or not wholly compared; "
         "all of it: recovery db compare orders/n1 orders/n2"),
        (over(CompareOutcome.UNKNOWN, reason="there are no tables"),
         "UNKNOWN, at {at}: there are no tables; all of it: recovery db compare orders/n1 orders/n2"),
        (over(CompareOutcome.CANCELLED, reason="by ada"), "cancelled, at {at}: by ada"),
        (over(CompareOutcome.FAILED, reason="n2 does not answer"), "FAILED, at {at}: n2 does not answer"),
    ],
)  # fmt: skip
def test_only_equal_says_equal(seen: ComparisonRow, said: str) -> None:
    assert seen.ended_at is not None
    words = comparison_words(seen, seen.ended_at)
    assert words == f"orders/n1 and orders/n2: {said.format(at=utc(seen.ended_at))}"


def test_a_rate_that_is_not_known_is_no_time() -> None:
    assert comparison_words(row(left=None, share=0.0), time.time()).endswith(
        "0%, time left not known, table public.orders"
    )


async def test_without_the_engine_nothing_is_said_of_how_far_it_is() -> None:
    async with stage() as st:
        await led(st)
        show(st, row())
        await st.sees("25%")
        st.app.store.lost("the engine closed the stream")
        await st.until(lambda: "25%" not in st.text, "no old progress")
