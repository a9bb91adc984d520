"""Plans made at random on real HAProxy processes (both versions) and real name servers, with reloads, kills, lost
sockets and other people's changes: no observed state is below a floor, what is then there is what the card said, what
is set back is alarmed within two polls, and no plan that is out of date is taken."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path

import pytest

from tests.contract.components import haproxies
from tests.contract.plan_lane import lane, wellness
from tests.contract.plan_mill import Mill, Tally

KINDS = ("bind", "powerdns", "embedded")


async def ground(folder: Path, lanes: int, plans: int, seed: int) -> Tally:
    """So many plans on each of so many lanes at once."""
    programs, tally = list(haproxies().values()), Tally()
    async with AsyncExitStack() as stack:
        port = stack.enter_context(wellness(programs[0]))
        made = []
        for number, kind, program in zip(range(lanes), cycle(KINDS), cycle(programs), strict=False):
            place = folder / f"lane-{number}"
            place.mkdir()
            made.append(await stack.enter_async_context(lane(program, kind, port, place, seed + number)))
        await asyncio.gather(*(Mill(each, tally).grind(plans) for each in made))
        tally.counts["observed states"] = sum(each.looks for each in made)
        tally.wrong += [f"below the floor: {low}" for each in made for low in each.low]
    print(f"\n{tally.plans} plans: {tally.told()}")
    return tally


async def test_a_share_of_the_generated_plans(tmp_path: Path) -> None:
    tally = await ground(tmp_path, lanes=3, plans=6, seed=7)
    assert not tally.wrong, "\n".join(tally.wrong)
    assert tally.plans == 18


@pytest.mark.torture
async def test_five_hundred_generated_plans(tmp_path: Path) -> None:
    tally = await ground(tmp_path, lanes=6, plans=90, seed=100)
    assert not tally.wrong, "\n".join(tally.wrong)
    assert tally.plans >= 500
    assert tally.counts["previews compared"] >= 200
