"""A capability that is broken as a test says: its view, what it adds to the header, its judging."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from state.api.topics import Topic
from state.capabilities import Capability
from state.journal.projection import FoldSetting, Projection
from state.runs.events import RunStarted
from state.views.context import Contribution, ViewContext


def told_by(loop: asyncio.AbstractEventLoop) -> list[str]:
    """What the loop's exception handler gets from now on: the engine's log."""
    told: list[str] = []

    def handle(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        told.append(str(context["message"]))

    loop.set_exception_handler(handle)
    return told


@dataclass(frozen=True, slots=True)
class OddView:
    """What the odd topic shows."""

    number: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Defect:
    """What is broken now."""

    view: bool = False
    header: bool = False
    judging: str = ""


DEFECT = Defect()


def build_odd(context: ViewContext) -> OddView:
    if DEFECT.view:
        raise TypeError("'<' not supported between instances of 'str' and 'int'")
    return OddView(round(context.now_mono * 1000))


class OddState:
    """A projection whose noticing is a defect while it is told so."""

    def __init__(self, setting: FoldSetting) -> None:
        pass

    def fold(self, recorded: Any) -> None:
        pass

    def notice(self, now_mono: float) -> list[Any]:
        if DEFECT.judging:
            raise TypeError(DEFECT.judging)
        return []


ODD_STATE = Projection(state=OddState, create=OddState, kinds=(RunStarted,), fold=OddState.fold, notice=OddState.notice)
PLACE = "tests.support.defects"
ODD = Capability(
    "odd",
    topics=(Topic("odd", f"{PLACE}:OddView", f"{PLACE}:build_odd"),),
    projections=(f"{PLACE}:ODD_STATE",),
    contributions=(f"{PLACE}:contribute",),
)


def contribute(context: ViewContext) -> Contribution:
    """Every screen's header needs it."""
    if DEFECT.header:
        raise KeyError("no such thing")
    return Contribution()
