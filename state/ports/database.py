"""Replicated databases: reading is required, each effect is an optional capability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from state.ports.target import Identity, Receipt
from state.world.readings import PatroniReading, PostgresReading


@runtime_checkable
class Database(Protocol):
    """A replicated database cluster, read node by node, both the server and its manager."""

    name: str
    nodes: Sequence[str]

    async def identify(self, *, deadline: float) -> Identity: ...
    async def read_node(self, node: str, *, deadline: float) -> PostgresReading: ...
    async def read_member(self, node: str, *, deadline: float) -> PatroniReading: ...


@runtime_checkable
class CanSwitchOver(Protocol):
    """Moves the leader role from `leader` to `candidate`, planned and without loss."""

    async def switch_over(self, leader: str, candidate: str, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanRestart(Protocol):
    """Restarts the server of a standby; a node that leads is left alone."""

    async def restart(self, node: str, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanTellFork(Protocol):
    """Knows where a timeline left its parent: the WAL position in bytes, None when it is not recorded (yet)."""

    async def fork(self, node: str, timeline: int, *, deadline: float) -> int | None: ...
