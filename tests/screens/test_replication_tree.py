"""The replication screen: a tree where there is room, a list where there is not, an hour of lag with the RPO line."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from console.tui.widgets.chart import Chart
from console.tui.widgets.table import LineTable
from state.api.views.causes import Forecast, ForecastKind
from state.api.views.history import BLOCK, STEP, HistoryView, LagBlock
from state.api.views.replication import RestoreBrief
from state.health import Health
from state.units import utc
from tests.screens.fake_engine import Stage, stage
from tests.screens.fake_views import node


def row_of(st: Stage, *words: str) -> str:
    return next(line for line in st.lines if all(word in line for word in words))


@pytest.mark.parametrize("size", [(120, 40), (200, 50)])
async def test_where_there_is_room_nodes_hang_below_whom_they_stream_from(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        await st.press("2")
        view = st.front.view("replication")
        below = node("n4", "standby", Health.PASS, "", upstream="n2", state="streaming", sources=("n1/api",))
        st.front.show("replication", replace(view, nodes={**view.nodes, "orders/n4": below}))
        await st.sees("└─► n2", "    └─► n4", "? n3")
        assert "lock, traffic" in row_of(st, " n1 ", "east  primary")
        assert "✓ yes, lacks 13.2 MB" in row_of(st, "└─► n2")
        assert "✗ no: leads already" in row_of(st, " n1 ", "east  primary"), "two write, none leads by all witnesses"


async def test_of_a_node_that_is_not_read_the_tree_claims_nothing() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("2")
        silent = row_of(st, "? n3")
        assert "no data" in silent
        assert "since" in silent
        assert "✗ no" not in silent


async def test_sorted_or_filtered_rows_are_no_tree() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("2")
        await st.sees("└─► n2")
        await st.press("o")
        await st.until(lambda: "└─►" not in st.text, "no tree")
        st.app.screen.query_one("#nodes", LineTable)._sorting.choose("")
        st.app.screen.query_one("#nodes", LineTable)._sort()
        await st.sees("└─► n2")


async def test_at_80_columns_the_first_screenful_answers_what_who_and_what_next() -> None:
    async with stage() as st:
        header = st.front.view("header")
        promotes = Forecast(ForecastKind.PROMOTION, "Patroni promotes n2", None)
        st.front.show("header", replace(header, causes=(replace(header.causes[0], forecast=promotes),)))
        await st.press("2")
        await st.sees("by itself Patroni promotes n2")
        assert "└─►" not in st.text
        for answer in (
            "n1 and n3 both accept writes 03:2",
            "a failover loses 13.2 MB of 1.0 MB ✗",
            "may lead n2 ✓ yes, lacks 13.2 MB · n3 ✗ no: accepts writes",
            "next f on 1 fence n3 by hand",
        ):
            assert answer in st.text, answer


async def test_the_cause_of_a_database_is_told_though_another_thing_is_worse() -> None:
    async with stage(size=(120, 40)) as st:
        header = st.front.view("header")
        st.front.show("header", replace(header, causes=tuple(reversed(header.causes))))
        await st.press("2")
        await st.sees("n3/api: its figures are unknown", "    ✗ orders: SPLIT BRAIN, n1 and n3 both accept writes")


async def test_what_nobody_reads_any_more_is_not_said_to_be_lost() -> None:
    async with stage(size=(120, 40)) as st:
        view = st.front.view("replication")
        orders = view.clusters["orders"]
        old = replace(orders.risk, lost_bytes=0, health=Health.PASS, sources=("n3/api",))
        st.front.show("replication", replace(view, clusters={"orders": replace(orders, risk=old)}))
        await st.press("2")
        await st.sees("a failover loses ? unknown of 1.0 MB ?")
        assert "loses 0 B" not in st.text


async def test_the_hour_of_a_standby_has_times_a_gap_and_the_rpo_line() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("2")
        now = st.app.store.wall
        lags = {}
        for number in range(12):
            if number != 3:
                behind = tuple(3_000_000.0 if number > 8 else 20_000.0 for _ in range(BLOCK))
                start = now - 3600 + number * BLOCK * STEP
                lags[f"orders/n2/{number}"] = LagBlock("orders", "n2", start, behind)
        st.front.show("history", HistoryView({}, lags))
        chart = st.app.screen.query_one(Chart)
        await st.until(lambda: utc(now)[:5] in chart.plain.splitlines()[-1], "the time of day")
        *blocks, axis = chart.plain.splitlines()
        assert axis.count(":") >= 3
        assert any(line.lstrip().startswith("1.0 MB ") and "╌" in line for line in blocks)
        assert " " in blocks[-1].strip().partition("B ")[2].strip(), "the gap"
        await st.sees("n2 behind", "RPO 1.0 MB")


@pytest.mark.parametrize(("size", "shown"), [((120, 40), True), ((80, 24), False)])
async def test_what_can_be_restored_and_the_age_of_its_proof(size: tuple[int, int], *, shown: bool) -> None:
    """Where there is room; else the cause says it. A proof that is not known is red."""
    async with stage(size=size) as st:
        await st.press("2")
        view = st.front.view("replication")
        brief = RestoreBrief(Health.PASS, "", ((0.0, 7200.0),), Health.FAIL, None, None, "n1/api")
        st.front.show(
            "replication",
            replace(view, clusters={"orders": replace(view.clusters["orders"], restore=brief)}),
        )
        if not shown:
            await st.sees("a failover loses")
            assert "can be restored to" not in st.text
            return
        await st.sees("can be restored to ✓ PASS 1970-01-01 00:00:00Z to 1970-01-01 02:00:00Z  ✗ never proven")
        old = replace(brief, proof=Health.PASS, proven_at=1.0, proven_mono=time.monotonic() - 3.1 * 86_400)
        st.front.show(
            "replication",
            replace(view, clusters={"orders": replace(view.clusters["orders"], restore=old)}),
        )
        await st.sees("✓ proven 3 d ago")
