"""The laboratory's fault injector over its control socket: what is on, for how long, and what an answer means."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.faults.lab import OPTIONS, LabFaults, build
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.ports.faults import FaultInjector
from tests.contract.web import Canned, canned

CATALOGUE = [
    {"name": "bad-release", "description": "v42 fails", "undo": "…", "seconds": 60, "limit": 600, "missing": []},
    {"name": "node-lost", "description": "a node dies", "undo": "…", "seconds": 60, "limit": 600, "missing": []},
    {"name": "dns-gone", "description": "no names", "undo": "…", "seconds": 60, "limit": 600, "missing": ["dns"]},
]


@asynccontextmanager
async def lab(folder: Path, answers: dict[str, Any]) -> AsyncIterator[tuple[LabFaults, Canned]]:
    path = Path(tempfile.mkdtemp(dir=folder)) / "c.sock"
    async with canned(answers, path) as server:
        yield LabFaults(str(path)), server


async def test_faults_are_listed_with_their_time_left(folder: Path) -> None:
    now = time.time()
    injected = [
        {"name": "bad-release", "target": "east", "since": now, "until": now + 40, "state": "active"},
        {"name": "node-lost", "target": "n1", "since": now, "until": now, "state": "undone"},
    ]
    answers = {"GET /faults": (200, {"catalogue": CATALOGUE, "injected": injected})}
    async with lab(folder, answers) as (faults, _):
        bad, lost = await faults.faults(deadline=1)
    assert (bad.name, bad.active, bad.target) == ("bad-release", True, "east")
    assert bad.remaining == pytest.approx(40, abs=2)
    assert (lost.name, lost.active, lost.remaining) == ("node-lost", False, None)
    assert isinstance(faults, FaultInjector)


async def test_a_laboratory_is_known_by_directory_and_beginning(folder: Path) -> None:
    async with lab(folder, {"GET /status": (200, {"directory": "/run/lab", "since": 1795747250.95})}) as (faults, _):
        facts = (await faults.identify(deadline=1)).facts
    assert facts == {"directory": "/run/lab", "started": "2026-11-27T02:40:50.950Z"}


async def test_injecting_and_lifting_say_what_they_did(folder: Path) -> None:
    answers = {"POST /faults/bad-release": (200, {}), "DELETE /faults/bad-release": (200, {})}
    async with lab(folder, answers) as (faults, server):
        assert (await faults.inject("bad-release", 30, deadline=1)).code == "injected"
        assert (await faults.lift("bad-release", deadline=1)).code == "lifted"
    assert [ask for ask, _, _ in server.asked] == ["POST /faults/bad-release", "DELETE /faults/bad-release"]
    assert json.loads(server.asked[0][2]) == {"seconds": 30}


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        ((404, {"error": "no fault"}), EffectRefused, "refused-404"),
        ((400, {"error": "seconds is a number"}), EffectRefused, "refused-400"),
        ((409, {"error": "it did not take effect"}), EffectUnknown, "answer-409"),
        (b"", EffectUnknown, "reset"),
        (None, EffectUnknown, "timeout"),
    ],
)
async def test_other_answers_are_refusals_or_unknown(folder: Path, answer: Any, error: Any, code: str) -> None:
    async with lab(folder, {"POST /faults/x": answer, "DELETE /faults/x": answer}) as (faults, _):
        for effect in (faults.inject("x", 5, deadline=0.3), faults.lift("x", deadline=0.3)):
            with pytest.raises(error) as raised:
                await effect
            assert raised.value.code == code


async def test_no_laboratory(context: AdapterContext) -> None:
    faults = build(OPTIONS(kind="lab", control="gone.sock"), context)
    with pytest.raises(ReadFailure):
        await faults.faults(deadline=1)
    with pytest.raises(EffectRefused) as refusal:
        await faults.inject("x", 5, deadline=1)
    assert refusal.value.code == "unreachable"


@pytest.mark.parametrize("answer", [(200, "no json"), (200, []), (200, {"catalogue": 5, "injected": [1]}), (200, {})])
async def test_rubbish_is_no_reading(folder: Path, answer: Any) -> None:
    async with lab(folder, {"GET /faults": answer}) as (faults, _):
        with pytest.raises(ReadFailure):
            await faults.faults(deadline=1)
