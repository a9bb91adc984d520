"""Goal 9: an event is durable at the price of the disk, a chain verifies at the price of sha256."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from adapters.journals.sqlite import SqliteJournal
from state.changes.model import ChangeSpec
from state.journal.events import Event
from state.journal.format import GENESIS, Sealed, Sealer, canonical, verify
from state.journal.writer import Journal
from state.runs.events import EffectIntended
from tests.bench.figures import Figure, Pairs, Target, in_turn, quantile
from tests.bench.setting import PYTHON, ROOT, Setting
from tests.support.small_estate import LoopClock

GOAL = "9"
SEALER = Sealer("bench", "0123456789abcdef")
CHANGE = ChangeSpec("server.drain", {"balancer": "edge-east", "backend": "checkout", "server": "blue"})
DIFF = "edge-east/checkout/blue: ready → drain"


def event(number: int) -> Event:
    """An intent as a drain leaves it: about 400 bytes of payload."""
    body = EffectIntended(
        effect="R-17/drain-blue.1",
        epoch=number,
        change=CHANGE,
        targets=("edge-east/checkout",),
        identity={},
        facts={},
        diffs=(DIFF,),
        undo=None,
        message=f"Drain edge-east/checkout/blue: {DIFF}",
    )
    return Event(body, "ada", "s1", run="R-17", step="drain-blue#1")


def one_by_one(path: Path, events: int) -> list[float]:
    """Latencies in ms of events appended one after the other."""

    async def append_all() -> list[float]:
        store = SqliteJournal(path)
        journal = Journal(store, SEALER, LoopClock())
        taken = []
        for number in range(events):
            started = time.perf_counter()
            await journal.append(event(number))
            taken.append((time.perf_counter() - started) * 1e3)
        store.close()
        return taken

    return asyncio.run(append_all())


def at_once(path: Path, events: int, producers: int) -> float:
    """Events per second with so many producers, each waiting for its own event."""

    async def append_all() -> float:
        store = SqliteJournal(path)
        journal = Journal(store, SEALER, LoopClock())

        async def produce(share: int) -> None:
            for number in range(share):
                await journal.append(event(number))

        started = time.perf_counter()
        await asyncio.gather(*(produce(events // producers) for _ in range(producers)))
        taken = time.perf_counter() - started
        store.close()
        return events / taken

    return asyncio.run(append_all())


def raw_appends(path: Path, events: int) -> list[float]:
    """Latencies in ms of the same bytes appended to a plain file, each followed by fdatasync: the limit."""
    sealed = SEALER.seal(event(1), seq=1, previous=GENESIS, at=time.time(), mono=time.monotonic())
    record = sealed.header + sealed.hash + sealed.salt + sealed.payload
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    taken = []
    for _ in range(events):
        started = time.perf_counter()
        os.write(descriptor, record)
        os.fdatasync(descriptor)
        taken.append((time.perf_counter() - started) * 1e3)
    os.close(descriptor)
    return taken


def appending(setting: Setting, folder: Path) -> Iterator[Figure]:
    events, n = setting.pick(2000, 400), setting.pick(11, 7)
    numbers = iter(range(10_000))
    p50, p99, group = Pairs(), Pairs(), Pairs()
    for a, b in in_turn(
        n,
        lambda: one_by_one(folder / f"journal-{next(numbers)}.db", events),
        lambda: raw_appends(folder / f"raw-{next(numbers)}", events),
    ):
        p50.add(quantile(a, 0.5), quantile(b, 0.5))
        p99.add(quantile(a, 0.99), quantile(b, 0.99))
    yield p50.figure(GOAL, "append p50 / raw append + fdatasync", Target(1.15))
    yield p99.figure(GOAL, "append p99 / raw append + fdatasync", Target(1.6))
    for many, one in in_turn(
        n,
        lambda: at_once(folder / f"many-{next(numbers)}.db", events, 8),
        lambda: at_once(folder / f"one-{next(numbers)}.db", events, 1),
    ):
        group.add(many, one)
    yield group.figure(GOAL, "8 producers / one", Target(3, least=True), of="events/s")


def chain(events: int) -> list[Sealed]:
    """A whole journal in memory."""
    previous, entries = GENESIS, []
    for number in range(1, events + 1):
        entry = SEALER.seal(event(number), seq=number, previous=previous, at=1.7e9 + number, mono=float(number))
        previous = entry.hash
        entries.append(entry)
    return entries


def bare_hashes(entries: list[Sealed]) -> float:
    """Events/s of one sha256 over each entry's bytes, and nothing else."""
    whole = [entry.header + entry.payload for entry in entries]
    started = time.perf_counter()
    for record in whole:
        sha256(record).digest()
    return len(entries) / (time.perf_counter() - started)


