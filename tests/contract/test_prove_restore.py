"""A restore proven end to end: the shipped script and runbook, a whole engine, real pgBackRest and PostgreSQL 15."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.files.read import read_yaml
from adapters.journals.memory import MemoryJournal
from adapters.registry import kinds
from adapters.wiring import wire
from state.api.requests import PlanRunbook
from state.api.views.restore import RestoreFault, RestoreRow
from state.config_files.located import Located
from state.detection.proofs import RestoreProven
from state.engine.engine import Engine
from state.estate.parse import parse_estate
from state.journal.store import JournalStore
from state.planning.library import Library
from tests.contract.backed_up import STANZA, BackedUp
from tests.contract.components import as_user_argv
from tests.support.ports import free_port
from tests.support.small_estate import ESTATE, LoopClock, Small, runbook

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "config" / "restore" / "prove-restore"
RUNBOOK = read_yaml(ROOT / "config" / "runbooks" / "prove-restore.yaml").data


@pytest.fixture
def server() -> Iterator[BackedUp]:
    made = BackedUp(Path(tempfile.mkdtemp(prefix="rp-", dir="/tmp")))
    try:
        made.make()
        made.write(2)
        made.rest("--type=full", "backup")
        made.write(3)
        yield made
    finally:
        made.stop("pg")
        shutil.rmtree(made.place, ignore_errors=True)


def command(server: BackedUp, tables: str) -> dict[str, Any]:
    into = server.place / "prove"
    words = [sys.executable, SCRIPT, "run", "--into", into, "--stanza", STANZA, "--rest",
             f"pgbackrest --config={server.config}", "--bin", server.bin, "--port", free_port(), "--recovery",
             Path(sys.executable).with_name("recovery"), "--skip", "amcheck", "--source",
             f"{server.place}:{server.port}", "--source-user", "postgres", "--tables", tables]  # fmt: skip
    read = [sys.executable, SCRIPT, "read", "--into", into]
    return {
        "argv": [str(each) for each in as_user_argv(*map(str, words))],
        "read": {"argv": [str(each) for each in as_user_argv(*map(str, read))], "not_done": [1]},
        "timeout": "5m",
    }


@asynccontextmanager
async def engine_on(server: BackedUp, store: JournalStore, tables: str) -> AsyncIterator[Small]:
    backups = {
        **server.entry("pgbackrest").model_dump(exclude_defaults=True),
        "proven_by": "prove-orders",
        "every": "5s",
    }
    backups["command"] = [str(each) for each in as_user_argv(*backups["command"])]
    node = {"site": "east", "postgres": f"{server.place}:{server.port}"}
    orders = {"kind": "streaming", "user": "postgres", "tls": "loopback", "nodes": {"a": node}, "backups": backups}
    raw = {**ESTATE, "services": {}, "balancers": {}, "databases": {"orders": orders},
           "commands": {"prove-orders": command(server, tables)}}  # fmt: skip
    raw["policies"] = {"confirm": {"arm": "10ms", "plan_expires": "30s"}}
    estate = parse_estate(Located(raw, str(server.place / "estate.yaml")), kinds())
    outside = await asyncio.to_thread(wire, estate, server.place)
    library = Library({"prove-restore": runbook(RUNBOOK)}, estate, {})
    engine = Engine(estate, outside, store, LoopClock(), library, node="test", pid=1, uid=0)
    await engine.start()
    try:
        yield Small(engine, None, store)  # type: ignore[arg-type]  # it has no balancer
    finally:
        await engine.stop()


def window(lab: Small) -> RestoreRow:
    found: RestoreRow = lab.engine.view("restore").databases["orders"]
    return found


async def proven(lab: Small) -> tuple[str, list[str]]:
    card = await lab.preview(PlanRunbook("prove-restore", {"database": "orders", "command": "prove-orders"}))
    assert card.refusals == (), card.refusals
    run = (await lab.submit(card)).run
    state = await lab.ended(run, 240)
    return state, [
        line for step in (await lab.engine.run_view(run)).steps.values() for line in (*step.output, step.message)
    ]


async def test_the_shipped_runbook_proves_a_restore_and_the_window_has_its_age(server: BackedUp) -> None:
    store = MemoryJournal()
    async with engine_on(server, store, "public.ledger") as lab:
        assert window(lab).proven_at is None
        state, said = await proven(lab)
        assert state == "done", said
        async with asyncio.timeout(20):
            while (row := window(lab)).proven_at is None:
                await asyncio.sleep(0.2)
        assert RestoreFault.UNPROVEN not in {each.code for each in row.faults}
        label = server.rest("--output=json", "info").split('"label":"')[1].split('"')[0]
        assert f"set {label}" in row.proven_by, row.proven_by
        assert "public.ledger equal to the source" in row.proven_by
        assert not (server.place / "prove" / "data").exists(), "the copy is removed"
        archived = sorted(each.name for each in (server.place / "wal").iterdir())
        assert not any(name.startswith("00000002") for name in archived), "the copy archived nothing"
    async with engine_on(server, store, "public.ledger") as again:
        assert window(again).proven_by == row.proven_by, "it is in the journal"
        assert RestoreProven.kind in again.kinds()


async def test_a_copy_that_is_not_equal_proves_nothing(server: BackedUp) -> None:
    """Rows that were never archived are in the source alone."""
    server.sql("insert into ledger values (9999, 'not archived')")
    async with engine_on(server, MemoryJournal(), "public.ledger") as lab:
        state, said = await proven(lab)
        assert state != "done", said
        assert any("not proven: recovery db compare" in line for line in said), said
        await asyncio.sleep(1)
        assert window(lab).proven_at is None


def test_a_folder_that_is_there_is_nobodys_copy_to_remove(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("15\n")
    argv = [sys.executable, SCRIPT, "run", "--into", tmp_path, "--stanza", "main"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "exists" in done.stdout) == (1, True)
    assert (data / "PG_VERSION").read_text() == "15\n"
