"""Goal 6: polls per CPU-second. Poller and servers run on different cores where there are two."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial

import aiohttp
import asyncpg

from adapters.databases.postgres import QUERY, Access, PostgresNode
from adapters.net.http_read import HttpReader
from adapters.secrets import Secret
from state.engine.poller import Poller
from state.world.readings import PostgresReading
from state.world.world import World
from tests.bench.figures import Figure, Pairs, Target, in_turn
from tests.bench.servers import free_range, postgres, role
from tests.bench.setting import Setting
from tests.contract.components import PASSWORD, Pair
from tests.support.small_estate import RealClock

GOAL = "6"
TARGETS, FLYING = 50, 50
CONNECTIONS, EVERY = 16, 0.06
PATH = "/fixed"


def run(work: Callable[[], Coroutine[None, None, float]]) -> float:
    return asyncio.run(work())


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def for_a_while(seconds: float, poll: Callable[[int], Awaitable[None]]) -> float:
    """Polls per CPU-second of so many loops, each asking again as soon as it is answered."""
    count = 0

    async def loop(number: int, until: float) -> None:
        nonlocal count
        while time.perf_counter() < until:
            await poll(number)
            count += 1

    await asyncio.gather(*(loop(i, time.perf_counter() + 0.3) for i in range(FLYING)))
    count, before = 0, cpu()
    end = time.perf_counter() + seconds
    await asyncio.gather(*(loop(i, end) for i in range(FLYING)))
    return count / (cpu() - before)


async def with_reader(port: int, seconds: float, parse: Callable[[bytes], object]) -> float:
    readers = [HttpReader(f"http://127.0.0.1:{port + i}") for i in range(TARGETS)]

    async def poll(number: int) -> None:
        parse(await readers[number % TARGETS].get(PATH, deadline=2.0))

    try:
        return await for_a_while(seconds, poll)
    finally:
        for reader in readers:
            await reader.close()


async def with_aiohttp(port: int, seconds: float, parse: Callable[[bytes], object]) -> float:
    limits = aiohttp.ClientTimeout(total=2.0)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=limits) as session:

        async def poll(number: int) -> None:
            async with session.get(f"http://127.0.0.1:{port + number % TARGETS}{PATH}") as answer:
                parse(await answer.read())

        return await for_a_while(seconds, poll)


def reading_http(setting: Setting) -> Iterator[Figure]:
    seconds, port = setting.pick(4, 1), free_range(TARGETS)
    note = "GET of 2 KB, 50 in flight, deadlines on both sides"
    if setting.cores.shared:
        note += "; poller and servers shared one core"
    ways: tuple[tuple[str, Callable[[bytes], object], Target | None], ...] = (
        ("HTTP reads with json.loads per CPU-second / aiohttp", json.loads, Target(3, least=True)),
        ("HTTP reads alone per CPU-second / aiohttp", len, None),
    )
    with role("farm", port, TARGETS, core=setting.cores.servers), setting.cores.on_measured():
        for name, parse, target in ways:
            pairs = Pairs()
            a, b = partial(with_reader, port, seconds, parse), partial(with_aiohttp, port, seconds, parse)
            for ours, theirs in in_turn(setting.pick(9, 5), partial(run, a), partial(run, b)):
                pairs.add(ours, theirs)
            yield pairs.figure(GOAL, name, target, of="1/CPU-s", note=note)


class Counted:
    """A source that counts its reads; everything else is the product's."""

    limit = 3.0
    deadline = 0.9
    every = EVERY

    def __init__(self, number: int, node: PostgresNode) -> None:
        self.key = f"postgres:bench/{number}"
        self.count = 0
        self._node = node

    async def read(self) -> PostgresReading:
        self.count += 1
        return await self._node.read(deadline=self.deadline)

    async def close(self) -> None:
        await self._node.close()


async def with_poller(pair: Pair, seconds: float) -> float:
    """CPU microseconds per sample, polled as the engine does: deadlines, back-off, jitter, marks of age."""
    access = Access("recovery", "postgres", Secret(PASSWORD))
    nodes = [PostgresNode(str(i), "127.0.0.1", pair.primary, access) for i in range(CONNECTIONS)]
    sources = [Counted(number, node) for number, node in enumerate(nodes)]
    world = World()
    poller = Poller(sources, world, RealClock(), lambda key, before, now: None)
    poller.start()
    await asyncio.sleep(0.8)
    before, counted = cpu(), sum(source.count for source in sources)
    await asyncio.sleep(seconds)
    used, polls = cpu() - before, sum(source.count for source in sources) - counted
    assert all(each.error is None for each in world.observed.values()), "a sample failed"
    await poller.close()
    return used / polls * 1e6


async def with_asyncpg(pair: Pair, seconds: float) -> float:
    """CPU microseconds per sample of a bare loop with the same query, paced and spread out alike.

    Spread out because connections that tick together share their wake-ups, which is worth more than all else here.
    """

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(
            host="127.0.0.1", port=pair.primary, user="recovery", password=PASSWORD, database="postgres", ssl=False
        )

    connections = [await connect() for _ in range(CONNECTIONS)]
    count = 0

    async def sample(number: int, until: float) -> None:
        nonlocal count
        while time.perf_counter() < until:
            started = time.perf_counter()
            await connections[number].fetchrow(QUERY)
            count += 1
            await asyncio.sleep(max(0.0, EVERY - (time.perf_counter() - started)) * random.uniform(0.95, 1.05))

    await asyncio.gather(*(sample(i, time.perf_counter() + 0.5) for i in range(CONNECTIONS)))
    count, before = 0, cpu()
    end = time.perf_counter() + seconds
    await asyncio.gather(*(sample(i, end) for i in range(CONNECTIONS)))
    used = cpu() - before
    for connection in connections:
        connection.terminate()
    return used / count * 1e6


def sampling(setting: Setting) -> Figure:
    seconds, pairs = setting.pick(5.0, 1.5), Pairs()
    with postgres() as pair, setting.cores.on_measured():
        for ours, bare in in_turn(
            setting.pick(9, 5),
            lambda: asyncio.run(with_poller(pair, seconds)),
            lambda: asyncio.run(with_asyncpg(pair, seconds)),
        ):
            pairs.add(ours, bare)
    note = f"{CONNECTIONS} connections, one sample each every {EVERY * 1e3:.0f} ms, the same query"
    return pairs.figure(GOAL, "CPU per PostgreSQL sample / bare asyncpg loop", Target(1.25), of="us", note=note)


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    yield from reading_http(setting)
    yield sampling(setting)
