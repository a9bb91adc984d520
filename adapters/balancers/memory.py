"""A balancer that exists only in this process: for tabletop exercises and as the smallest example of an adapter."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from pydantic import Field

from adapters.context import AdapterContext
from state.errors import EffectRefused, ReadFailure, Trouble
from state.estate.model import BalancerEntry, Name, ObjectName
from state.estate.routes import MapFile, MapKey
from state.ports.balancer import ServerState
from state.ports.target import Identity, Receipt, began
from state.world.balancer_parts import BalancerReading, Server

KIND = "memory"
VERSION = "1"
ADMINISTRATION: Mapping[str, tuple[bool, bool]] = {
    "ready": (False, False),
    "drain": (True, False),
    "maint": (False, True),
}


class MemoryOptions(BalancerEntry):
    """`backends`: backend name to server name to its configured weight, 0 to 256. `maps`: map file to key to value."""

    backends: Mapping[Name, Mapping[Name, int]]
    maps: Mapping[MapFile, Mapping[MapKey, ObjectName]] = Field(default_factory=dict)


OPTIONS = MemoryOptions


class MemoryBalancer:
    """Fulfils Balancer, KnowsTheWay, CanSetWeight, CanSetState and CanRoute on values of its own. Every server is
    up."""

    direct = True

    def __init__(
        self,
        name: str,
        backends: Mapping[str, Mapping[str, int]],
        maps: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:
        self.name, self._maps = name, {each: dict(entries) for each, entries in maps.items()}
        self._started = time.time()
        self._empty = frozenset(backend for backend, servers in backends.items() if not servers)
        self._servers = {
            f"{backend}/{server}": _server(backend, server, weight)
            for backend, servers in backends.items()
            for server, weight in servers.items()
        }

    async def identify(self, *, deadline: float) -> Identity:
        """Always itself."""
        del deadline
        return Identity(self.name, {"version": VERSION, "process": "memory", "started": began(self._started)})

    async def read(self, *, deadline: float) -> BalancerReading:
        """All servers as they were set."""
        del deadline
        maps = {name: tuple(entries.items()) for name, entries in self._maps.items()}
        servers = dict(self._servers)
        return BalancerReading(self.name, VERSION, self._process, self._started, servers, self._empty, maps, leaving=0)

    async def read_backend(self, backend: str, *, deadline: float) -> tuple[Server, ...]:
        """The servers of a backend. Raises ReadFailure when there is no such backend."""
        servers = (await self.read(deadline=deadline)).of(backend)
        if not servers:
            raise ReadFailure(Trouble.ERROR, f"there is no backend {backend}")
        return servers

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt:
        """Set the absolute weight. Raises EffectRefused."""
        del deadline
        if not 0 <= weight <= 256:
            raise EffectRefused(f"weight {weight} is not within 0 to 256", "bad-weight")
        key = self._key(backend, server)
        self._servers[key] = replace(self._servers[key], weight=weight)
        return Receipt("silent", "")

    async def set_state(self, backend: str, server: str, state: ServerState, *, deadline: float) -> Receipt:
        """Take a server out or back in. Raises EffectRefused."""
        del deadline
        if state not in ADMINISTRATION:
            raise EffectRefused(f"{state!r} is not one of {', '.join(ADMINISTRATION)}", "bad-state")
        key = self._key(backend, server)
        drained, maintenance = ADMINISTRATION[state]
        self._servers[key] = replace(
            self._servers[key],
            drained=drained,
            maintenance=maintenance,
            up=not maintenance,
            status="MAINT" if maintenance else "DRAIN" if drained else "UP",
        )
        return Receipt("silent", "")

    async def read_map(self, name: str, *, deadline: float) -> tuple[tuple[str, str], ...]:
        """The entries of a map. Raises ReadFailure when there is no such map."""
        reading = await self.read(deadline=deadline)
        if name not in reading.maps:
            raise ReadFailure(Trouble.ERROR, f"there is no map {name}")
        return reading.maps[name]

    async def look_up(self, name: str, key: str, *, deadline: float) -> str:
        """The value of a key, empty when there is none."""
        return dict(await self.read_map(name, deadline=deadline)).get(key, "")

    async def set_map(self, name: str, key: str, value: str, *, deadline: float) -> Receipt:
        """Set an entry that is there. Raises EffectRefused."""
        del deadline
        if key not in self._maps.get(name, {}):
            raise EffectRefused(f"{name} has no entry {key}", "no-such-entry")
        self._maps[name][key] = value
        return Receipt("silent", "")

    @property
    def _process(self) -> str:
        return f"memory@{self._started:.3f}"

    def _key(self, backend: str, server: str) -> str:
        key = f"{backend}/{server}"
        if key not in self._servers:
            raise EffectRefused(f"there is no server {key}", "no-such-server")
        return key


def _server(backend: str, name: str, weight: int) -> Server:
    return Server(
        backend=backend,
        name=name,
        address="",
        status="UP",
        weight=weight,
        configured_weight=weight,
        drained=False,
        maintenance=False,
        up=True,
        sessions=0,
        queued=0,
        check="",
        requests=0,
        errors_5xx=0,
    )


def build(name: str, options: MemoryOptions, context: AdapterContext) -> MemoryBalancer:
    """The adapter for one estate entry."""
    del context
    return MemoryBalancer(name, options.backends, options.maps)
