"""Windows that follow a calendar file: what is refused and why, what is shown, what a changed or broken file does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.calendars.reading import read_calendar
from adapters.journals.memory import MemoryJournal
from console.engine.files import FilesOfEstate
from console.engine.loading import checked
from console.engine.seats import Seats
from state.api.requests import overriding
from state.engine.calendars import run_out_soon
from state.engine.engine import Engine
from state.errors import ConfigError, Refused
from state.estate.calendars import AHEAD, BEHIND, CalendarTimes, Span, calendar_times
from state.estate.model import Estate
from state.estate.windows import WindowEntry
from state.journal.format import unseal_any
from state.runs.events import RunStarted
from state.verdicts.windows import all_open, coming, dates, open_now, unknown_windows
from tests.support.small_estate import COMMANDER, ESTATE, LoopClock, Small, flip, small

CONTENT = """\
estate: calendared
environment: drill
sites: {here: {}}
runbooks: []
people: {ada: {accounts: [ada], roles: [commander, responder]}}
services:
  shop: {tier: 1, rto: 5m, rpo: 1MB, traffic: {balancers: [edge], backend: shop, colours: {blue: v1, green: v2}}}
balancers: {edge: {kind: memory, site: here, backends: {shop: {blue: 100, green: 0}}}}
policies: {confirm: {arm: 10ms, plan_expires: 30s}}
windows:
  freeze: {title: code freeze, calendar: plans/business.ics, summary: freeze, zone: Europe/Berlin}
"""
WAY_OUT = "Mend it (recovery check says where), then recovery engine reload"


def at(text: str) -> float:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def business(begin: float, end: float, title: str = "winter freeze") -> str:
    """A calendar with one event."""
    times = [datetime.fromtimestamp(each, UTC).strftime("%Y%m%dT%H%M%SZ") for each in (begin, end)]
    event = f"BEGIN:VEVENT\nSUMMARY:{title}\nDTSTART:{times[0]}\nDTEND:{times[1]}\nEND:VEVENT\n"
    return f"BEGIN:VCALENDAR\nVERSION:2.0\n{event}END:VCALENDAR\n"


NOW = business(time.time() - 3600, time.time() + 7200)
LATER = business(time.time() + 86_400, time.time() + 2 * 86_400)
BROKEN = NOW.replace("END:VEVENT\n", "")


def placed(folder: Path, calendar: str | None) -> Path:
    file = folder / "recovery.yaml"
    file.write_text(CONTENT)
    (folder / "plans").mkdir()
    if calendar is not None:
        (folder / "plans" / "business.ics").write_text(calendar)
    return file


@asynccontextmanager
async def running(file: Path) -> AsyncIterator[Small]:
    """An engine on an estate's real files."""
    seats, store = Seats(), MemoryJournal()
    files = FilesOfEstate(file, seats)
    setup = files.first()
    of_files: Any = {"setup": setup, "files": files}
    engine = Engine(setup.estate, setup.outside, store, LoopClock(), setup.library, node="t", pid=1, uid=0, **of_files)
    await engine.start()
    try:
        yield Small(engine, setup.outside.balancers["edge"], store)  # type: ignore[arg-type]
    finally:
        await engine.stop()
        seats.release()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


async def test_an_event_that_is_on_refuses_and_says_from_which_file_of_when(tmp_path: Path) -> None:
    file = placed(tmp_path, NOW)
    async with running(file) as lab:
        (refusal,) = (await lab.preview(flip("green"))).refusals
        assert refusal.rule == "window"
        written = datetime.fromtimestamp((tmp_path / "plans/business.ics").stat().st_mtime, UTC)
        assert refusal.fact.startswith("code freeze: winter freeze is protected: ")
        assert refusal.fact.endswith(f" Europe/Berlin (business.ics of {written:%Y-%m-%d %H:%M:%S}Z)")
        shown = lab.engine.view("header").window
        assert (shown.title, shown.open) == ("code freeze: winter freeze", True)
        assert shown.source in refusal.fact
        reasons = {"freeze": "every order fails"}
        accepted = await lab.submit(await lab.preview(overriding(flip("green"), reasons)))
        assert await lab.ended(accepted.run) == "done"


