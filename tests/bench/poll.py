"""Goal 6: CPU of polling, against bare loops of the same libraries. Poller and servers run on different cores where
there are two."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import aiohttp
import asyncpg

from adapters.databases.postgres import QUERY, Access, PostgresNode
from adapters.net.http_read import HttpReader
from adapters.secrets import Secret
from state.engine.poller import Poller
from state.world.readings import MetricsReading, PostgresReading
from state.world.world import World
from tests.bench.figures import Figure, Pairs, Target, in_turn
from tests.bench.servers import free_range, postgres, role
from tests.bench.setting import Setting
from tests.contract.components import PASSWORD, Pair
from tests.support.small_estate import LoopClock

GOAL = "6"
CONNECTIONS, TARGETS, EVERY = 16, 16, 0.06
PATH = "/fixed"


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Counted:
    """A source that counts its reads; everything else is the product's."""

    limit = 3.0
    deadline = 0.9
    every = EVERY

    def __init__(self, number: int) -> None:
        self.key = f"bench:{number}"
        self.count = 0


class Sampled(Counted):
    """A PostgreSQL node."""

    def __init__(self, number: int, node: PostgresNode) -> None:
        super().__init__(number)
        self._node = node

    async def read(self) -> PostgresReading:
        self.count += 1
        return await self._node.read(deadline=self.deadline)

    async def close(self) -> None:
        await self._node.close()


class Fetched(Counted):
    """A page of JSON."""

    def __init__(self, number: int, reader: HttpReader) -> None:
        super().__init__(number)
        self._reader = reader

    async def read(self) -> MetricsReading:
        self.count += 1
        json.loads(await self._reader.get(PATH, deadline=self.deadline))
        return MetricsReading({})

    async def close(self) -> None:
        await self._reader.close()


async def polled(sources: Sequence[Sampled | Fetched], seconds: float) -> float:
    """CPU microseconds per sample, polled as the engine does: deadlines, back-off, jitter, marks of age."""
    world = World()
    poller = Poller(sources, world, LoopClock(), lambda key, before, now: None)
    poller.start()
    await asyncio.sleep(0.8)
    before, counted = cpu(), sum(source.count for source in sources)
    await asyncio.sleep(seconds)
    used, polls = cpu() - before, sum(source.count for source in sources) - counted
    assert all(each.error is None for each in world.observed.values()), "a sample failed"
    await poller.close()
    return used / polls * 1e6


async def looped(count: int, seconds: float, sample: Callable[[int], Awaitable[object]]) -> float:
    """CPU microseconds per sample of so many bare loops, paced and spread out as the poller's are.

    Spread out because connections that tick together share their wake-ups, which is worth more than all else here.
    """
    taken = 0

    async def loop(number: int, until: float) -> None:
        nonlocal taken
        while time.perf_counter() < until:
            started = time.perf_counter()
            await sample(number)
            taken += 1
            await asyncio.sleep(max(0.0, EVERY - (time.perf_counter() - started)) * random.uniform(0.95, 1.05))

    await asyncio.gather(*(loop(i, time.perf_counter() + 0.5) for i in range(count)))
    taken, before = 0, cpu()
    end = time.perf_counter() + seconds
    await asyncio.gather(*(loop(i, end) for i in range(count)))
    return (cpu() - before) / taken * 1e6


async def with_reader(port: int, seconds: float) -> float:
    return await polled([Fetched(i, HttpReader(f"http://127.0.0.1:{port + i}")) for i in range(TARGETS)], seconds)


async def with_aiohttp(port: int, seconds: float) -> float:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.9)) as session:

        async def sample(number: int) -> object:
            async with session.get(f"http://127.0.0.1:{port + number}{PATH}") as answer:
                return json.loads(await answer.read())

        return await looped(TARGETS, seconds, sample)


def fetching(setting: Setting) -> Figure:
    seconds, port, pairs = setting.pick(5.0, 1.5), free_range(TARGETS), Pairs()
    with role("farm", port, TARGETS, core=setting.cores.servers), setting.cores.on_measured():
        for ours, bare in in_turn(
            setting.pick(9, 5),
            lambda: asyncio.run(with_reader(port, seconds)),
            lambda: asyncio.run(with_aiohttp(port, seconds)),
        ):
            pairs.add(ours, bare)
    note = f"{TARGETS} targets, one GET of 2 KB of JSON each every {EVERY * 1e3:.0f} ms, parsed on both sides"
    if setting.cores.shared:
        note += "; poller and servers shared one core"
    return pairs.figure(GOAL, "CPU per HTTP sample / bare aiohttp loop", Target(1.2), of="us", note=note)


async def with_nodes(pair: Pair, seconds: float) -> float:
    access = Access("recovery", "postgres", Secret(PASSWORD))
    nodes = [PostgresNode(str(i), "127.0.0.1", pair.primary, access) for i in range(CONNECTIONS)]
    return await polled([Sampled(number, node) for number, node in enumerate(nodes)], seconds)


async def with_asyncpg(pair: Pair, seconds: float) -> float:
    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(
            host="127.0.0.1", port=pair.primary, user="recovery", password=PASSWORD, database="postgres", ssl=False
        )

    connections = [await connect() for _ in range(CONNECTIONS)]
    used = await looped(CONNECTIONS, seconds, lambda number: connections[number].fetchrow(QUERY))
    for connection in connections:
        connection.terminate()
    return used


def sampling(setting: Setting) -> Figure:
    seconds, pairs = setting.pick(5.0, 1.5), Pairs()
    with postgres() as pair, setting.cores.on_measured():
        for ours, bare in in_turn(
            setting.pick(9, 5),
            lambda: asyncio.run(with_nodes(pair, seconds)),
            lambda: asyncio.run(with_asyncpg(pair, seconds)),
        ):
            pairs.add(ours, bare)
    note = f"{CONNECTIONS} connections, one sample each every {EVERY * 1e3:.0f} ms, the same query"
    return pairs.figure(GOAL, "CPU per PostgreSQL sample / bare asyncpg loop", Target(1.25), of="us", note=note)


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    yield fetching(setting)
    yield sampling(setting)
