"""Load balancers: reading is required, each effect is an optional capability."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from state.ports.target import Identity, Receipt
from state.world.balancer_parts import BalancerReading, SavedSettings, Server

ServerState = Literal["ready", "drain", "maint"]


@runtime_checkable
class Balancer(Protocol):
    """A load balancer that can be read and identified."""

    name: str

    async def identify(self, *, deadline: float) -> Identity: ...
    async def read(self, *, deadline: float) -> BalancerReading: ...
    async def read_backend(self, backend: str, *, deadline: float) -> tuple[Server, ...]: ...


@runtime_checkable
class KnowsTheWay(Protocol):
    """Knows whether something between here and the balancer could hold a command back and deliver it later."""

    @property
    def direct(self) -> bool:
        """Nothing could, proven by what answered last."""


@runtime_checkable
class Forgets(Protocol):
    """What is set on it lasts only as long as its process."""

    forgets: str
    """When what is set on servers is lost, as text: `at a reload`."""
    forgets_routes: str
    """When entries of maps are."""


@runtime_checkable
class CanSave(Protocol):
    """May have a file from which its next process takes what is set on it."""

    @property
    def saved(self) -> SavedSettings | None:
        """The file as it was last read, None where the estate names none."""

    async def save(self, backend: str, *, deadline: float) -> SavedSettings | None:
        """Write what is set now, and read the file. It is the same however often it is done. Raises EffectRefused when
        nothing was written, EffectUnknown when that is not known."""


@runtime_checkable
class CanSetWeight(Protocol):
    """Sets an absolute weight, 0 to 256."""

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt: ...


@runtime_checkable
class CanRoute(Protocol):
    """Has maps that lead requests to backends, and changes entries that are there."""

    async def read_map(self, name: str, *, deadline: float) -> tuple[tuple[str, str], ...]:
        """Keys and values, in the map's order. Raises ReadFailure, also when there is no such map."""

    async def look_up(self, name: str, key: str, *, deadline: float) -> str:
        """What a request with this key would find; empty when nothing. Raises ReadFailure."""

    async def set_map(self, name: str, key: str, value: str, *, deadline: float) -> Receipt:
        """Set the value of an entry. Raises EffectRefused or EffectUnknown."""


@runtime_checkable
class CanSetState(Protocol):
    """Takes a server out of rotation and back."""

    async def set_state(self, backend: str, server: str, state: ServerState, *, deadline: float) -> Receipt: ...
