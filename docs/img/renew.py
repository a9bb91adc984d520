"""Makes the pictures of the documents anew, from a fresh laboratory of all components and the pinned picture of a card.

.venv/bin/recovery lab up && .venv/bin/recovery engine start
.venv/bin/python docs/img/renew.py
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from console.client.engine_client import EngineClient
from console.places import find
from console.tui.app import ConsoleApp
from console.tui.terminal.capabilities import Terminal
from state.api.requests import PlanChange, PlanRunbook, Submission
from state.api.run_states import StepState
from state.api.views.header import HeaderView
from state.api.views.overview import OverviewView
from state.api.views.runbooks import RunbooksView
from state.health import Health

HERE = Path(__file__).parent
CARD = HERE.parents[1] / "tests/screens/__snapshots__/test_snapshots/test_card[80x24].svg"
SIZE = (120, 40)


async def until(pilot: Pilot[int], true: Callable[[], object]) -> None:
    """Wait for a condition, at most two minutes."""
    async with asyncio.timeout(120):
        while not true():
            await pilot.pause(0.1)
    await pilot.pause(0.5)


async def confirmed(client: EngineClient, request: PlanChange | PlanRunbook) -> str:
    """Preview, confirm with the card's own code, and start a run; its name."""
    card = await client.preview(request)
    await asyncio.sleep(card.confirmation.arm + 0.1)
    return (await client.submit(Submission(card.plan, card.fingerprint, card.confirmation.typed))).run


def proving(view: RunbooksView, run: str) -> bool:
    """Whether the last step of a run passes, and its samples are being counted."""
    last = max((step for step in view.steps.values() if step.run == run), key=lambda step: step.index, default=None)
    return last is not None and last.state is StepState.RUNNING and last.message.startswith("pass")


def picture(app: ConsoleApp, name: str) -> None:
    """Write what the console shows now."""
    (HERE / name).write_text(app.export_screenshot(title="recovery console"))


async def main() -> None:
    """Break checkout, take its picture, roll it back, take the picture of the run."""
    path = os.fspath(find().engine)
    client, app = EngineClient(path), ConsoleApp(path, Terminal())
    async with app.run_test(size=SIZE) as pilot:
        store = app.store
        await until(pilot, lambda: store.view(OverviewView))
        await confirmed(client, PlanChange("fault.inject", {"fault": "bad-release", "seconds": 120}))
        await until(pilot, lambda: store.view(OverviewView).services["checkout"].health is Health.FAIL)
        await until(pilot, lambda: store.view(HeaderView).rto and len(store.view(OverviewView).alerts) > 1)
        await pilot.pause(10)  # a trend needs its readings
        picture(app, "overview.svg")
        run = await confirmed(client, PlanRunbook("roll-back-release", {"service": "checkout", "to": "blue"}))
        await pilot.press("3")
        await until(pilot, lambda: proving(store.view(RunbooksView), run))
        picture(app, "run.svg")
    shutil.copy(CARD, HERE / "card.svg")


if __name__ == "__main__":
    asyncio.run(main())
