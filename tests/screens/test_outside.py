"""What is added from outside is there everywhere: a topic without a screen, a screen, a key."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from console.tui import screens
from console.tui.actions.base import Action, ActionContext, Navigation
from console.tui.actions.registry import kept, keys_of
from console.tui.screens.generic import GenericScreen
from state.api.topics import Topic
from state.capabilities import Capability, added
from state.health import Health
from tests.screens.fake_engine import Stage, stage


@dataclass(frozen=True, slots=True)
class DrillRow:
    """One drill."""

    name: str
    health: Health
    seconds: float | None
    teams: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class DrillsView:
    """What nobody has made a screen for."""

    advice: str
    drills: Mapping[str, DrillRow]


HERE = "tests.screens.test_outside"
DRILLS = Topic("drills", f"{HERE}:DrillsView", f"{HERE}:build", "8", "Drills", {"drills": "drill"})
VIEW = DrillsView(
    "drill the switchover", {"d-1": DrillRow("switchover", Health.PASS, None, ("sre", "dba"), "prometheus")}
)


class DrillsScreen(GenericScreen):
    """When each service was last recovered on purpose."""


@pytest.fixture(autouse=True)
def _drills() -> Iterator[None]:
    """A capability with a topic, as a package from elsewhere would bring it."""
    sys.modules.setdefault(HERE, sys.modules[__name__])
    with added(Capability("drills", topics=(DRILLS,))), kept():
        yield


async def told(st: Stage) -> None:
    await st.press("8")
    await st.sees("8 Drills", "switchover", "✓ PASS", "sre, dba")


async def test_a_topic_without_a_screen_is_shown_by_the_generic_one() -> None:
    async with stage(topics={"drills": VIEW}) as st:
        await told(st)
        await st.sees("d-1", "?", "prometheus")
        other = replace(VIEW.drills["d-1"], health=Health.FAIL)
        st.front.show("drills", replace(VIEW, drills={"d-1": other}))
        await st.sees("✗ FAIL")
        header = st.front.view("header")
        gone = {**header.sources, "prometheus": replace(header.sources["prometheus"], mono=None)}
        st.front.show("header", replace(header, sources=gone))
        await st.sees("? UNKNOWN", "no data yet")


async def test_palette_help_and_go_to_know_it() -> None:
    async with stage(topics={"drills": VIEW}) as st:
        await st.press("question_mark")
        assert "Drills" in st.app.screen.query_one("Facts").plain  # type: ignore[attr-defined]
        await st.press("escape", "ctrl+p", *"drills")
        await st.sees("the screen")
        await st.press("escape", "colon", *"switchov")
        await st.sees("drill")
        await st.press("enter")
        await st.until(lambda: st.app.current_mode == "drills", "the screen")


async def test_a_screen_from_outside_shows_a_topic() -> None:
    with screens.registered("drills", f"{HERE}:DrillsScreen"):
        async with stage(topics={"drills": VIEW}) as st:
            await told(st)
            await st.press("question_mark")
            await st.sees("When each service was last recovered on purpose.")
    assert screens.screen_class(DRILLS) is GenericScreen


async def test_a_key_is_one_class() -> None:
    performed: list[Any] = []

    class RepeatDrill(Action):
        """Propose to do the selected drill once more."""

        key, title, screens = "d", "repeat", ("drills",)

        def missing(self, ctx: ActionContext) -> str | None:
            return None if ctx.row is not None else "select a drill first"

        def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
            performed.append(ctx.row)
            navigator.say("asked for")

    assert next(action.id for action in keys_of("drills")) == "repeat-drill"
    assert all(action.id != "repeat-drill" for action in keys_of("traffic"))
    async with stage(topics={"drills": VIEW}) as st:
        await told(st)
        await st.sees("d repeat")
        await st.press("d")
        await st.sees("asked for")
        assert performed == [VIEW.drills["d-1"]]
        st.front.show("drills", replace(VIEW, drills={}))
        await st.until(lambda: st.app.screen.selected() is None, "no row")  # type: ignore[attr-defined]
        await st.press("d")
        await st.sees("repeat: select a drill first")


def test_keys_from_outside_are_forgotten_again() -> None:
    assert all(action.id != "repeat-drill" for action in keys_of("drills"))
