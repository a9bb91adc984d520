"""A zone in memory, on two servers that agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.errors import EffectRefused, ReadFailure, Trouble
from state.ports.target import Identity, Receipt
from state.world.dns_parts import DnsReading
from state.world.record_sets import NameLook, NameSeen, NameState, RecordSet, Sets


class MemoryZone:
    """Fulfils DnsZone and CanSetRecords on values of its own."""

    acting = "10.1.0.53:53"
    servers = ("10.1.0.53:53", "10.2.0.53:53")

    def __init__(self, name: str, names: Mapping[str, Mapping[str, RecordSet]]) -> None:
        self.name = self.domain = name
        self.names: dict[str, Sets] = dict(names)
        self.serial = 1
        self.silent: set[str] = set()
        self.stale: dict[str, dict[str, Sets]] = {}
        """What servers and resolvers answer that have not followed."""

    async def identify(self, *, deadline: float) -> Identity:
        return Identity(self.name, {"server": self.acting, "zone": self.domain})

    def _state(self, record: str, server: str) -> NameState:
        return NameState(server, self.serial, 30, self.stale.get(server, self.names).get(record, {}))

    def reading(self, server: str) -> DnsReading:
        """What polling reads of every name at one place."""
        if server in self.silent:
            raise ReadFailure(Trouble.TIMEOUT, f"{server} did not answer")
        names = self.stale.get(server, self.names)
        records = {f"{name}/{kind}": each.values for name, sets in names.items() for kind, each in sets.items()}
        ttls = {f"{name}/{kind}": each.ttl for name, sets in names.items() for kind, each in sets.items()}
        return DnsReading(self.name, server, self.serial, records, ttls)

    async def look(self, record: str, *, deadline: float) -> NameLook:
        state = self._state(record, self.acting)
        return NameLook(state, state.sets)

    async def seen(self, record: str, *, deadline: float) -> tuple[NameSeen, ...]:
        return tuple(NameSeen(server, self._state(record, server)) for server in self.servers)

    async def set_records(self, record: str, before: Sets, after: Sets, *, deadline: float) -> Receipt:
        if self.names.get(record, {}) != before:
            raise EffectRefused("other records now", "moved")
        self.names[record] = after
        self.serial += 1
        return Receipt("noerror", "NOERROR")


@dataclass
class ZoneSource:
    """Polls one place of a zone quickly."""

    zone: MemoryZone
    server: str
    role: str = "dns"
    every: float = 0.05
    deadline: float = 0.5
    limit: float = 1.0

    @property
    def key(self) -> str:
        return f"{self.role}:{self.zone.name}@{self.server}"

    async def read(self) -> DnsReading:
        return self.zone.reading(self.server)

    async def close(self) -> None:
        return