async def test_another_title_protects_nothing_and_the_next_event_is_shown(tmp_path: Path) -> None:
    async with running(placed(tmp_path, NOW.replace("winter freeze", "summer party"))) as lab:
        assert (await lab.preview(flip("green"))).refusals == ()
        assert lab.engine.view("header").window is None
    (tmp_path / "plans/business.ics").write_text(LATER)
    async with running(tmp_path / "recovery.yaml") as lab:
        card = await lab.preview(flip("green"))
        assert card.refusals == ()
        rule = next(rule for rule in card.rules if rule.rule == "window")
        assert rule.fact.startswith("no protected window is open; next: code freeze: winter freeze, ")
        assert "(business.ics of " in rule.fact
        assert lab.engine.view("header").window.open is False


@pytest.mark.parametrize(
    ("calendar", "said"),
    [(BROKEN, "business.ics:7:1: found END:VCALENDAR, expected END:VEVENT"), (None, "no such file"), ("", "VCALENDAR")],
    ids=["broken", "missing", "empty"],
)
async def test_a_calendar_that_cannot_be_read_is_not_no_window(tmp_path: Path, calendar: str | None, said: str) -> None:
    file = placed(tmp_path, calendar)
    async with running(file) as lab:
        (refusal,) = (await lab.preview(flip("green"))).refusals
        assert refusal.rule == "window"
        assert refusal.fact.startswith("code freeze may protect it now: its calendar cannot be read: ")
        assert said in refusal.fact
        assert refusal.way_out.startswith(WAY_OUT)
        assert refusal.who == "commander"
        header = lab.engine.view("header")
        assert (header.window, header.windows_unknown) == (None, ("freeze",))
        assert any("window freeze: its calendar cannot be read" in alarm for alarm in header.alarms)
        reasons = {"freeze": "every order fails"}
        accepted = await lab.submit(await lab.preview(overriding(flip("green"), reasons)))
        (started,) = [e.body for e in map(unseal_any, lab.store.rows(0, 999)) if isinstance(e.body, RunStarted)]
        assert started.request["overrides"] == reasons
        assert await lab.ended(accepted.run) == "done"


async def test_a_mended_file_is_announced_and_taken_like_any_file_of_the_estate(tmp_path: Path) -> None:
    file = placed(tmp_path, BROKEN)
    async with running(file) as lab:
        (tmp_path / "plans/business.ics").write_text(LATER)
        await until(lambda: lab.engine.view("header").estate_change is not None)
        assert [r.rule for r in (await lab.preview(flip("green"))).refusals] == ["window"], "not before it is taken"
        accepted = await lab.engine.reload(COMMANDER)
        assert "changed windows/freeze" in accepted.message
        assert (await lab.preview(flip("green"))).refusals == ()
        header = lab.engine.view("header")
        assert (header.windows_unknown, header.alarms, header.window.open) == ((), (), False)


async def test_a_calendar_in_force_is_not_lost_by_a_mistake_in_its_file(tmp_path: Path) -> None:
    file = placed(tmp_path, NOW)
    async with running(file) as lab:
        (tmp_path / "plans/business.ics").write_text(BROKEN)
        await until(lambda: lab.engine.view("header").estate_change is not None)
        assert "business.ics:7:1" in lab.engine.view("header").estate_change.problem
        with pytest.raises(ConfigError, match="expected END:VEVENT"):
            await lab.engine.reload(COMMANDER)
        (refusal,) = (await lab.preview(flip("green"))).refusals
        assert refusal.fact.startswith("code freeze: winter freeze is protected: ")


