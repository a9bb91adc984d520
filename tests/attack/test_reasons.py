"""A reason is something that people can read: blanks, what shows nothing and rows of dots are none."""

from __future__ import annotations

import pytest

from state.api.requests import Pause, PlanChange, PlanShare, Skip
from state.errors import Refused
from state.text import reason_in
from tests.support.small_estate import COMMANDER, ESTATE, small

pytestmark = pytest.mark.virtual_time
HIDDEN = ("\u200b", "\u3164", "\u2800", "\xad", "\ufeff\u2060", "\u202e", "\U000e0041", ".", "- ")
NONE = ("", " " * 20, "\n\t" * 9, "a" + " " * 20, "\x1b[2J" + "\x00" * 9, *(each * 12 for each in HIDDEN))
MAINT = PlanChange("server.maint", {"balancer": "edge", "backend": "shop", "server": "blue"})


@pytest.mark.parametrize("text", NONE, ids=ascii)
async def test_nothing_to_read_overrides_no_rule_and_no_window_and_is_no_comment(text: str) -> None:
    window = {"cron": "* * * * *", "zone": "UTC", "duration": "1h", "from_risk": "B1"}
    tree = {**ESTATE, "rules": {"two": {"service": "shop", "at_least": 2}}, "windows": {"busy": window}}
    async with small(every=5.0, estate=tree) as lab:
        for name in ("two", "busy"):
            with pytest.raises(Refused, match="without a reason"):
                await lab.preview(PlanChange(MAINT.kind, MAINT.args, {name: text}))
        with pytest.raises(Refused, match="needs a comment"):
            await lab.preview(PlanShare(service="shop", to="green", percent=50, lasts=60.0, comment=text))


async def test_nothing_to_read_skips_no_step() -> None:
    async with small(every=5.0) as lab:
        share = PlanShare(service="shop", to="green", percent=50, lasts=600.0, comment="try it")
        run = (await lab.submit(await lab.preview(share))).run
        await lab.engine.control(COMMANDER, run, Pause())
        for text in NONE:
            with pytest.raises(Refused, match="a skip needs a reason"):
                await lab.engine.control(COMMANDER, run, Skip("over#1", text))


def test_a_reason_is_kept_as_it_can_be_read() -> None:
    assert reason_in("  disk\n full\u200b on db1 ", 10) == "disk full on db1"
    assert reason_in("DB ist weg", 10) == "DB ist weg"
    assert reason_in("数据库主库已经不可用了", 10) == "数据库主库已经不可用了"
    assert reason_in("no!", 3) == "", "two letters"
