"""What the engine asks of the outside. Adapters fulfil these; capabilities are small and optional.

Deadlines are seconds from the call. Reads raise ReadFailure; effects raise EffectRefused (certain that nothing
happened) or EffectUnknown (anything may have happened), and return a Receipt for every answer that was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from state.journal import Sealed
from state.readings import BalancerReading, PatroniReading, PostgresReading, Reading, Server

ServerState = Literal["ready", "drain", "maint"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a target proved to be, over the connection that will act; compared fact by fact."""

    target: str
    facts: Mapping[str, str]

    def difference(self, other: Identity) -> str:
        """Words for the first fact that differs, or an empty text."""
        for name, value in self.facts.items():
            if other.facts.get(name) != value:
                return f"{self.target}: {name} was {value}, is {other.facts.get(name, 'unreadable')}"
        return ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the target answered to an effect: a stable code for people and tests, and its words."""

    code: str
    words: str
    changed: bool = True


class Clock(Protocol):
    """Time, injectable: monotonic for durations, wall (epoch seconds) for people."""

    def mono(self) -> float: ...
    def wall(self) -> float: ...


class Source(Protocol):
    """One thing that is polled: `key` is `role:name`, e.g. `postgres:n1`; times in seconds."""

    key: str
    every: float
    deadline: float
    limit: float

    async def read(self) -> Reading: ...
    async def close(self) -> None: ...


@runtime_checkable
class Balancer(Protocol):
    """A load balancer that can be read and proven to be itself."""

    name: str

    async def identify(self, *, deadline: float) -> Identity: ...
    async def read(self, *, deadline: float) -> BalancerReading: ...
    async def read_backend(self, backend: str, *, deadline: float) -> tuple[Server, ...]: ...


@runtime_checkable
class CanSetWeight(Protocol):
    """Sets an absolute weight, 0 to 256."""

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanSetState(Protocol):
    """Takes a server out of rotation and back."""

    async def set_state(self, backend: str, server: str, state: ServerState, *, deadline: float) -> Receipt: ...


@runtime_checkable
class Database(Protocol):
    """A replicated database cluster, asked node by node, both the server and its manager."""

    name: str
    nodes: Sequence[str]

    async def identify(self, *, deadline: float) -> Identity: ...
    async def read_node(self, node: str, *, deadline: float) -> PostgresReading: ...
    async def read_member(self, node: str, *, deadline: float) -> PatroniReading: ...


@runtime_checkable
class CanSwitchOver(Protocol):
    """Hands the leader role from `leader` to `candidate`, planned and without loss."""

    async def switch_over(self, leader: str, candidate: str, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanTellFork(Protocol):
    """Knows where a timeline left its parent: the WAL position in bytes, None when it is not recorded (yet)."""

    async def fork(self, node: str, timeline: int, *, deadline: float) -> int | None: ...


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


@dataclass(frozen=True, slots=True)
class Outside:
    """Everything one estate's engine can reach, wired once by the composition root."""

    sources: Sequence[Source]
    balancers: Mapping[str, Balancer]
    databases: Mapping[str, Database]
    faults: FaultInjector | None = None


class JournalStore(Protocol):
    """Durable, append-only storage of sealed entries."""

    def append(self, entries: Sequence[Sealed]) -> None:
        """Store entries durably, all or none, before returning. Raises JournalUnavailable."""

    def rows(self, after: int = 0, limit: int = -1) -> Sequence[Sealed]:
        """Stored entries with seq > after, in order; limit -1 = all."""

    def head(self) -> tuple[int, bytes]:
        """The last (seq, hash); (0, GENESIS) when empty."""

    def close(self) -> None: ...