def needed_hashes(entries: list[Sealed]) -> float:
    """Events/s of the two hashes that the format needs for each entry, and nothing else."""
    started = time.perf_counter()
    for entry in entries:
        sha256(GENESIS + entry.header).digest()
        sha256(entry.salt + entry.payload).digest()
    return len(entries) / (time.perf_counter() - started)


def json_way(entries: list[Sealed]) -> float:
    """Events/s of verifying without stored bytes: parse, serialise canonically again, hash; standard library."""
    started = time.perf_counter()
    for entry in entries:
        header, payload = canonical(json.loads(entry.header)), canonical(json.loads(entry.payload))
        sha256(header + payload).digest()
    return len(entries) / (time.perf_counter() - started)


def verified(entries: list[Sealed]) -> float:
    """Events/s of the product's verification."""
    started = time.perf_counter()
    found = verify(entries)
    taken = time.perf_counter() - started
    assert found.ok, found.problem
    return len(entries) / taken


def verifying(setting: Setting) -> Iterator[Figure]:
    entries = chain(setting.pick(1_000_000, 100_000))
    bare, needed, parsed = Pairs(), Pairs(), Pairs()
    for _ in range(5):
        bare.add(verified(entries), bare_hashes(entries))
        needed.add(verified(entries), needed_hashes(entries))
        parsed.add(verified(entries), json_way(entries))
    size = f"{len(entries)} entries of {len(entries[0].header + entries[0].payload)} B in memory"
    yield bare.figure(GOAL, "verify / bare sha256", Target(0.5, least=True), of="events/s", note=size)
    yield needed.figure(GOAL, "verify / the two hashes the format needs", of="events/s")
    yield parsed.figure(GOAL, "verify / standard-library JSON way", Target(8, least=True), of="events/s")


APPENDER = """
import asyncio, sys
from pathlib import Path
from tests.bench.journal import SEALER, event
from tests.support.small_estate import LoopClock
from adapters.journals.sqlite import SqliteJournal
from state.journal.writer import Journal

async def main():
    journal = Journal(SqliteJournal(Path(sys.argv[1])), SEALER, LoopClock())
    async def produce():
        for number in range(10**9):
            recorded = await journal.append(event(number))
            sys.stdout.write(f"{recorded.seq} {recorded.hash}\\n")
            sys.stdout.flush()
    await asyncio.gather(*(produce() for _ in range(4)))

asyncio.run(main())
"""


def killed(setting: Setting, folder: Path) -> Figure:
    """Kill -9 in the middle of appending: every acknowledged entry must be there and the chain hold."""
    lost, rounds = 0, setting.pick(20, 5)
    for number in range(rounds):
        path = folder / f"killed-{number}.db"
        child = subprocess.Popen([PYTHON, "-c", APPENDER, path], stdout=subprocess.PIPE, cwd=ROOT)
        assert child.stdout is not None
        acknowledged = [child.stdout.readline() for _ in range(50 + 37 * number)]
        child.send_signal(signal.SIGKILL)
        acknowledged += child.stdout.readlines()
        child.wait()
        child.stdout.close()
        store = SqliteJournal(path)
        held = {f"{entry.seq} {entry.hash.hex()}\n".encode() for entry in store.rows()}
        assert verify(store.rows()).ok
        lost += sum(line.endswith(b"\n") and line not in held for line in acknowledged)
        store.close()
    return Figure(GOAL, "acknowledged events lost after kill -9", lost, "events", Target(0), rounds)


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    folder = setting.folder("journal")
    yield from appending(setting, folder)
    yield from verifying(setting)
    yield killed(setting, folder)
