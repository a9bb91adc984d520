"""DNS zones: every authoritative server is read; changing records is an optional capability."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from state.ports.target import Identity, Receipt
from state.world.record_sets import NameLook, NameSeen, Sets


@runtime_checkable
class DnsZone(Protocol):
    """A zone whose names can be read at each of its servers; `acting` is the one that changes go to."""

    name: str
    domain: str
    acting: str
    servers: tuple[str, ...]

    async def identify(self, *, deadline: float) -> Identity: ...
    async def look(self, record: str, *, deadline: float) -> NameLook:
        """The name at the acting server, with what an update would find there. Raises ReadFailure."""
        ...

    async def seen(self, record: str, *, deadline: float) -> tuple[NameSeen, ...]:
        """The name at every authoritative server and, where the acting one has a key, with it; never by the connection
        that carries updates. Never raises."""
        ...


@runtime_checkable
class CanSetRecords(Protocol):
    """Changes the sets of one name at once, only if they are exactly as they were."""

    async def set_records(self, record: str, before: Sets, after: Sets, *, deadline: float) -> Receipt:
        """Send it once. All sets of SETTABLE are compared; those that are not in `after` are removed."""
        ...
