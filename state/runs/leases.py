"""Leases: one run at a time acts on a target, under an epoch that only grows."""

from __future__ import annotations

from collections.abc import Iterable

from state.errors import Refused
from state.runs.fold import RunHistory
from state.runs.model import Run


def require_free(targets: Iterable[str], book: RunHistory, *, now_wall: float, but: str = "") -> None:
    """Refuse targets that another open run holds; `but` is the run that may hold them already."""
    wanted = set(targets)
    for run in book.open():
        shared = wanted & set(run.targets)
        if shared and run.id != but:
            raise Refused("lease", _held(run, min(shared), now_wall), f"Wait for {run.id}, or stop it")


def _held(run: Run, target: str, now_wall: float) -> str:
    age = max(0.0, now_wall - run.started_at)
    return f"{run.actor} is running {run.id} ({run.title}) on {target}, started {age:.0f} s ago"
