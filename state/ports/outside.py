"""Everything one estate's engine can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from state.ports.access import CanGrant
from state.ports.anchors import AnchorPlace
from state.ports.balancer import Balancer
from state.ports.comparing import CanCompare
from state.ports.database import Database
from state.ports.faults import FaultInjector
from state.ports.integrity import CanLookWhole
from state.ports.own import CanCall, CanRunCommand, CanTransact
from state.ports.signatures import VerifiesSignatures
from state.ports.source import Source
from state.ports.zone import DnsZone


class Connections(Protocol):
    """Connections that several parts share."""

    async def close(self) -> None:
        """End them; never raises, never waits long."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Everything one estate's engine can reach. `entries` names the sources of each entry, as `section/name`;
    `connections` are those that it keeps besides its sources' own."""

    sources: Sequence[Source]
    balancers: Mapping[str, Balancer]
    databases: Mapping[str, Database]
    faults: FaultInjector | None = None
    entries: Mapping[str, Sequence[Source]] = field(default_factory=dict)
    commands: Mapping[str, CanRunCommand] = field(default_factory=dict)
    http_calls: Mapping[str, CanCall] = field(default_factory=dict)
    sql_calls: Mapping[str, CanTransact] = field(default_factory=dict)
    integrity: Mapping[str, CanLookWhole] = field(default_factory=dict)
    connections: Connections | None = None
    comparing: CanCompare | None = None
    zones: Mapping[str, DnsZone] = field(default_factory=dict)
    signatures: VerifiesSignatures | None = None
    anchors: Mapping[str, AnchorPlace] = field(default_factory=dict)
    access: Mapping[str, CanGrant] = field(default_factory=dict)
