"""Small runbooks for the small estate, and what their runs are at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from state.api.requests import PlanRunbook
from tests.support.small_estate import Small

SHOP = {"balancer": "edge", "backend": "shop"}


def weight(step: str, server: str, value: int, **more: Any) -> dict[str, Any]:
    """A step that sets a weight."""
    return {"id": step, "change": "server.weight", "with": {**SHOP, "server": server, "weight": value}, **more}


def check(step: str, kind: str, server: str, **more: Any) -> dict[str, Any]:
    """A step that checks a server."""
    return {"id": step, "check": kind, "with": {**SHOP, "server": server}, **more}


def ask(step: str, options: Mapping[str, str], question: str = "Go on?", **more: Any) -> dict[str, Any]:
    """A step that asks people."""
    return {"id": step, "decide": {"question": question, "options": dict(options)}, **more}


def group(*steps: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Steps at the same time."""
    return {"id": "g", "parallel": list(steps), **more}


def book(*steps: Mapping[str, Any]) -> dict[str, Any]:
    """The runbook `case`."""
    return {"runbook": "case", "title": "Case", "steps": list(steps)}


async def started(lab: Small) -> str:
    """A run of the runbook `case`."""
    return (await lab.submit(await lab.preview(PlanRunbook("case")))).run


async def until(holds: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for something to hold."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


def told(lab: Small, run: str) -> str:
    """The latest instance of every step with its state."""
    found = lab.engine.history.runs[run]
    return ", ".join(f"{s.key} {s.state.value}" for s in (found.latest(p.id) for p in found.steps))
