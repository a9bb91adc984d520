"""Goal 7: 10,000 servers of one HAProxy read, parsed and compared, beside the bare fetch and the usual parsers."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

from adapters.balancers import haproxy_socket
from adapters.balancers.haproxy import HAProxy
from tests.bench.figures import Figure, Pairs, Target
from tests.bench.servers import haproxy
from tests.bench.setting import Setting

GOAL = "7"
BACKENDS, SERVERS = 100, 100
DEADLINE = 30.0
PROBE = 0.001
"""Seconds between two looks of the loop probe."""


async def fetch(socket: Path, line: bytes) -> bytes:
    return await haproxy_socket.read(str(socket), line, DEADLINE)


async def dict_reader(socket: Path) -> int:
    """Fetch and `csv.DictReader`, as many tools do."""
    text = (await fetch(socket, b"show stat")).decode()
    return len(list(csv.DictReader(io.StringIO(text[2:]))))


async def json_answer(socket: Path) -> int:
    """Fetch and parse HAProxy's own JSON: 99 MB, more than the product would ever take."""
    reader, writer = await asyncio.open_unix_connection(socket, limit=1 << 24)
    writer.write(b"show stat json\n")
    answer = await reader.read(-1)
    writer.close()
    return len(json.loads(answer))


async def change_some(socket: Path, share: int, weight: int) -> None:
    """Another weight for `share` servers of every backend."""
    for backend in range(BACKENDS):
        line = ";".join(f"set server be{backend:03d}/srv{i:03d} weight {weight}" for i in range(share))
        message = await haproxy_socket.act(str(socket), line.encode(), DEADLINE)
        assert not message, message


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1e3


async def longest_block(work: Callable[[], Awaitable[object]]) -> float:
    """The longest time in ms for which nothing else ran while the work was done."""
    worst = 0.0

    async def probe() -> None:
        nonlocal worst
        while True:
            before = time.perf_counter()
            await asyncio.sleep(PROBE)
            worst = max(worst, time.perf_counter() - before - PROBE)

    task = asyncio.create_task(probe())
    await asyncio.sleep(0.01)
    worst = 0.0
    await work()
    await asyncio.sleep(0.005)
    task.cancel()
    return worst * 1e3


async def intake(setting: Setting, socket: Path) -> list[Figure]:
    n = setting.pick(15, 7)
    product = HAProxy("bench", str(socket))

    async def read() -> None:
        reading = await product.read(deadline=DEADLINE)
        assert len(reading.servers) == BACKENDS * SERVERS

    async def bare() -> None:
        await fetch(socket, b"show stat")

    await read()
    against = {name: Pairs() for name in ("bare", "still", "dict", "json")}
    blocks, noise, first = [], [], Pairs()
    for i in range(n):
        against["still"].add(await timed(read), await timed(bare))
        await change_some(socket, 10, 50 + i)
        against["bare"].add(await timed(read), await timed(bare))
        await change_some(socket, 10, 100 + i)
        against["dict"].add(await timed(read), await timed(lambda: dict_reader(socket)))
        await change_some(socket, 10, 150 + i)
        blocks.append(await longest_block(read))
        noise.append(await longest_block(bare))
        if i < max(5, n // 3):
            against["json"].add(await timed(read), await timed(lambda: json_answer(socket)))
            fresh = HAProxy("bench", str(socket))
            first.add(await timed(partial(fresh.read, deadline=DEADLINE)), await timed(bare))
    size = "process, state and statistics of 10,000 servers, 1,000 of them changed since the last read"
    block = statistics.median(blocks)
    worst = f"worst of all {max(blocks):.1f} ms; the bare fetch alone {statistics.median(noise):.1f} ms"
    return [
        against["bare"].figure(GOAL, "read, parse, compare / bare fetch of show stat", Target(2), note=size),
        against["still"].figure(GOAL, "the same with nothing changed", of="ms"),
        first.figure(GOAL, "the same, the very first read", of="ms"),
        against["dict"].figure(GOAL, "the same / fetch + csv.DictReader", Target(0.4)),
        against["json"].figure(GOAL, "the same / fetch + parse of show stat json", Target(0.03)),
        Figure(GOAL, "longest block of the loop", block, "ms", Target(8), n, note=worst),
    ]


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    folder, core = setting.folder("intake"), setting.cores.servers
    with haproxy(folder, BACKENDS, SERVERS, core=core) as balancer, setting.cores.on_measured():
        yield from asyncio.run(intake(setting, balancer.runtime))
