"""The cards of a failover and of a switchover on a real terminal of 80x24: all that a commander decides by is on them,
whole, some of it below the first screenful."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from adapters.journals.memory import MemoryJournal
from state.api.card import Card
from state.api.requests import PlanChange
from state.engine.engine import Engine
from state.planning.library import Library
from state.ports.outside import Outside
from tests.screens.fake_views import incident
from tests.support.acting_database import ActingDatabase, HostCommand
from tests.support.cards import COMMANDER, StillBalancer, StillClock, past
from tests.terminal.ptys import Terminal
from tests.terminal.served import console_on
from tests.unit.test_failover import FENCED
from tests.unit.verdict_world import MB

QUIET = 0.3
SEVERED = re.compile("…")


def planned(kind: str, database: ActingDatabase, seconds: float | None = None) -> Card:
    """The card of the engine's own planner; `seconds`: for how long nobody accepted writes in an earlier run."""

    async def made() -> Card:
        outside = Outside(
            (),
            {name: StillBalancer(name, {"blue": 100, "green": 100}) for name in FENCED.balancers},
            {"orders": database},
            commands={"stop": HostCommand(3)},
        )
        engine = Engine(FENCED, outside, MemoryJournal(), StillClock(), Library({}, FENCED, {}), node="t", pid=1, uid=0)
        if seconds is not None:
            run = past(1, kind, [44.0])
            for instances in run.instances.values():
                instances[0].figures = {"no_writes": seconds}
            engine.history.hold([run])
        return await engine.plans.preview(COMMANDER, PlanChange(kind, {"database": "orders", "to": "n2"}))

    with ThreadPoolExecutor(1) as pool:
        card = pool.submit(asyncio.run, made()).result()
    return replace(card, plan="p-1", fingerprint="f-1")


def read(terminal: Terminal) -> str:
    """All of the card that is open, screenful by screenful, as one text without the frame."""
    terminal.wait("esc cancel")
    found: list[str] = []
    for _ in range(6):
        for _ in range(20):
            if not terminal.read(QUIET):
                break
        for line in terminal.text().splitlines():
            assert len(line.rstrip()) <= 80
            text = line.rstrip(" ▐│").strip()
            if text and text not in found:
                found.append(text)
        terminal.press("\x1b[6~")
    return " ".join(" ".join(found).split())


def shown(card: Card, key: str) -> str:
    views = incident()
    with console_on(views, size=(80, 24)) as (terminal, served):
        served.front.card = card
        terminal.press("2")
        terminal.wait("may lead")
        for _ in range(8):  # to a standby, whichever row that is
            terminal.press(key)
            terminal.read(QUIET)
            if served.front.previews:
                break
            terminal.press("\x1b[B")
            terminal.read(QUIET)
        text = read(terminal)
        assert served.front.acts == [], "reading a card sends nothing"
        return text


@pytest.mark.parametrize("measured", [None, 3.2])
def test_the_card_of_a_failover_is_whole(measured: float | None) -> None:
    database = ActingDatabase(behind=13 * MB)
    database.died("n1")
    database.set("n3", receive_lsn=86 * MB, replay_lsn=86 * MB)
    text = shown(planned("database.failover", database, measured), "f")
    for part in (
        "Fail orders over to n2",
        "by itself: Patroni promotes n2 or n3, by ",
        "at the latest",
        "n2 lacks at least 13.0 MB",
        "what n1 wrote since it was last read, 38 s ago",
        "1.0 MB allowed",
        "duration unknown: never done here" if measured is None else "before: 3.2 s (median of 1, worst 3.2 s)",
        "checkout (tier 1), catalog (tier 2): no state is known",
        "no change undoes this",
        "candidates 1 n2 lacks at least 13.0 MB, 2 n3 lacks at least 14.0 MB",
        "n1 is stopped by stop at its host, read just now",
        "demoted: n3 is in recovery by its own word",
        "orders leader no node → n2",
    ):
        assert part in text, (part, text)
    assert not SEVERED.search(text)


@pytest.mark.parametrize("measured", [None, 1.5])
def test_the_card_of_a_switchover_is_whole(measured: float | None) -> None:
    text = shown(planned("database.switchover", ActingDatabase(), measured), "s")
    for part in (
        "Switch orders over to n2",
        "0 B of 1.0 MB allowed (n2 has all of the leader's WAL), read",
        "duration unknown: never done here" if measured is None else "before: 1.5 s (median of 1, worst 1.5 s)",
        "open transactions on n1 end with an error",
        "checkout (tier 1), catalog (tier 2): no state is known",
        "hand the leader role to n1, with a card of its own",
        "1 n2 has all of the leader's WAL, 2 n3 has all of the leader's WAL",
        "orders leader n1 → n2",
        "n2 streams on the leader's timeline and may lead",
    ):
        assert part in text, (part, text)
    assert not SEVERED.search(text)