async def test_a_file_that_only_its_mode_kept_away_is_taken_though_its_bytes_are_the_same(tmp_path: Path) -> None:
    file = placed(tmp_path, LATER)
    (tmp_path / "plans/business.ics").chmod(0o666)
    async with running(file) as lab:
        (refusal,) = (await lab.preview(flip("green"))).refusals
        assert "everybody may write" in refusal.fact
        (tmp_path / "plans/business.ics").chmod(0o600)
        await lab.engine.reload(COMMANDER)
        assert (await lab.preview(flip("green"))).refusals == ()


def test_check_names_file_and_line_and_else_the_next_dates(tmp_path: Path) -> None:
    file = placed(tmp_path, BROKEN)
    found = checked(file)
    assert [(p.file, p.line) for p in found.problems] == [(str(tmp_path / "plans/business.ics"), 7)]
    (tmp_path / "plans/business.ics").write_text(NOW)
    (note,) = checked(file).notes
    assert note.startswith("windows.freeze: open now: code freeze: winter freeze, ")
    assert "; none until " in note
    (tmp_path / "plans/business.ics").write_text(NOW.replace("DTEND", "TRANSP:TRANSPARENT\nDTEND"))
    found = checked(file)
    assert found.problems == ()
    assert found.notes[0].startswith("windows.freeze: none until ")
    assert found.notes[0].endswith("; protects nothing: 1 event free or cancelled)")
    day = "BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261127\nTRANSP:TRANSPARENT\nSUMMARY:freeze\nEND:VEVENT\n"
    (tmp_path / "plans/business.ics").write_text(f"BEGIN:VCALENDAR\n{day}END:VCALENDAR\n")
    said = (
        "1 whole day as free: some programs mark them so unless somebody chooses busy"  # SergeyMosin/Appointments#284
    )
    assert checked(file).notes[0].endswith(f"; protects nothing: 1 event free or cancelled ({said}))")


def window(times: CalendarTimes | None = None, **more: Any) -> WindowEntry:
    made = WindowEntry.model_validate({"calendar": "a.ics", "zone": "Europe/Berlin", **more})
    return made if times is None else made.known(times)


SINCE = at("2026-11-28T00:00:00")
SPANS = (
    Span(SINCE + 3600, SINCE + 7200, "short"),
    Span(SINCE - 86_400, SINCE + 3 * 86_400, "long"),
    Span(SINCE + 5 * 86_400, SINCE + 6 * 86_400, ""),
    Span(SINCE + 9, SINCE + 9, "none"),
)
KNOWN = calendar_times("a.ics", "d", SINCE, (SINCE - BEHIND, SINCE + AHEAD), SPANS)


def test_of_events_at_the_same_time_the_one_that_ends_last_counts() -> None:
    entry = window(KNOWN)
    shown = open_now("freeze", entry, SINCE + 3700)
    assert shown is not None
    assert (shown.title, shown.local) == ("freeze: long", "Fri 27 Nov 01:00 to Tue 01 Dec 01:00 Europe/Berlin")
    assert open_now("freeze", entry, SINCE + 4 * 86_400) is None
    following = coming("freeze", entry, SINCE + 7200)
    assert following is not None
    assert (following.title, following.start) == ("freeze", SINCE + 5 * 86_400)
    by_cron = WindowEntry.model_validate({"cron": "0 0 * * *", "zone": "UTC", "duration": "1h"})
    assert [o.name for o in all_open({"f": entry, "c": by_cron}, SINCE + 60)] == ["c", "f"]


@pytest.mark.parametrize("wall", [SINCE - BEHIND - 1, SINCE + AHEAD, SINCE + 2 * AHEAD])
def test_beyond_what_was_worked_out_nothing_is_known(wall: float) -> None:
    """The clock was set, or nobody worked it out again: that no event is found there says nothing."""
    windows = {"freeze": window(KNOWN)}
    assert open_now("freeze", windows["freeze"], wall) is None
    assert (
        "was worked out from 2026-11-26 00:00:00Z to 2028-01-02 00:00:00Z" in unknown_windows(windows, wall)["freeze"]
    )
    assert unknown_windows(windows, SINCE) == {}


