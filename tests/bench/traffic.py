"""Goal 10: one traffic change with journal and read-back, beside one socat process per change; and its effect.

Three lengths of the same way are told apart: what the change itself costs (intent durable, change, read-back), from
submitting a confirmed plan to the first reading that confirms it, and to the recorded outcome. The outcome needs a
second reading `settle` later, on purpose: that wait is told, not hidden.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.balancers.haproxy import HAProxy
from adapters.context import Polled
from adapters.journals.sqlite import SqliteJournal
from state.api.caller import Caller
from state.api.requests import PlanChange, Submission
from state.changes.traffic import BackendChange
from state.engine.engine import Engine
from state.estate.model import Estate
from state.journal.format import Sealer
from state.journal.writer import Journal
from state.planning.library import Library
from state.ports.balancer import ServerState
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.runs.events import EffectEnded
from state.world.balancer_parts import Server
from tests.bench.figures import Figure, Pairs, Target, missing, quantile
from tests.bench.journal import event
from tests.bench.servers import Balancer, free_range, haproxy, role
from tests.bench.setting import Setting
from tests.support.small_estate import COMMANDER, ESTATE, LoopClock

GOAL = "10"
BACKENDS, SERVERS = 100, 10
DEADLINE = 5.0


class Watched(HAProxy):
    """The product's adapter, telling when a reading first showed what was asked for."""

    def __init__(self, socket: Path) -> None:
        super().__init__("edge", str(socket))
        self.confirmed: dict[str, float] = {}
        self._asked: dict[str, ServerState] = {}

    def forget(self) -> None:
        """Nothing was asked for: what is read from now on confirms nothing yet."""
        self.confirmed.clear()
        self._asked.clear()

    async def set_state(self, backend: str, server: str, state: ServerState, *, deadline: float) -> Receipt:
        receipt = await super().set_state(backend, server, state, deadline=deadline)
        self._asked[f"{backend}/{server}"] = state
        return receipt

    async def read_backend(self, backend: str, *, deadline: float) -> tuple[Server, ...]:
        servers = await super().read_backend(backend, deadline=deadline)
        now = time.monotonic()
        for each in servers:
            asked = self._asked.get(f"{backend}/{each.name}")
            if asked is not None and each.drained == (asked == "drain"):
                self.confirmed.setdefault(backend, now)
        return servers


@asynccontextmanager
async def running(balancer: Balancer, folder: Path) -> AsyncIterator[tuple[Engine, Watched]]:
    """The engine on a real HAProxy and a real journal, polling once a second."""
    estate = Estate.model_validate({**ESTATE, "services": {}})
    adapter = Watched(balancer.runtime)
    source = Polled("balancer:edge", 1.0, 0.9, 3.0, adapter.read)
    outside = Outside((source,), {"edge": adapter}, {})
    store = SqliteJournal(folder / "journal.db")
    engine = Engine(estate, outside, store, LoopClock(), Library({}, estate, {}), node="bench", pid=1, uid=0)
    await engine.start()
    try:
        yield engine, adapter
    finally:
        await engine.stop()


def change(kind: str, backend: str, server: str) -> dict[str, Any]:
    return PlanChange(kind, {"balancer": "edge", "backend": backend, "server": server})


async def submit(engine: Engine, request: Mapping[str, Any], caller: Caller = COMMANDER) -> tuple[str, float]:
    """Preview, wait until the card is armed, submit; the run and the instant of submitting."""
    card = await engine.preview(caller, request)
    assert not card.refusals, card.refusals
    await asyncio.sleep(card.confirmation.arm + 0.01)
    confirmed = Submission(card.plan, card.fingerprint, card.confirmation.typed)
    started = time.monotonic()
    return (await engine.submit(caller, confirmed)).run, started


