"""The engine's answers to requests: hello (who calls), accepted."""

from __future__ import annotations

from dataclasses import dataclass

API_VERSION = 2
"""Consoles refuse an engine of another version."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The engine's first answer to a console: version, estate, the caller as the kernel reports it, and its rights."""

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
