"""What an engine has freed goes back to its host."""

from __future__ import annotations

import subprocess
import sys

HOLES = """
import asyncio
from console.engine.memory import small_heaps, return_memory

def held():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

async def main():
    small_heaps()
    blocks = [bytes(10_000) for _ in range(8000)]
    kept = [block for at, block in enumerate(blocks) if at % 40 == 0]
    full = held()
    blocks = None
    holes = held()
    task = asyncio.create_task(return_memory(0.01))
    await asyncio.sleep(0.2)
    print(full, holes, held(), len(kept), task.done())

asyncio.run(main())
"""

CYCLES = """
import asyncio, gc, weakref
from console.engine.memory import keep_what_is_there, return_memory

class Kept:
    pass

async def main():
    there = Kept()
    there.itself = there
    keep_what_is_there()
    stays = weakref.ref(there)
    came = Kept()
    came.itself = came
    goes = weakref.ref(came)
    del there, came
    task = asyncio.create_task(return_memory(0.01))
    await asyncio.sleep(0.2)
    print(stays() is None, goes() is None, task.done())

asyncio.run(main())
"""


def test_what_only_a_cycle_keeps_is_gone_after_a_return_and_what_was_there_at_the_start_is_not_looked_at() -> None:
    told = subprocess.run(
        [sys.executable, "-P", "-c", CYCLES], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert told == ["False", "True", "False"]


def test_pages_between_what_is_still_in_use_are_returned() -> None:
    told = subprocess.run(
        [sys.executable, "-P", "-c", HOLES], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    full, holes, after = (int(each) for each in told[:3])
    assert told[3:] == ["200", "False"]
    assert holes > full - 20_000, "there was nothing to return"
    assert after < holes - 40_000, (full, holes, after)
