"""Protected windows: in local time through both changes of the clocks, in the estate, on the card and in the header."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from state.api.requests import PlanChange, PlanRollback, overriding
from state.errors import NotFound, Refused
from state.estate.windows import WindowEntry
from state.journal.format import unseal_any
from state.runs.events import RunStarted
from state.verdicts.windows import all_open, coming, dates, next_of_all, open_now
from tests.support.release_site import digest, release_site
from tests.support.small_estate import COMMANDER, ESTATE, RESPONDER, LoopClock, flip, small

BERLIN = ZoneInfo("Europe/Berlin")


def window(cron: str, duration: str, zone: str = "Europe/Berlin", **more: Any) -> WindowEntry:
    return WindowEntry.model_validate({"cron": cron, "duration": duration, "zone": zone, **more})


def at(text: str) -> float:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("instant", "protected"),
    [
        ("2026-03-29T00:59:59", False),  # 01:59:59, an instant before the hour that is skipped
        ("2026-03-29T01:00:00", True),  # 03:00, the clocks have gone on: 02:30 has been
        ("2026-03-29T01:59:59", True),
        ("2026-03-29T02:00:00", False),
        ("2026-03-28T01:29:59", False),
        ("2026-03-28T01:30:00", True),
    ],
)
def test_trap_67_a_window_in_the_skipped_hour_still_protects(instant: str, protected: bool) -> None:
    assert (open_now("night", window("30 2 * * *", "1h"), at(instant)) is not None) is protected


@pytest.mark.parametrize(
    ("instant", "protected"),
    [
        ("2026-10-24T23:59:59", False),
        ("2026-10-25T00:00:00", True),  # 02:00 the first time
        ("2026-10-25T00:59:59", True),
        ("2026-10-25T01:30:00", True),  # 02:30 the second time
        ("2026-10-25T01:59:59", True),
        ("2026-10-25T02:00:00", False),
    ],
)
def test_trap_67_both_passes_of_the_repeated_hour_are_protected(instant: str, protected: bool) -> None:
    assert (open_now("night", window("0 2 * * *", "1h"), at(instant)) is not None) is protected


def test_by_the_clock_of_the_people_whatever_the_season() -> None:
    shop = window("0 9 * * MON-FRI", "8h")
    for day, start in (("2026-01-12", "08"), ("2026-07-13", "07")):
        assert open_now("shop", shop, at(f"{day}T{start}:00:00")) is not None
        assert open_now("shop", shop, at(f"{day}T{start}:00:00") - 1) is None
        assert open_now("shop", shop, at(f"{day}T{start}:00:00") + 8 * 3600) is None


def test_every_minute_of_a_year_that_the_clock_says_is_protected() -> None:
    """Against a model of its own: whatever the local clock shows between begin and end is inside."""
    chance = random.Random(7)
    for _ in range(300):
        hour, minute, length = chance.randrange(24), chance.randrange(60), chance.choice([30, 60, 150, 720])
        entry = window(f"{minute} {hour} * * *", f"{length}m")
        day = datetime(2026, 1, 1) + timedelta(days=chance.randrange(364))
        if chance.random() < 0.5:
            day = chance.choice([datetime(2026, 3, 29), datetime(2026, 10, 25)])
        inside = day.replace(hour=hour, minute=minute) + timedelta(minutes=chance.randrange(length))
        for fold in (0, 1):
            local = inside.replace(tzinfo=BERLIN, fold=fold)
            real = local.astimezone(UTC).astimezone(BERLIN).replace(tzinfo=None) == inside
            if real:
                assert open_now("w", entry, local.timestamp()) is not None, (entry, local)


def test_trap_68_day_of_month_with_day_of_week_means_either() -> None:
    entry, now, found = window("0 0 13 * FRI", "1h", "UTC"), at("2026-11-01T00:00:00"), []
    for _ in range(4):
        following = coming("w", entry, now)
        assert following is not None
        now = following.start
        found.append(datetime.fromtimestamp(now, UTC).strftime("%a %d"))
    assert found == ["Fri 06", "Fri 13", "Fri 20", "Fri 27"]
    assert coming("w", entry, at("2026-12-12T00:00:00")).start == at("2026-12-13T00:00:00")  # type: ignore[union-attr]


def test_the_next_one_is_the_first_of_all_and_the_open_one_that_ends_last_counts() -> None:
    windows = {"day": window("0 9 * * *", "8h", "UTC"), "payday": window("0 12 28 * *", "2d", "UTC", title="pay day")}
    assert [each.name for each in all_open(windows, at("2026-11-28T13:00:00"))] == ["day", "payday"]
    following = next_of_all(windows, at("2026-11-27T18:00:00"))
    assert following is not None
    assert (following.name, following.local) == ("day", "Sat 28 Nov 09:00 to 17:00 UTC")
    assert all_open(windows, at("2026-11-27T18:00:00")) == ()


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"zone": "Europe/Berln"}, "zone"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"cron": "0 9 * *"}, "cron"),
        ({"cron": "0 0 9 * * *"}, "cron"),
        ({"cron": "0 9 31 2 *"}, "cron"),
        ({"cron": "99 9 * * *"}, "cron"),
        ({"duration": "0s"}, "duration"),
        ({"duration": "40d"}, "duration"),
        ({"from_risk": "B0"}, "from_risk"),
    ],
)
def test_a_window_that_never_comes_is_refused_at_load(changed: dict[str, str], where: str) -> None:
    with pytest.raises(ValidationError) as refused:
        window(**{"cron": "0 9 * * *", "duration": "8h", **changed})  # type: ignore[arg-type]
    assert where in str(refused.value)


class At(LoopClock):
    """The loop's clocks, with the wall clock at some time of day."""

    def __init__(self, instant: str) -> None:
        super().__init__()
        self._offset = at(instant) - super().wall()

    def wall(self) -> float:
        return super().wall() + self._offset


