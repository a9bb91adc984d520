"""What a reload of a balancer makes of what is set on it: by its state file as it is now, never by what was sent."""

from __future__ import annotations

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
    lost = [f"{key.removeprefix(prefix)} to {what}" for key, what in saved.lost.items() if key.startswith(prefix)]
    reads = saved.reads.get(backend, NextReads.UNKNOWN)
    if lost:
        more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        why = f"nothing reads {path} for it" if reads is NextReads.NO else saved.trouble or f"{path} has it otherwise"
        return Keeping(Health.WARN, f"a reload sets {', '.join(lost[:NAMED])}{more}: {why}")
    if backend not in saved.kept:
        return None
    if reads is NextReads.YES:
        return Keeping(Health.PASS, f"saved in {path}, which a reload reads")
    why = saved.unknown or "no configuration was read"
    return Keeping(Health.UNKNOWN, f"saved in {path}; whether a reload reads it is not known: {why}")