async def until_ended(engine: Engine, runs: list[str], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while any(not engine.history.runs[run].ended for run in runs):
        assert time.monotonic() < end, "a run did not end"
        await asyncio.sleep(0.01)
    states = {engine.history.runs[run].shown_state().value for run in runs}
    assert states == {"done"}, states


def with_socat(program: str, socket: Path, backend: str, weight: int) -> float:
    """A runbook's shell step: one process sets a weight and reads it back."""
    line = f"set server {backend}/srv009 weight {weight};get weight {backend}/srv009\n".encode()
    started = time.perf_counter()
    done = subprocess.run([program, "-", str(socket)], input=line, stdout=subprocess.PIPE, check=True)
    taken = (time.perf_counter() - started) * 1e3
    assert done.stdout.strip().startswith(b"%d " % weight), done.stdout
    return taken


async def one_change(journal: Journal, adapter: HAProxy, number: int) -> float:
    """Intent durable, change, read-back by inventory: what cannot be left out."""
    backend = f"be{number % BACKENDS:03d}"
    state: ServerState = "ready" if number // BACKENDS % 2 else "drain"
    started = time.perf_counter()
    await journal.append(event(number))
    await adapter.set_state(backend, "srv001", state, deadline=DEADLINE)
    servers = await adapter.read_backend(backend, deadline=DEADLINE)
    assert servers[1].drained == (state == "drain")
    return (time.perf_counter() - started) * 1e3


async def the_change(setting: Setting, balancer: Balancer, folder: Path, socat: str) -> list[Figure]:
    store = SqliteJournal(folder / "bare.db")
    journal, adapter = Journal(store, Sealer("bench", "0"), LoopClock()), HAProxy("edge", str(balancer.runtime))
    await adapter.read(deadline=DEADLINE)
    p50, p99, size, number = Pairs(), Pairs(), setting.pick(400, 100), 0
    for _ in range(setting.pick(9, 5)):
        ours, theirs = [], []
        for _ in range(size):
            ours.append(await one_change(journal, adapter, number))
            theirs.append(with_socat(socat, balancer.runtime, "be000", number % 256))
            number += 1
        p50.add(quantile(ours, 0.5), quantile(theirs, 0.5))
        p99.add(quantile(ours, 0.99), quantile(theirs, 0.99))
    store.close()
    note = f"one durable intent, change and read-back of one backend; {size} changes a round"
    return [
        p50.figure(GOAL, "change with intent and read-back, p50 / socat process", Target(0.25), note=note),
        p99.figure(GOAL, "change with intent and read-back, p99 / socat process", Target(0.3)),
    ]


async def whole_way(setting: Setting, balancer: Balancer, folder: Path, socat: str) -> list[Figure]:
    """Through the engine. Every change takes another backend, because one that settles keeps its lease."""
    first, outcome, rounds = Pairs(), Pairs(), setting.pick(9, 5)
    per_round = BACKENDS // rounds
    async with running(balancer, folder) as (engine, adapter):
        await asyncio.sleep(0.5)
        for turn in range(rounds):
            runs, ours, theirs = [], [], []
            for backend in (f"be{i:03d}" for i in range(turn * per_round, (turn + 1) * per_round)):
                run, started = await submit(engine, change("server.drain", backend, "srv000"))
                runs.append((run, started))
                while backend not in adapter.confirmed:
                    await asyncio.sleep(0)
                ours.append((adapter.confirmed[backend] - started) * 1e3)
                theirs.append(with_socat(socat, balancer.runtime, "be000", turn))
            await until_ended(engine, [run for run, _ in runs])
            first.add(quantile(ours, 0.5), quantile(theirs, 0.5))
            outcome.add(_outcome_ms(engine, runs), quantile(theirs, 0.5))
    settle = BackendChange.settle
    events = "run, lease, step, intent, receipt: each durable; identity and facts read afresh twice"
    message = f"of it {settle:g} s is the wait for the second reading"
    return [
        first.figure(GOAL, "engine, submit to first confirming reading / socat", Target(0.25), note=events),
        outcome.figure(GOAL, "engine, submit to recorded outcome / socat", note=message),
    ]


def _outcome_ms(engine: Engine, runs: list[tuple[str, float]]) -> float:
    """Median time from submitting to the durable outcome, from the journal's own monotonic stamps."""
    at = {each.run: each.mono for each in _recorded(engine, EffectEnded.kind)}
    return quantile([(at[run] - started) * 1e3 for run, started in runs], 0.5)


class _Stamp:
    """An event's run and monotonic instant."""

    def __init__(self, run: str, mono: float) -> None:
        self.run, self.mono = run, mono


def _recorded(engine: Engine, kind: str) -> list[_Stamp]:
    stamps = []
    for entry in engine._store.rows():
        header = json.loads(entry.header)
        if header[7] == kind:
            stamps.append(_Stamp(header[9], header[3]))
    return stamps


async def effect(setting: Setting, balancer: Balancer, folder: Path) -> Figure:
    """Clients ask without pause while a server is drained: none asked after the confirmation may reach it."""
    late = total = 0
    rounds = setting.pick(15, 5)
    async with running(balancer, folder) as (engine, adapter):
        await asyncio.sleep(0.5)
        for _ in range(rounds):
            with role("clients", balancer.port, 8) as clients:
                await asyncio.sleep(0.2)
                adapter.forget()
                run, _ = await submit(engine, change("server.drain", "be000", "srv000"))
                while "be000" not in adapter.confirmed:
                    await asyncio.sleep(0)
                confirmed = adapter.confirmed["be000"]
                await asyncio.sleep(0.3)
                clients.send_signal(signal.SIGTERM)
                assert clients.stdout is not None
                told = await asyncio.to_thread(clients.stdout.read)
            asked = [line.split() for line in told.decode().splitlines()]
            total += len(asked)
            assert any(server == "srv000" for _, server in asked), "the drained server never had traffic"
            late += sum(server == "srv000" and float(at) > confirmed for at, server in asked)
            await until_ended(engine, [run])
            run, _ = await submit(engine, change("server.ready", "be000", "srv000"))
            await until_ended(engine, [run])
    note = f"{rounds} drains, {total} requests of 8 clients"
    return Figure(GOAL, "requests sent after confirmation that reached the drained server", late, "requests",
                  Target(0), rounds, note=note)  # fmt: skip


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    folder, socat, port = setting.folder("traffic"), setting.peers.program("socat"), free_range(2)
    with haproxy(folder, BACKENDS, SERVERS, core=setting.cores.servers) as balancer:
        if socat is None:
            yield missing(GOAL, "change / socat process", setting.peers.why("socat"), Target(0.25))
        else:
            yield from asyncio.run(the_change(setting, balancer, folder, socat))
            yield from asyncio.run(whole_way(setting, balancer, folder, socat))
    folder = setting.folder("effect")
    with role("farm", port, 2), haproxy(folder, 1, 2, to=(port, port + 1)) as balancer:
        yield asyncio.run(effect(setting, balancer, folder))
