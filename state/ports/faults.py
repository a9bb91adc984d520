"""Fault injection, in laboratories and drills only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from state.ports.target import Identity, Receipt


@dataclass(frozen=True, slots=True)
class FaultStatus:
    """One fault of a lab: what it does, whether it is on, and seconds until it undoes itself."""

    name: str
    description: str
    active: bool
    remaining: float | None
    target: str


@runtime_checkable
class FaultInjector(Protocol):
    """Injects named faults with an undo and a maximum duration."""

    async def identify(self, *, deadline: float) -> Identity: ...
    async def faults(self, *, deadline: float) -> tuple[FaultStatus, ...]: ...
    async def inject(self, name: str, seconds: float, *, deadline: float) -> Receipt: ...
    async def lift(self, name: str, *, deadline: float) -> Receipt: ...
