"""Grants with hostile holders while engine, servers and network fail: a prober finds nothing usable after the end.

The short programme is 12 grants at each of two major versions, the long one 200 under faults in random order.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from state.api.views.access import GrantRow, GrantState
from state.journal.events import Recorded
from tests.contract.access_pair import MAJORS
from tests.support.access_site import AccessSite, access_site
from tests.support.hostile_grantees import FORGIVEN, Hostile, begun, clung
from tests.support.real_engine import until

Fault = Callable[[AccessSite, random.Random], Awaitable[None]]
SEED = int(os.environ.get("RECOVERY_TEST_SEED", "11"))


async def engine_killed(site: AccessSite, rolls: random.Random) -> None:
    site.engine.kill()
    await asyncio.sleep(rolls.uniform(0.5, 6))
    await site.engine.start()


async def leader_restarted(site: AccessSite, rolls: random.Random) -> None:
    node = site.leader
    await site.stop(node, rolls.choice(["fast", "immediate"]))
    await asyncio.sleep(rolls.uniform(0, 1.5))
    await site.begin(node)


async def standby_restarted(site: AccessSite, rolls: random.Random) -> None:
    node = site.standby
    await site.stop(node, "immediate")
    await asyncio.sleep(rolls.uniform(0, 1.5))
    await site.begin(node)


async def cut_off(site: AccessSite, rolls: random.Random) -> None:
    names = rolls.choice([("a",), ("b",), ("a", "b")])
    for name in names:
        site.links[name].whole.clear()
    await asyncio.sleep(rolls.uniform(4, 9))
    assert all(site.links[name].held for name in names), "somebody met the cut"
    for name in names:
        site.links[name].whole.set()


async def clock_set(site: AccessSite, rolls: random.Random) -> None:
    site.set_engine_clock(rolls.choice([-300, 300]))
    await asyncio.sleep(rolls.uniform(3, 6))
    site.set_engine_clock(0)


async def failed_over(site: AccessSite, rolls: random.Random) -> None:
    await site.stop(site.leader, "immediate")
    await site.promote()
    await asyncio.sleep(rolls.uniform(1, 3))
    await site.rejoin()


async def split(site: AccessSite, rolls: random.Random) -> None:
    """For a while both lead, and one of them is new to that."""
    await site.promote()
    await asyncio.sleep(rolls.uniform(1, 5))
    await site.rejoin()


APART = (3.0, 4.0)
"""Seconds between two faults: a server that restarts has nobody in it who waits for an end until the engine has looked
again. What both at once let through is ended when the engine is back; docs/access.md says so."""
FAULTS: tuple[Fault, ...] = (
    engine_killed, leader_restarted, cut_off, clock_set, standby_restarted, failed_over, split
)  # fmt: skip


@pytest.fixture(params=sorted(MAJORS))
async def site(request: pytest.FixtureRequest) -> AsyncIterator[AccessSite]:
    async with access_site(MAJORS[request.param]()) as made:
        yield made


async def faults(site: AccessSite, rolls: random.Random, order: list[Fault], bitten: Counter[str]) -> None:
    for each in order:
        await each(site, rolls)
        bitten[each.__name__] += 1
        await asyncio.sleep(rolls.uniform(*APART))


async def wave(
    site: AccessSite, rolls: random.Random, numbers: range, order: list[Fault], bitten: Counter[str]
) -> list[Hostile]:
    """Some grants from their beginning until nothing of them is usable any more, and faults meanwhile."""
    holders: list[Hostile] = []
    for at in range(0, len(numbers), 5):
        holders += await asyncio.gather(
            *(begun(site, n, rolls, 10 + 3 * (n % len(numbers))) for n in numbers[at : at + 5])
        )
    over = asyncio.Event()
    probes = [asyncio.create_task(clung(site, each, over)) for each in holders]
    await faults(site, rolls, order, bitten)
    await asyncio.sleep(max(0.0, max(each.ends for each in holders) - time.monotonic()))
    await asyncio.sleep(FORGIVEN + 4)  # after a fault, and after every end
    over.set()
    await asyncio.gather(*probes)
    return holders


async def all_proven(site: AccessSite, many: int) -> list[GrantRow]:
    """Wait for the proof of each; what a prepared transaction holds up is told, and resolved by hand."""
    held: set[str] = set()

    async def proven() -> bool:
        rows = (await site.engine.client.view("access")).grants.values()
        held.update(each.id for each in rows if "rollback prepared" in each.way_out)
        session = await asyncpg.connect(
            host=str(site.servers.pair.place), port=site.servers.ports[site.leader], user="postgres",
            database="postgres",
        )  # fmt: skip
        for row in await session.fetch("select gid from pg_prepared_xacts") if held else ():
            await session.execute(f"rollback prepared '{row['gid']}'")
        await session.close()
        return all(each.state is GrantState.ENDED for each in rows)

    await until(proven, 120)
    assert held, "a prepared transaction was seen to hold an end up"
    ended = {each.event.body.grant for each in site.engine.entries() if each.kind == "grant.ended"}
    assert len(ended) == many
    return list((await site.engine.client.view("access")).grants.values())


def judged(holders: list[Hostile], entries: list[Recorded]) -> str:
    """Nothing was usable too late, and the prober was one that sees. How late the last use was, at most."""
    found = [told for each in holders for told in each.found]
    assert not found, "\n".join(found)
    assert sum(each.used for each in holders) > 20 * len(holders), "what is usable is seen to be"
    idle = [f"{each.role}: used {each.used}, refused {each.refused} times" for each in holders]
    assert all(each.used and each.refused for each in holders), "\n".join(idle)
    late = sorted(max(0.0, each.last - each.ends) for each in holders)
    assert any(abs(later.at - former.at) > 200 for former, later in itertools.pairwise(entries))
    return (
        f"{len(holders)} grants, last use after the end: median {statistics.median(late):.2f} s, max {late[-1]:.2f} s"
    )


async def test_nothing_is_usable_after_the_end_whoever_fails(site: AccessSite) -> None:
    rolls, bitten = random.Random(SEED), Counter[str]()
    holders = await wave(site, rolls, range(12), list(FAULTS[:6]), bitten)
    assert len(bitten) == 6
    rows = await all_proven(site, 12)
    print(judged(holders, site.engine.entries()))
    assert sum(any("left_" in thing for thing in each.left) for each in rows) >= 6


@pytest.mark.torture
async def test_two_hundred_grants_under_faults_in_random_order(site: AccessSite) -> None:
    rolls, bitten, holders = random.Random(SEED), Counter[str](), list[Hostile]()
    for n in range(0, 200, 10):
        order = rolls.sample(FAULTS, len(FAULTS))
        holders += await wave(site, rolls, range(n, n + 10), order, bitten)
        print(f"{len(holders)} grants, {sum(len(each.found) for each in holders)} too late", flush=True)
    assert len(bitten) == len(FAULTS)
    await all_proven(site, 200)
    print(judged(holders, site.engine.entries()), dict(bitten))
