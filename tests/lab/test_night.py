"""Faults of the laboratory as the journal tells them: exactly what was to be seen, once each, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.lab.client import LabClient
from state.audit.events import JournalKeyed, JournalSealed
from state.detection.events import ServiceImpaired, ServiceRecovered
from state.detection.observations import AlertFired, AlertResolved, LeaderChanged, NodeBack, NodeLost
from state.engine.events import EngineStarted, Heartbeat
from state.health import Health
from state.journal.events import Body, Observation
from tests.contract.test_engine_metrics import board_queries, promtool
from tests.support.ports import free_port
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

HOLDS = 300.0
"""Seconds for which a fault lasts unless the test undoes it: longer than its entries take on a slow machine."""
CALM = 14.0
"""Seconds after which everything that was to be told is told."""
ALERTS = {AlertFired.kind, AlertResolved.kind}
"""The lab's own alert rules may fire with any fault."""
SERVICES = {"service.impaired", "service.recovered", "service.unknown", "service.known"}
"""What a fault elsewhere may do to services for a moment: a few requests fail, or figures are late."""


OWN_LIFE = (Heartbeat, EngineStarted, JournalKeyed, JournalSealed)


def observed(engine: RealEngine, since: int) -> list[Body]:
    """The observations since an entry, without the engine's own life."""
    bodies = [e.body for e in engine.entries() if e.seq > since]
    return [b for b in bodies if isinstance(b, Observation) and not isinstance(b, OWN_LIFE)]


def newest(engine: RealEngine) -> int:
    return engine.entries()[-1].seq


async def told(engine: RealEngine, since: int, *kinds: str, seconds: float = 240) -> None:
    async def there() -> bool:
        return {*kinds} <= {b.kind for b in observed(engine, since)}

    await until(there, seconds, lambda: f"{kinds}: {[b.line for b in observed(engine, since)]}")


LONG = pytest.mark.torture
"""What `tests/scenarios/test_truth.py` injects too, and compares with the screens and verbs."""
CAUSES = {"cause.began", "cause.ended"}
"""What else is wrong with a database while its roles move: nobody who may lead, a store that is late."""
CALMED: dict[RealEngine, int] = {}
"""The newest entry of an engine when it was calm."""


def impaired(engine: RealEngine) -> set[str]:
    """Services whose recovery is not recorded yet."""
    open_: set[str] = set()
    for body in observed(engine, 0):
        if isinstance(body, ServiceImpaired):
            open_.add(body.service)
        elif isinstance(body, ServiceRecovered):
            open_.discard(body.service)
    return open_


async def calm(engine: RealEngine) -> None:
    """Wait until all is well again, and nothing was recorded for a while: what is broken begins only once.

    So it ends one fault and begins the next: where nothing was recorded since, it is not waited for again.
    """

    async def there() -> bool:
        overview = await engine.client.view("overview")
        header = await engine.client.view("header")
        seen = newest(engine)
        if overview.health is not Health.PASS or header.causes or impaired(engine):
            return False
        if CALMED.get(engine) != seen:
            await asyncio.sleep(CALM)
            CALMED[engine] = seen
        return newest(engine) == seen

    await until(there, 300, "it does not become calm")


@pytest.mark.parametrize(
    ("fault", "target", "begins", "ends", "more"),
    [
        pytest.param("bad-release", None, ("service.impaired",), ("service.recovered",), set(), marks=LONG),
        pytest.param("wrong-dns", None, ("service.impaired",), ("service.recovered",), set(), marks=LONG),
        pytest.param(
            "kill-node",
            "n3",
            ("node.lost",),
            ("node.back",),
            {"replication.broken", "replication.restored", "source.silent", "source.back", *CAUSES, *SERVICES},
            marks=LONG,
        ),
        pytest.param("cut-replication", "n3", ("replication.broken",), ("replication.restored",), set(), marks=LONG),
        pytest.param(
            "hang-source",
            None,
            ("source.silent",),
            ("source.back",),
            {"service.unknown", "service.known"},
            marks=LONG,
        ),
        pytest.param(
            "freeze-primary",
            None,
            ("node.lost", "leader.changed"),
            ("node.back",),
            {
                "replication.broken",
                "replication.restored",
                "source.silent",
                "source.back",
                "writer.lost",
                "writer.back",
                *CAUSES,
                *SERVICES,
            },
            marks=LONG,
        ),
        pytest.param(
            "split-brain",
            None,
            ("split-brain.detected",),
            ("split-brain.cleared",),
            {
                "replication.broken",
                "replication.restored",
                "source.silent",
                "source.back",
                "node.lost",
                "node.back",
                *CAUSES,
                *SERVICES,
            },
            marks=LONG,
        ),
        ("reload-balancer", "east", ("balancer.restarted",), (), set()),
    ],
)
async def test_each_fault_is_what_the_journal_observed(
    lab: LabClient,
    engine: RealEngine,
    fault: str,
    target: str | None,
    begins: tuple[str, ...],
    ends: tuple[str, ...],
    more: set[str],
) -> None:
    await calm(engine)
    since = newest(engine)
    await lab.inject(fault, target, HOLDS)
    await told(engine, since, *begins)
    if ends:
        await lab.undo(fault)
        await told(engine, since, *ends, seconds=300)
    await calm(engine)
    seen = observed(engine, since)
    kinds = [b.kind for b in seen]
    assert set(kinds) <= {*begins, *ends, *more, *ALERTS}, [b.line for b in seen]
    for kind in (*begins, *ends):
        assert kinds.count(kind) == 1, [b.line for b in seen]
    assert engine.chain() == ""
    facts: dict[type[Body], Callable[[Any], bool]] = {
        NodeLost: lambda b: all(n.database == "orders" and n.role and n.timeline for n in b.nodes),
        NodeBack: lambda b: all((n.seconds or 0) > 0 for n in b.nodes),
        LeaderChanged: lambda b: bool(b.before and b.timeline),
    }
    for body in seen:
        assert facts.get(type(body), lambda b: bool(b.line))(body), body


async def test_the_board_has_data_for_every_query_on_the_labs_prometheus(lab: LabClient, monitors: None) -> None:
    port = free_port()
    config = Path(lab.description()["root"]) / "prometheus.yml"
    former = config.read_text()
    jobs = json.loads(former)
    jobs["scrape_configs"].append({"job_name": "recovery", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]})
    prometheus = f"http://127.0.0.1:{lab.description()['ports']['prometheus']}"
    with engine_home(lab_estate(lab)) as engine:
        await engine.start(metrics=port)
        config.write_text(json.dumps(jobs))
        os.kill(lab.description()["processes"]["prometheus"]["pid"], signal.SIGHUP)
        try:
            async with aiohttp.ClientSession() as session:

                async def asked(query: str) -> list[Any]:
                    async with session.get(f"{prometheus}/api/v1/query", params={"query": query}) as response:
                        answer = await response.json()
                        assert answer["status"] == "success", (query, answer)
                        return list(answer["data"]["result"])

                async def scraped() -> bool:
                    return bool(await asked('recovery_database_data_at_risk_bytes{job="recovery"}'))

                await until(scraped, 120, "the lab's Prometheus does not scrape the engine")
                await asyncio.sleep(3)  # two scrapes for a rate
                for query in board_queries():
                    assert await asked(query), f"no data: {query}"
                async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                    text = await response.read()
        finally:
            config.write_text(former)
            os.kill(lab.description()["processes"]["prometheus"]["pid"], signal.SIGHUP)
    checked = promtool("check", "metrics", given=text)
    assert (checked.returncode, checked.stderr) == (0, b""), checked.stderr.decode()
