"""An estate with commands of its own, on the small estate of the tests: a counter that a script sets."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.balancers.memory import MemoryBalancer
from adapters.commands.building import Own
from adapters.commands.check_sources import CheckSources
from adapters.context import AdapterContext
from adapters.journals.memory import MemoryJournal
from adapters.net.ssh import SshConnections
from state.api.requests import PlanChange
from state.engine.engine import Engine
from state.estate.model import Estate, Polling
from state.journal.store import JournalStore
from state.planning.library import Library
from state.ports.anchors import AnchorPlace
from state.ports.outside import Outside
from state.runs.fault_points import Reach, ignore_point
from tests.support.small_estate import ESTATE, BalancerSource, LoopClock, Small, runbook

PYTHON = sys.executable


def script(folder: Path, name: str, text: str) -> str:
    """A program of the test's own."""
    path = folder / name
    path.write_text(f"#!{PYTHON}\nimport os, sys, time\n{text}\n")
    path.chmod(0o755)
    return str(path)


def run_command(command: str, **args: Any) -> PlanChange:
    return PlanChange("command.run", {"command": command, "args": args})


@asynccontextmanager
async def own(
    folder: Path,
    *runbooks: Mapping[str, Any],
    store: JournalStore | None = None,
    reach: Reach = ignore_point,
    places: Mapping[str, AnchorPlace] | None = None,
    **sections: Any,
) -> AsyncIterator[Small]:
    """A started engine on an estate with these sections besides those of the small one."""
    model = Estate.model_validate({**ESTATE, **sections})
    balancer = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})
    store = store if store is not None else MemoryJournal()
    hosts = SshConnections(dict(model.hosts), folder)
    made = Own(model, AdapterContext(folder, Polling()), hosts)
    asked = CheckSources(model, AdapterContext(folder, Polling()), hosts, {}, made.concealed)
    outside = Outside(
        (BalancerSource(balancer), *(asked.build(name, entry) for name, entry in model.checks.items())),
        {"edge": balancer},
        {},
        commands=made.commands(),
        http_calls=made.http_calls(),
        connections=hosts,
        anchors=places or {},
    )
    library = Library({b["runbook"]: runbook(b) for b in runbooks}, model, {})
    engine = Engine(model, outside, store, LoopClock(), library, node="test", pid=1, uid=0, reach=reach)
    await engine.start()
    try:
        yield Small(engine, balancer, store)
    finally:
        await engine.stop()
