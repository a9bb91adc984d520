"""What has ended leaves nothing in the engine but its record: no task, and nothing that a task held."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.support.small_estate import change, small

pytestmark = pytest.mark.virtual_time
RUNS = 40


def objects() -> int:
    """The tasks that are in memory, ended ones too."""
    gc.collect()
    return sum(isinstance(each, asyncio.Task) for each in gc.get_objects())


async def test_ended_runs_leave_no_task() -> None:
    async with small() as lab:
        await asyncio.sleep(1)
        before = objects()
        for number in range(RUNS):
            card = await lab.preview(change("server.weight", server="blue", weight=50 + number))
            assert await lab.ended((await lab.submit(card)).run) == "done"
            lab.cards.clear()
        await asyncio.sleep(5)
        assert objects() <= before + 2
