"""What a person relies on at night: the room follows the work, clocks agree, enter tells all, keys lead on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from console.tui.dialogs.detail import DetailDialog
from console.tui.dialogs.everything import places
from console.tui.parts.run_facts import measured
from console.tui.widgets.table import LineTable
from state.api.run_states import StepState
from state.api.views.header import RtoClock
from state.api.views.traffic import TrafficView
from state.health import Health
from tests.screens.fake_engine import Stage, stage
from tests.screens.fake_views import LATE, server, traffic


def table(st: Stage, name: str) -> LineTable:
    return st.app.screen.query_one(f"#{name}", LineTable)


async def test_header_and_row_show_the_same_clock() -> None:
    async with stage() as st:
        seen = set()
        for _ in range(12):
            await st.pilot.pause(0.15)
            above = st.lines[0].split("RTO ")[1][:5]
            row = next(line for line in st.lines if "FAIL      checkout " in line)
            assert f" {above} " in row
            seen.add(above)
        assert len(seen) > 1


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_missed_objective_is_a_time_in_the_table_too(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        view, mono = st.front.view("overview"), st.front.mono()
        late = replace(view.recover["service/checkout"], rto=RtoClock("checkout", mono - 900 - 4000, 900, None))
        st.front.show("overview", replace(view, recover={**view.recover, "service/checkout": late}))
        await st.sees(" -1:06:")
        assert "####" not in st.text


async def test_a_recovered_service_shows_no_running_clock() -> None:
    async with stage() as st:
        view, header = st.front.view("overview"), st.front.view("header")
        mono = st.front.mono()
        ended = RtoClock("checkout", mono - 100, 900, mono - 20)
        healthy = replace(view.services["checkout"], health=Health.PASS, rto=ended, message="within its objectives")
        row = replace(view.recover["service/checkout"], order=0, depth=0, waits_for="", health=Health.PASS, rto=None,
                      since_mono=None)  # fmt: skip
        recover = {**view.recover, "service/checkout": row}
        st.front.show("header", replace(header, rto=ended))
        st.front.show("overview", replace(view, services={**view.services, "checkout": healthy}, recover=recover))
        await st.until(lambda: "PASS     checkout " in st.text, "checkout on top")
        await st.press("k")
        await st.sees("recovered after 01:20", "within its RTO of 15:00", "met in 01:20")
        row = next(line for line in st.lines if "PASS     checkout " in line)
        assert "13:4" not in row
        assert "01:20" not in row


async def test_the_cascade_names_causes_and_what_waits() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("down")
        await st.sees("waits for orders, the row above", "needs     ✗ FAIL  orders", "unblocks  catalog (warn)")
        await st.press("down")
        await st.sees("needs     ✗ FAIL  checkout  5xx 18.2%", "✗ FAIL  orders")


async def test_enter_tells_all_about_a_row_on_the_smallest_terminal_and_stays_alive() -> None:
    async with stage(size=(30, 8)) as st:
        await st.press("enter")
        assert isinstance(st.app.screen, DetailDialog)
        await st.sees("why", "SPLIT BRAIN")
        view = st.front.view("overview")
        other = replace(view.recover["database/orders"], message="all is well again")
        st.front.show("overview", replace(view, recover={**view.recover, "database/orders": other}))
        await st.sees("all is well")
        await st.press("escape")
        assert st.app.screen.topic.name == "overview"  # type: ignore[attr-defined]


async def test_a_service_leads_to_its_backend() -> None:
    async with stage() as st:
        await st.press("down", "t")
        await st.until(lambda: st.app.current_mode == "traffic", "Traffic")
        await st.sees("Servers of edge-east/checkout")
        await st.press("1", "down", "t")
        await st.sees("no backend of catalog is known")


async def test_without_a_run_the_library_has_the_focus_and_a_start_hands_it_on() -> None:
    async with stage() as st:
        view = st.front.view("runbooks")
        st.front.show("runbooks", replace(view, order=(), runs={}, steps={}))
        await st.press("3")
        await st.until(lambda: st.app.focused is table(st, "library"), "focus on the library")
        await st.sees("no run yet", "Roll back a bad release", "rollback-release")
        assert table(st, "library").region.width == 80
        await st.press("s")
        await st.sees("Start Roll back a bad release")
        await st.press("escape")
        st.app.recent.started = "r-41"
        st.front.show("runbooks", view)
        await st.until(lambda: st.app.focused is table(st, "runs"), "focus on the runs")
        assert table(st, "runs").cursor_key == "r-41"


async def test_the_steps_follow_the_one_that_moves_until_someone_looks_around() -> None:
    async with stage() as st:
        view = st.front.view("runbooks")
        first = view.steps["r-41/check-blue#1"]
        steps = {
            f"r-41/s{n}#1": replace(first, key=f"r-41/s{n}#1", step=f"s{n}", title=f"step {n}", index=n)
            for n in range(30)
        }

        def at(n: int) -> None:
            moved = {
                key: replace(row, state=StepState.RUNNING if row.index == n else StepState.PENDING)
                for key, row in steps.items()
            }
            st.front.show("runbooks", replace(view, steps=moved))

        await st.press("3")
        at(20)
        await st.sees("RUNNING   step 20")
        table(st, "steps").focus()
        await st.press("home")
        at(29)
        await st.until(lambda: table(st, "steps")._shown[29].cells[0].plain == "▶ RUNNING", "the step")  # type: ignore[union-attr]
        assert "step 29" not in st.text


async def test_measured_loss_is_said_in_message() -> None:
    async with stage() as st:
        row = st.front.view("runbooks").steps["r-41/shift-traffic#1"]
        assert measured(row) == ""
        assert measured(replace(row, figures={"lost_bytes": 4400.0})) == "measured: loss 4.4 kB"
        assert measured(replace(row, figures={"lost_bytes": 0.0})) == "measured: nothing lost"
        both = {"lost_bytes": 4400.0, "lost_transactions": 12.0}
        assert measured(replace(row, figures=both)) == "measured: loss 4.4 kB, at most 12 transactions"
        view = st.front.view("runbooks")
        lost = replace(row, figures={"lost_bytes": 4400.0})
        st.front.show("runbooks", replace(view, steps={**view.steps, row.key: lost}))
        await st.press("3")
        await st.sees("measured: loss 4.4 kB")


async def test_a_warning_of_a_runbook_is_shown() -> None:
    async with stage(size=(120, 40)) as st:
        view = st.front.view("runbooks")
        warned = replace(view.library["rollback-release"], warnings=("step 3 has no undo",))
        st.front.show("runbooks", replace(view, library={**view.library, "rollback-release": warned}))
        await st.press("3")
        table(st, "library").focus()
        await st.sees("! WARN", "warning   step 3 has no undo")


async def test_a_primary_has_no_lag_and_an_unknown_one_is_no_dash() -> None:
    async with stage(size=(120, 40)) as st:
        await st.press("2")
        row = next(line for line in st.lines if " n1 " in line and "primary" in line)
        assert "?" not in row
        assert " - " in row
        unknown = next(line for line in st.lines if " n3 " in line and "CONFLICT" in line and "since" in line)
        assert "?" in unknown


async def test_the_journal_is_filtered_by_run_and_kind_and_says_so() -> None:
    async with stage() as st:
        view = st.front.view("journal")
        stranger = replace(view.entries["1287"], run="r-4", kind="run.ended")
        st.front.show("journal", replace(view, entries={**view.entries, "1287": stranger}))
        await st.press("9")
        await st.sees("run.ended")
        await st.press("home", "r")
        await st.sees("filter run=r-4: 1 of 40")
        await st.press("escape")
        await st.until(lambda: "filter run" not in st.text, "no filter")
        await st.press("down", "t")
        await st.sees("filter kind=step-verified: 10 of 40")
        await st.press("v")
        await st.sees("the chain is valid: 1287 entries verified at")


async def test_of_thousands_of_servers_only_those_in_sight_are_built() -> None:
    async with stage() as st:
        view: TrafficView = traffic(st.front.mono(), 0.0)
        many = [replace(server("blue", "edge-east", 1), key=f"edge-east/checkout/s{n:04}", server=f"s{n:04}")
                for n in range(3000)]  # fmt: skip
        rows = {row.key: row for row in many}
        st.front.show("traffic", replace(view, servers=rows))
        await st.press("4")
        await st.until(lambda: table(st, "servers").row_count == 3000, "all servers")
        feed = st.app.screen.servers  # type: ignore[attr-defined]
        built: list[str] = []
        build = feed._build
        feed._build = lambda key, row, age: (built.append(key), build(key, row, age))[1]
        table(st, "servers").focus()
        await st.press(*"jjjjGg")
        assert len(built) < 100
        built.clear()
        changed = {key: replace(row, sessions=7) for key, row in list(rows.items())[:500]}
        st.front.show("traffic", replace(view, servers={**rows, **changed}))
        await st.until(lambda: any(" 7 " in line for line in st.lines), "the change")
        assert len(built) < 100
        table(st, "servers").filter("s2999")
        await st.sees("filter s2999: 1 of 3000")


async def test_go_to_offers_names_and_keys_only_where_a_name_is_shared() -> None:
    async with stage() as st:
        view = st.front.view("overview")
        east = view.probes["checkout-east"]
        probes = {f"probe:{source}/checkout-east": replace(east, source=source) for source in ("probes", "other")}
        probes["probe:probes/checkout-west"] = view.probes["checkout-west"]
        st.front.show("overview", replace(view, probes=probes))
        await st.until(lambda: st.app.store.view("overview").probes.keys() == probes.keys())
        offered = [place.name for place in places(st.app) if place.kind == "probe"]
        assert sorted(offered) == ["checkout-west", "probe:other/checkout-east", "probe:probes/checkout-east"]


async def test_a_silent_patroni_hides_nothing_of_what_its_postgresql_answers() -> None:
    async with stage(size=(120, 40)) as st:
        seen = st.front.view("replication")
        row = replace(seen.nodes["orders/n1"], health=Health.FAIL, message="accepts writes, and so does another node")
        silent = replace(row, sources=("n1/api", LATE))
        st.front.show("replication", replace(seen, nodes={**seen.nodes, "orders/n1": silent}))
        await st.press("2")
        await st.sees("so does another node")
        row_of_n1 = next(line for line in st.lines if " n1 " in line and "primary" in line)
        assert "FAIL" in row_of_n1
        assert " 7 " in row_of_n1, "its timeline"
        assert "no data" not in row_of_n1


async def test_a_detail_leads_to_screens_by_digit_and_says_of_other_keys_that_they_do_nothing() -> None:
    async with stage() as st:
        await st.press("9", "enter")
        await st.until(lambda: isinstance(st.app.screen, DetailDialog), "the detail")
        await st.press("j")
        await st.settle()
        assert "does nothing" not in st.text
        for _ in range(60):  # keys that come in one burst are a paste, and a busy machine may make one of two keys
            await st.press("v")
            await asyncio.sleep(0.5)
            if "v does nothing here" in st.text:
                break
        await st.sees("v does nothing here")
        assert isinstance(st.app.screen, DetailDialog)
        await asyncio.sleep(0.5)
        await st.press("2")
        await st.until(lambda: st.app.current_mode == "replication", "the screen")
        await st.until(lambda: not isinstance(st.app.screen, DetailDialog), "without the detail")
        await st.press("9")
        await st.until(lambda: st.app.current_mode == "journal", "back")
        await st.until(lambda: not isinstance(st.app.screen, DetailDialog), "without the detail")


async def test_of_a_lost_engine_it_is_not_said_that_there_is_nothing() -> None:
    async with stage("calm") as st:
        st.front.show("overview", replace(st.front.view("overview"), runs={}, alerts={}))
        await st.sees("no run is open")
        st.app.store.lost("refused")
        st.app._announce()
        await st.until(lambda: "no run is open" not in st.text, "the claim gone")
        await st.sees("not known: engine lost")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_words_of_the_step_at_work_are_beside_it_whole(size: tuple[int, int]) -> None:
    async with stage(size=size) as st:
        await st.press("3")
        await st.sees("judge  waiting", "why", "look for", "- no new kind of alert", "if fails", "Answer no", "else.")
        view = st.front.view("runbooks")
        ended = {key: replace(step, why=(), look_for=(), if_it_fails=()) for key, step in view.steps.items()}
        st.front.show("runbooks", replace(view, steps=ended))
        await st.until(lambda: "figures lag" not in st.text, "the words are gone with the run")


async def test_what_does_not_apply_says_why_and_cannot_be_started() -> None:
    async with stage(size=(120, 40)) as st:
        view = st.front.view("runbooks")
        row = replace(view.library["rollback-release"], applies="the estate has no service")
        st.front.show("runbooks", replace(view, library={"rollback-release": row}, runs={}, steps={}, order=()))
        await st.press("3")
        await st.sees("not here", "it does not apply to this estate: the estate has no service")
        await st.press("s")
        await st.sees("rollback-release does not apply to this estate")
