"""Attached consoles on a real socket: who, what they look at, gone with their connection, bounded."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from console.client.engine_client import EngineClient
from state.engine.attached import MOST, Attached
from state.errors import RecoveryError
from tests.screens.fake_engine import serving
from tests.support.small_estate import COMMANDER, OBSERVER, STRANGER, LoopClock, small


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


async def followed(client: EngineClient) -> None:
    async for _ in client.stream(("header",)):
        pass


async def test_a_console_is_listed_while_its_stream_lasts_and_no_longer() -> None:
    async with small() as lab:
        with tempfile.TemporaryDirectory(prefix="pr-", dir="/tmp") as folder:
            async with serving(lab.engine, Path(folder)) as path:
                mine, observer = EngineClient(path, "aa11"), EngineClient(str(Path(folder, "observe.sock")), "bb22")
                mine.screen = "overview"
                tasks = [asyncio.create_task(followed(client)) for client in (mine, observer)]
                rows = lambda: lab.engine.view("header").consoles  # noqa: E731
                await until(lambda: len(rows()) == 2)
                assert rows()[f"{os.getuid()}-aa11"].screen == "overview"
                assert rows()[f"{os.getuid()}-bb22"].observes
                await mine.look("traffic")
                await observer.look("journal")
                shown = {key.partition("-")[2]: row.screen for key, row in rows().items()}
                assert shown == {"aa11": "traffic", "bb22": "journal"}
                tasks[0].cancel()
                await asyncio.gather(tasks[0], return_exceptions=True)
                await until(lambda: [key.partition("-")[2] for key in rows()] == ["bb22"])
                tasks[1].cancel()
                await asyncio.gather(tasks[1], return_exceptions=True)
                await until(lambda: not rows())


@pytest.mark.parametrize("screen", ["../etc", "x" * 41, "a b"])
async def test_what_is_no_name_is_refused(screen: str) -> None:
    async with small() as lab:
        with tempfile.TemporaryDirectory(prefix="pr-", dir="/tmp") as folder:
            async with serving(lab.engine, Path(folder)) as path:
                with pytest.raises(RecoveryError, match="letters, digits and dashes"):
                    await EngineClient(path, "aa11").look(screen)


def test_the_list_is_bounded_keeps_known_screens_only_and_no_account_speaks_for_another() -> None:
    told: list[int] = []
    attached = Attached(LoopClock(), lambda: told.append(1))
    key = attached.come(COMMANDER, "c1", "traffic")
    attached.look(replace(STRANGER), "c1", "journal")
    assert attached.rows[key].screen == "traffic"
    attached.look(COMMANDER, "c1", "header")  # a topic without a screen
    assert attached.rows[key].screen == ""
    assert attached.come(OBSERVER, "c2", "journal")
    assert attached.rows["1000-c2"].observes
    for number in range(MOST):
        attached.come(STRANGER, f"x{number}", "")
    assert len(attached.rows) == MOST
    assert attached.come(COMMANDER, "late", "traffic") == ""
    attached.go("")
    assert len(attached.rows) == MOST
    attached.go(key)
    assert attached.come(COMMANDER, "late", "traffic")
    assert attached.come(COMMANDER, "", "traffic") == ""  # a verb that follows the stream is no console