def estate(**entry: Any) -> dict[str, Any]:
    made = {"title": "pay day", "cron": "0 9 28 * *", "duration": "8h", "zone": "Europe/Berlin", **entry}
    return {**ESTATE, "windows": {"payday": made}}


INSIDE, BEFORE = "2026-11-28T10:00:00", "2026-11-27T10:00:00"


async def test_what_is_risky_is_refused_inside_and_goes_on_with_a_reason() -> None:
    async with small(estate=estate(), clock=At(INSIDE)) as lab:
        card = await lab.preview(flip("green"))
        (refusal,) = card.refusals
        assert refusal.rule == "window"
        assert refusal.fact == "pay day is protected: Sat 28 Nov 09:00 to 17:00 Europe/Berlin"
        with pytest.raises(Refused):
            await lab.submit(card)
        weight = PlanChange("server.weight", {"balancer": "edge", "backend": "shop", "server": "blue", "weight": 99})
        assert (await lab.preview(weight)).refusals == (), "B1 is below what it refuses"
        reasons = {"payday": "every second payment fails"}
        allowed = await lab.preview(overriding(flip("green"), reasons))
        assert allowed.refusals == ()
        assert [w.rule for w in allowed.warnings if w.kind.value == "overridden"] == ["payday"]
        accepted = await lab.submit(allowed)
        assert await lab.ended(accepted.run) == "done"
        (started,) = [e.body for e in map(unseal_any, lab.store.rows(0, 999)) if isinstance(e.body, RunStarted)]
        assert started.request["overrides"] == reasons, "the reason is on record"
        with pytest.raises(Refused) as refused:
            await lab.submit(await lab.preview(overriding(flip("blue"), reasons), RESPONDER), RESPONDER)
        assert refused.value.rule == "role", "a commander overrides, nobody else"


@pytest.mark.parametrize(("reasons", "error"), [({"payday": "because"}, Refused), ({"pay": "a long reason"}, NotFound)])
async def test_a_reason_is_one_and_a_window_is_named_rightly(reasons: dict[str, str], error: type[Exception]) -> None:
    async with small(estate=estate(), clock=At(INSIDE)) as lab:
        with pytest.raises(error):
            await lab.preview(overriding(flip("green"), reasons), COMMANDER)