def test_a_calendar_that_nobody_has_read_is_unknown() -> None:
    assert "a.ics has not been read" in unknown_windows({"freeze": window()}, SINCE)["freeze"]
    assert dates({"freeze": window()}, SINCE) == ()


class Jumping(LoopClock):
    """A wall clock that is set."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


async def test_a_clock_beyond_the_horizon_refuses_between_card_and_confirmation() -> None:
    clock = Jumping()
    wall = clock.wall()
    times = calendar_times("a.ics", "d", wall, (wall - BEHIND, wall + AHEAD), ())
    estate = Estate.model_validate(ESTATE).model_copy(update={"windows": {"freeze": window(times)}})
    async with small(estate=estate, clock=clock) as lab:  # type: ignore[arg-type]
        card = await lab.preview(flip("green"))
        assert card.refusals == ()
        clock.ahead = AHEAD
        with pytest.raises(Refused) as refused:
            await lab.submit(card)
        assert refused.value.rule == "window"
        assert "which is not now" in str(refused.value)


def test_what_is_known_for_half_its_time_is_worked_out_again() -> None:
    made = Estate.model_validate(ESTATE)
    estate = made.model_copy(update={"windows": {"freeze": window(KNOWN)}})
    assert not run_out_soon(estate, SINCE + AHEAD / 2 - 1)
    assert run_out_soon(estate, SINCE + AHEAD / 2 + 1)
    assert run_out_soon(estate, SINCE - BEHIND - 1), "the clock was set back"
    assert not run_out_soon(made.model_copy(update={"windows": {"freeze": window()}}), SINCE), "a reload takes it"


async def test_a_running_engine_works_its_calendars_out_again_without_an_entry(tmp_path: Path) -> None:
    file = placed(tmp_path, LATER)
    async with running(file) as lab:
        entry = lab.engine.estate.windows["freeze"]
        old = calendar_times("business.ics", entry.times.digest, 1.0, (0.0, time.time() + 60), ())
        lab.engine.estate.windows["freeze"]._times = old  # as it was read more than half a year ago
        await until(lambda: lab.engine.estate.windows["freeze"].times.until > time.time() + AHEAD / 2)
        assert lab.engine.view("header").window.title == "code freeze: winter freeze"
        assert "estate.reloaded" not in lab.kinds()


def test_two_readings_of_the_same_bytes_are_no_change(tmp_path: Path) -> None:
    file = tmp_path / "a.ics"
    file.write_text(NOW)
    one, two = (read_calendar(file, "UTC", "", time.time() + aside) for aside in (0, 500))
    assert window(one) == window(two)
    file.write_text(LATER)
    assert window(one) != window(read_calendar(file, "UTC", "", time.time()))


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ({"calendar": "a.ics", "cron": "0 9 * * *"}, "cron"),
        ({"calendar": "a.ics", "duration": "8h"}, "duration"),
        ({"cron": "0 9 * * *"}, "duration"),
        ({"duration": "8h"}, "calendar with an iCalendar file"),
        ({"cron": "0 9 * * *", "duration": "8h", "summary": "freeze"}, "summary"),
        ({"calendar": ""}, "calendar"),
        ({"calendar": "a\n.ics"}, "calendar"),
        ({"calendar": "a.ics", "times": {}}, "times"),
        ({"calendar": "a.ics", "zone": "Europe/Berln"}, "zone"),
    ],
)
def test_a_window_has_a_cron_with_a_duration_or_a_calendar(entry: dict[str, str], where: str) -> None:
    with pytest.raises(ValidationError) as refused:
        WindowEntry.model_validate({"zone": "UTC", **entry})
    assert where in str(refused.value)
