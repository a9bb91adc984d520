"""What a reload of a balancer makes of what is set on it: by its state file as it is now, never by what was sent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from state.health import Health
from state.world.balancer_parts import NextReads, SavedSettings

NAMED = 3
"""So many servers are named."""
EACH = "{backend}"


@dataclass(frozen=True, slots=True)
class Keeping:
    """PASS: what is set is in the file, and the file is read. WARN: a reload sets something else. UNKNOWN: it is in the
    file, and nobody knows here whether that is read."""

    health: Health
    message: str


def file_of(saved: SavedSettings, backend: str) -> str:
    """The path of the file that has a backend."""
    return saved.path.replace(EACH, backend)


def keeping(saved: SavedSettings, backend: str) -> Keeping | None:
    """What a reload makes of a backend; None where everything is as configured, and stays so."""
    path, prefix = file_of(saved, backend), f"{backend}/"
    lost = {key: what for key, what in saved.lost.items() if key.startswith(prefix)}
    reads = saved.reads.get(backend, NextReads.UNKNOWN)
    if lost:
        others = [f"{key.removeprefix(prefix)} to {what}" for key, what in lost.items() if what]
        gone = [key.removeprefix(prefix) for key, what in lost.items() if not what]
        told = [f"sets {_first(others)}"] if others else []
        told += [f"takes {_first(gone)} away"] if gone else []
        why = _why(saved, backend, lost.keys() & saved.edited)
        return Keeping(Health.WARN, f"a reload {' and '.join(told)}: {why}")
    if backend not in saved.kept:
        return None
    if reads is NextReads.YES:
        return Keeping(Health.PASS, f"saved in {path}, which a reload reads")
    why = saved.unknown or "no configuration was read"
    return Keeping(Health.UNKNOWN, f"saved in {path}; whether a reload reads it is not known: {why}")


def _first(told: list[str]) -> str:
    return ", ".join(told[:NAMED]) + (f" and {len(told) - NAMED} more" if len(told) > NAMED else "")


def _why(saved: SavedSettings, backend: str, edited: Collection[str]) -> str:
    path = file_of(saved, backend)
    if edited:
        return "the configuration on the disk says otherwise"
    if saved.reads.get(backend) is NextReads.NO:
        return saved.barred.get(backend) or f"nothing reads {path} for it"
    return saved.trouble or f"{path} has it otherwise"