async def test_a_window_of_other_services_holds_nothing_up() -> None:
    services = {**ESTATE["services"], "other": {"tier": 2, "rto": "5m", "rpo": "1MB"}}
    tree = {**estate(services=["other"]), "services": services}
    async with small(estate=tree, clock=At(INSIDE)) as lab:
        assert (await lab.preview(flip("green"))).refusals == ()
    needing = {**services, "other": {**services["other"], "depends_on": ["shop"]}}
    async with small(estate={**tree, "services": needing}, clock=At(INSIDE)) as lab:
        assert [r.rule for r in (await lab.preview(flip("green"))).refusals] == ["window"]


async def test_trap_70_a_plan_that_may_run_into_a_window_is_told_before() -> None:
    async with small(estate=estate(), clock=At("2026-11-28T07:59:58")) as lab:
        card = await lab.preview(flip("green"))
        assert card.refusals == ()
        assert any("Europe/Berlin, in 00:0" in warning.message for warning in card.warnings)


async def test_a_window_that_opens_between_card_and_confirmation_refuses() -> None:
    clock = At(BEFORE)
    async with small(estate=estate(), clock=clock) as lab:
        card = await lab.preview(flip("green"))
        rule = next(rule for rule in card.rules if rule.rule == "window")
        assert rule.fact == "no protected window is open; next: pay day, Sat 28 Nov 09:00 to 17:00 Europe/Berlin"
        clock._offset += 86_400.0
        with pytest.raises(Refused) as refused:
            await lab.submit(card)
        assert refused.value.rule == "window"


async def test_the_header_always_has_the_open_or_the_next_one() -> None:
    for instant, opened in ((BEFORE, False), (INSIDE, True)):
        async with small(estate=estate(), clock=At(instant)) as lab:
            shown = lab.engine.view("header").window
            assert (shown.title, shown.open) == ("pay day", opened)
            assert shown.local == "Sat 28 Nov 09:00 to 17:00 Europe/Berlin"
    async with small() as lab:
        assert lab.engine.view("header").window is None


def test_the_next_dates_are_told_where_an_estate_is_checked() -> None:
    windows = {"payday": window("0 9 28 * *", "8h"), "never": window("0 9 29 2 *", "1h", "UTC")}
    told = dates(windows, at("2026-11-27T10:00:00"))
    assert told[0] == (
        "windows.payday: Sat 28 Nov 09:00 to 17:00 Europe/Berlin; Mon 28 Dec 09:00 to 17:00 Europe/Berlin;"
        " Thu 28 Jan 09:00 to 17:00 Europe/Berlin"
    )
    assert told[1].startswith("windows.never: Tue 29 Feb")
    inside = dates({"payday": window("0 9 28 * *", "8h", title="pay day")}, at("2026-11-28T09:00:00"))[0]
    opened = "windows.payday: open now: pay day, Sat 28 Nov 09:00 to 17:00 Europe/Berlin; Mon 28 Dec "
    assert inside.startswith(opened)


async def test_a_roll_back_inside_a_window_needs_the_reason_too_and_keeps_it() -> None:
    async with release_site(windows=estate(cron="* * * * *")["windows"]) as site:
        await site.record(1, schema_min="9", schema_max="10")
        await site.record(2, schema_min="10", schema_max="11")
        async with asyncio.timeout(20):
            while site.view.services["shop"].offered != digest(1):
                await asyncio.sleep(0.05)
        assert [r.rule for r in (await site.preview(PlanRollback("shop"))).refusals] == ["window"]
        reasons = {"payday": "every second payment fails"}
        accepted = await site.submit(await site.preview(overriding(PlanRollback("shop"), reasons)))
        (started,) = [e.body for e in map(unseal_any, site.store.rows(0, 999)) if isinstance(e.body, RunStarted)]
        assert started.request == {
            "do": "rollback",
            "service": "shop",
            "to": digest(1),
            "ramp": False,
            "overrides": reasons,
            "leaves": [digest(2)],
        }
        assert accepted.run == "R-1"
