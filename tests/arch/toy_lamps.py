"""A whole capability in one file outside the product: lamps that can be lit. See `test_capability.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click
from pydantic import BaseModel
from textual.widget import Widget

from console.client.engine_client import EngineClient
from console.tui.actions.base import ActionContext, Effect, Navigation
from console.tui.mirror import Touched
from console.tui.parts.facts import Row, fact
from console.tui.parts.feed import Feed
from console.tui.screens.base import Detail, MainScreen
from console.tui.text import cell
from console.tui.widgets.rows import Column, TableRow
from console.tui.widgets.table import LineTable
from state.api.requests import PlanChange
from state.api.topics import Topic
from state.capabilities import Capability
from state.changes.model import ChangeKind, ChangeSpec, Diff, Finding, Late, Preview, ReadBack, Risk
from state.health import Health
from state.journal.events import WORDS, Body, Event, Recorded, event
from state.journal.projection import FoldSetting, Projection
from state.ports.target import Identity, Receipt
from state.views.context import Alarm, Contribution, ViewContext

LAMPS = {"porch": False, "cellar": False}


@event("lamp.lit")
@dataclass(frozen=True, slots=True)
class LampLit(Body):
    """A lamp began to shine."""

    lamp: str
    message: str = field(metadata=WORDS)


class LitLamps:
    """The fold: which lamps were seen shining, and in which entry."""

    def __init__(self, setting: FoldSetting) -> None:
        self.actor, self.lit = setting.actor, dict[str, int]()

    def fold(self, recorded: Recorded) -> None:
        self.lit[recorded.body.lamp] = recorded.seq

    def notice(self, now_mono: float) -> list[Event]:
        dark = [lamp for lamp, shines in LAMPS.items() if shines and lamp not in self.lit]
        return [Event(LampLit(lamp, f"the {lamp} lamp shines"), self.actor) for lamp in dark]


@dataclass(frozen=True, slots=True)
class LampRow:
    name: str
    health: Health
    entry: int


@dataclass(frozen=True, slots=True)
class LampsView:
    lamps: Mapping[str, LampRow]


def build(context: ViewContext) -> LampsView:
    lit = context.of(LitLamps).lit
    rows = {n: LampRow(n, Health.PASS if n in lit else Health.UNKNOWN, lit.get(n, 0)) for n in LAMPS}
    return context.memory.keep("lamps", LampsView(rows))


def contribute(context: ViewContext) -> Contribution:
    return Contribution(alarms=(Alarm("every lamp shines"),) if len(context.of(LitLamps).lit) == len(LAMPS) else ())


class LampArgs(BaseModel):
    lamp: str


class LightLamp:
    risk, settle, quiet, timeout, verb = Risk.B1, 0.05, 0.1, 1.0, "light"
    late = Late(0.0, 0.0, "a switch has no way to go")

    def __init__(self, args: LampArgs) -> None:
        self.lamp, self.spec = args.lamp, ChangeSpec("lamp.light", args.model_dump())
        self.name, self.targets, self.title = args.lamp, (f"lamp/{args.lamp}",), f"Light the {args.lamp} lamp"

    async def identify(self, *, deadline: float) -> Identity:
        return Identity(self.lamp, {"house": "toy"})

    async def preview(self, *, deadline: float) -> Preview:
        return Preview(
            "light", (Diff(self.lamp, "dark", "shines"),), {"shines": LAMPS[self.lamp]}, already=LAMPS[self.lamp]
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        LAMPS[self.lamp] = True
        return Receipt("ok", "click")

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        return ReadBack(Finding.DONE if LAMPS[self.lamp] else Finding.NOT_DONE, (str(LAMPS[self.lamp]),))


class LampsScreen(MainScreen):
    def body(self) -> Iterable[Widget]:
        table = LineTable((Column("name", "lamp", 10), Column("state", "state", 12)), glyphs=self.glyphs, id="lamps")
        self.lamps = Feed[LampRow](table, self.store, row)
        yield self.lamps.table
        yield Detail()

    def paint(self, touched: Touched) -> None:
        self.lamps.show(self.store.view(LampsView).lamps, None)

    def detail_rows(self) -> list[Row]:
        return [fact("lamp", self.selected().name if self.selected() else "none selected")]


def row(key: str, lamp: LampRow, _age: object) -> TableRow:
    return TableRow(key, (cell(lamp.name), cell("shines" if lamp.entry else "dark")))


class LightKey(Effect):
    """Propose to light the selected lamp."""

    key, title, screens = "L", "light", ("lamps",)

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        navigator.preview(PlanChange("lamp.light", {"lamp": ctx.row.name}))


@click.command()
@click.argument("socket")
def lamps(socket: str) -> None:
    """Which lamps shine."""
    view: LampsView = asyncio.run(EngineClient(socket).view("lamps"))
    click.echo(", ".join(f"{r.name} {r.health.value}" for r in view.lamps.values()))


HERE = "tests.arch.toy_lamps"
KINDS = (ChangeKind("lamp.light", "Light a lamp", LampArgs, Risk.B1, lambda args, *_: LightLamp(args)),)
LIT = Projection(LitLamps, LitLamps, (LampLit,), LitLamps.fold, notice=LitLamps.notice)
TOPIC = Topic("lamps", f"{HERE}:LampsView", f"{HERE}:build", "7", "Lamps", {"lamps": "lamp"})
CAPABILITY = Capability(
    "lamps", (TOPIC,), (HERE,), (f"{HERE}:LIT",), (f"{HERE}:KINDS",), contributions=(f"{HERE}:contribute",)
)
