"""Everything one estate's engine can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from state.ports.balancer import Balancer
from state.ports.database import Database
from state.ports.faults import FaultInjector
from state.ports.source import Source


@dataclass(frozen=True, slots=True)
class Outside:
    """Everything one estate's engine can reach. `entries` names the sources of each entry, as `section/name`."""

    sources: Sequence[Source]
    balancers: Mapping[str, Balancer]
    databases: Mapping[str, Database]
    faults: FaultInjector | None = None
    entries: Mapping[str, Sequence[Source]] = field(default_factory=dict)
