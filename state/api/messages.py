"""The answers of the engine's socket to what people ask of it: who am I, what would happen, accepted."""

from __future__ import annotations

from dataclasses import dataclass

API_VERSION = 2
"""Consoles refuse an engine of another version."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The engine's first word to a console: version, estate, who the kernel says you are, what you may do."""

    version: int
    estate: str
    environment: str
    person: str
    roles: tuple[str, ...]
    may_act: bool
    engine_pid: int
    mono: float
    wall: float


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submitted plan became a run."""

    run: str
    message: str
