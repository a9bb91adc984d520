"""What an authoritative name server answers for the records of a zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.errors import Trouble


@dataclass(frozen=True, slots=True)
class NameLack:
    """Why a server has no answer of its own to one record: the trouble, its words, and the servers to which the name is
    delegated."""

    trouble: Trouble
    message: str
    delegated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DnsReading:
    """One server's authoritative answers: record `name/type` to sorted addresses or names, and TTL in seconds.

    `aliases`: names that are asked for by address and are the alias of a name outside of the zone, which is all that
    its server tells. `lost`: names that are an alias, and the name at its end, which has no address: no client arrives
    there, whatever the alias is. `lacks`: records to which there was no authoritative answer.
    """

    zone: str
    server: str
    serial: int
    records: Mapping[str, tuple[str, ...]]
    ttls: Mapping[str, int] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    lacks: Mapping[str, NameLack] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
